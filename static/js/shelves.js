// @ts-check
/**
 * Owns the lower half of the scene: the claims, the volumes with the rows in them, what ties the two, and the
 * StorageClasses that made them. Pure geometry, as layout.js, which plans the bands these stand in; never touches
 * the DOM.
 */

import { tagItem, waitItem } from './absent.js';
import { claimHealth, faultKey, grip, isOver, rowsIn, shortVolume, volumeHealth } from './model.js';
import { clip, detailFit, middle, widthOf, wrapName } from './names.js';

/** @typedef {import('./model.js').Arrangement} Arrangement */
/** @typedef {import('./model.js').Card} Card */
/** @typedef {import('./model.js').Column} Column */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Shelf} Shelf */
/** @typedef {import('./layout.js').Bands} Bands */
/** @typedef {import('./layout.js').Item} Item */
/** @typedef {import('./layout.js').Line} Line */
/** @typedef {import('./layout.js').Plan} Plan */
/** @typedef {import('./layout.js').Room} Room */

/** Rows of a table that are drawn; the rest are counted. */
const ROWS_MAX = 3;

/** What an earlier claim of the name left behind stands beside the claim, never under it. @param {Shelf} shelf */
export function lanesOfShelf(shelf) {
  return Math.max(shelf.lanes ?? 0, Math.max(1, shelf.volumes.length) + shelf.left.length);
}

/** Lanes beside a claim that are not its own. @param {Shelf} shelf */
export function asideOf(shelf) {
  return lanesOfShelf(shelf) - Math.max(1, shelf.volumes.length);
}

/**
 * @param {Shelf} shelf @param {number} x @param {Column} column The one it stands in.
 * @param {{ySeats: number, yClaims: number, yVolumes: number, plan: Plan, b: Bands, arrangement: Arrangement, model: Model, room: Room, s: number, things: Item[], wires: Item[], disks: any[]}} to
 */
export function shelfItems(shelf, x, column, to) {
  const { ySeats, yClaims, yVolumes, plan, b, arrangement, model, room, s, things, wires, disks } = to;
  const { say } = room;
  const { lane } = plan;
  const lh = b.lh;
  const w = Math.min(lane - 0.9 * s, 21 * s);
  const left = x + (lane - w) / 2;
  const { claim } = shelf;
  const same = claim ? model.same.get(claim.name) : undefined;
  if (claim) {
    const health = claimHealth(claim);
    const held = claim.deleting ? claim.finalizers?.[0] : undefined;
    const lock = held ? held.split('/').pop() : '';
    // A volume is given whole: what was asked for and what was got may differ.
    const size = claim.capacity && claim.request && claim.capacity !== claim.request ? `${claim.request} → ${claim.capacity}` : (claim.capacity ?? claim.request ?? '');
    const modes = (claim.modes ?? []).join(',');
    const name = wrapName(claim.name, Math.floor((w - 1.6 * s) / (room.mono * s)), b.claimLines);
    const top = 0.55 * s + (b.claimLines - name.length) * lh * 0.5;
    const detail = [size, modes].filter(Boolean).join(' · ');
    const status = { t: claim.status, x: 0, y: 0, size: s * 1.08, look: `strong tone-${health.tone}`, at: /** @type {const} */ ('start') };
    /** @type {Line[]} */
    const lines = name.map((t, i) => ({ t, x: w / 2, y: top + lh * (i + 0.78), size: s, look: 'mono strong', at: 'middle' }));
    const row = top + name.length * lh;
    const statusW = widthOf(claim.status, s * 1.08, 0.56) + 1.5 * s;
    const spare = w - statusW - 1.8 * s;
    const short = !b.claimMerged || widthOf(detail, s, room.mono) <= spare ? detail : widthOf(size, s, room.mono) <= spare ? size : '';
    const detailW = widthOf(short, s, room.mono);
    let glyph;
    if (b.claimMerged) {
      const start = (w - statusW - (short ? detailW + 0.7 * s : 0)) / 2;
      glyph = { x: start + 0.5 * s, y: row + lh * 0.5 };
      lines.push({ ...status, x: start + 1.35 * s, y: row + lh * 0.82 });
      if (short) lines.push({ t: short, x: start + statusW + 0.6 * s, y: row + lh * 0.82, size: s, look: 'mono quiet', at: 'start' });
    } else {
      const start = (w - statusW) / 2;
      const first = row + lh;
      glyph = { x: start + 0.5 * s, y: first + lh * 0.5 };
      lines.push({ ...status, x: start + 1.35 * s, y: first + lh * 0.82 });
      lines.push({ t: detail, fit: detailFit(detail, w - 1.4 * s, s, room.mono), x: w / 2, y: row + lh * 0.8, size: s, look: 'mono quiet', at: 'middle' });
    }
    things.push({
      id: `claim:${claim.uid}`, type: 'claim', x: left, y: yClaims, w, h: b.claim, s, tone: health.tone, mark: health.mark,
      held: lock, lockW: Math.min(w + 1.2 * s, widthOf(lock, s, room.mono) + 3.6 * s), glyph, lines, term: 'pvc', same: Boolean(same), pulse: say('scene.same.claim'), hooks: { claim: claim.name, card: claim.uid },
      label: say('aria.claim', { name: claim.name, status: claim.status, size }) + (held ? say('aria.claim.held', { finalizer: held }) : ''),
    });
    if (claim.volume && shelf.volumes.length === 0) {
      // The claim names a volume that this reader may not see, or that has not been told yet.
      things.push({ id: `volume:?${claim.volume}`, type: 'volume', hidden: true, x: left, y: yVolumes, w, h: b.volume, s, lh, tone: 'gone', mark: 'stop', lines: [{ t: shortVolume(claim.volume), x: w / 2, y: b.volume / 2 + 0.6 * s, size: s, look: 'mono quiet', at: 'middle' }], hooks: {}, label: '' });
    }
  }
  // Where a seat is empty above it, the seat says what is waited for.
  const binding = arrangement.classes.find((it) => it.name === claim?.class)?.binding;
  if (claim && claim.phase === 'Pending' && !claim.volume && !claim.deleting && binding === 'WaitForFirstConsumer' && !column.pod && !column.wanted && !usersOf(arrangement, claim.name)) {
    things.push(waitItem(claim, { x: left + w / 2, from: yClaims - 0.5 * s, to: ySeats + 0.4 * s, w: lane - s, lh }, room, s));
  }
  const aside = Math.max(claim ? 1 : 0, shelf.volumes.length);
  [...shelf.volumes, ...shelf.left].forEach((volume, n) => {
    const i = n < shelf.volumes.length ? n : aside + n - shelf.volumes.length;
    const vx = left + i * lane;
    const mine = Boolean(claim && volume.claim?.name === claim.name && (!volume.claim.uid || volume.claim.uid === claim.uid));
    if (volume.claim && !mine) things.push(tagItem(volume, { x: vx, w, top: yClaims, foot: yVolumes + 0.3 * s, lh }, room, s));
    things.push(volumeItem(volume, shelf, vx, yVolumes, w, same, to));
    disks.push({ x: vx + w / 2, left: vx, w, y: yVolumes, h: b.volume, volume });
    const down = claim?.volume === volume.name;
    const up = mine;
    if (down || up) {
      // A lock on the claim hangs where these words would stand.
      const wide = b.bind > 1.75 * lh && w > 13 * s && i === 0 && !claim?.deleting;
      wires.push({
        id: `binding:${shelf.name}/${volume.name}`, type: 'binding', x: vx + w / 2, y: yClaims + b.claim, w: 0, h: b.bind, s, down, up,
        shift: i === 0 ? 0 : left + w / 2 - (vx + w / 2), hooks: { binding: `${shelf.name}↔${volume.name}` },
        label: down && up ? say('aria.binding', { claim: shelf.name, volume: volume.name }) : '',
        lines: !wide ? [] : [
          ...(down ? [{ t: 'volumeName', x: -1.1 * s, y: b.bind / 2 + 0.3 * s, size: s, look: 'mono quiet', at: /** @type {const} */ ('end') }] : []),
          ...(volume.claim ? [{ t: 'claimRef', x: 1.1 * s, y: b.bind / 2 + 0.3 * s, size: s, look: 'mono quiet', at: /** @type {const} */ ('start') }] : []),
        ],
      });
    }
  });
}

/** The Pods that name a claim, wherever they sit. @param {Arrangement} arrangement @param {string} claim @returns {Card[]} */
function podsOn(arrangement, claim) {
  const found = [];
  for (const group of arrangement.groups) {
    for (const { pod } of group.columns) if (pod?.claims?.some((/** @type {any} */ use) => use.claim === claim)) found.push(pod);
  }
  return found;
}

/** Whether a Pod names the claim. @param {Arrangement} arrangement @param {string} claim */
function usersOf(arrangement, claim) {
  return podsOn(arrangement, claim).length > 0;
}

/** How many Pods have the claim in their hands at the same time. @param {Arrangement} arrangement @param {string} claim */
function usersAtOnce(arrangement, claim) {
  return podsOn(arrangement, claim).filter((pod) => !isOver(pod) && pod.node && grip(pod) !== 'pulled').length;
}

const UNITS = /** @type {Record<string, number>} */ ({ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, k: 1e3, M: 1e6, G: 1e9, T: 1e12 });

/**
 * How big a volume made by hand looks beside others: 1 to 4, a step for about every factor of three from 5 GiB on. What is
 * made to order has just the size that was asked for, which says nothing.
 * @param {Card} volume
 */
function sizeOf(volume) {
  const [, number, unit] = /^([\d.]+)([A-Za-z]*)$/.exec(volume.capacity ?? '') ?? [];
  if (volume.provisioner || !number) return 0;
  const gib = (Number(number) * (UNITS[unit] ?? 1)) / 2 ** 30;
  return gib < 8 ? 1 : gib < 30 ? 2 : gib < 80 ? 3 : 4;
}

/**
 * @param {Card} volume @param {Shelf} shelf @param {number} x @param {number} y @param {number} w
 * @param {{volume: string, at: number, kind: string} | undefined} same
 * @param {{b: Bands, arrangement: Arrangement, model: Model, room: Room, s: number}} to
 * @returns {Item}
 */
function volumeItem(volume, shelf, x, y, w, same, { b, arrangement, model, room, s }) {
  const lh = b.lh;
  const health = volumeHealth(volume);
  const mine = rowsIn(model, volume);
  const unseen = !mine && volume.status === 'Bound' && rowsSpace(b) ? room.say('scene.unseen') : '';
  const beside = b.beside && Boolean(mine || unseen);
  const textW = beside ? w * 0.52 : w;
  const mid = beside ? textW / 2 + 0.4 * s : w / 2;
  const chars = Math.floor((textW - 1.2 * s) / (room.mono * s));
  const rowsRoom = beside ? 0 : mine ? b.tableLines * lh + 0.5 * s : unseen ? lh * 1.2 : 0;
  const textLines = b.density >= 2 ? 2 : 3;
  const top = 1.2 * s + Math.max(0, (b.volume - 2.1 * s - textLines * lh - rowsRoom) / 2);
  const what = [volume.capacity, volume.reclaim].filter(Boolean).join(' · ');
  const statusW = widthOf(volume.status, s * 1.08, 0.56) + 1.4 * s;
  /** @type {Line[]} */
  const lines = [{ t: middle(shortVolume(volume.name), chars), x: mid, y: top + lh * 0.78, size: s, look: 'mono strong', at: 'middle' }];
  let glyph;
  const merged = b.density >= 2;
  const row = top + lh * (merged ? 1 : 2);
  if (merged) {
    const extra = widthOf(volume.capacity ?? '', s, room.mono);
    const gap = Math.max(0.2 * s, Math.min(0.9 * s, textW - 0.8 * s - statusW - extra));
    const start = mid - (statusW + extra + gap) / 2;
    glyph = { x: start + 0.5 * s, y: row + lh * 0.5 };
    lines.push({ t: volume.status, x: start + 1.35 * s, y: row + lh * 0.82, size: s * 1.08, look: `strong tone-${health.tone}`, at: 'start' });
    lines.push({ t: volume.capacity ?? '', x: start + statusW + gap, y: row + lh * 0.82, size: s, look: 'mono quiet', at: 'start' });
  } else {
    lines.push({ t: what.length > chars ? volume.capacity : what, x: mid, y: top + lh * 1.78, size: s, look: 'mono quiet', at: 'middle' });
    const start = mid - statusW / 2;
    glyph = { x: start + 0.5 * s, y: row + lh * 0.5 };
    lines.push({ t: volume.status, x: start + 1.35 * s, y: row + lh * 0.82, size: s * 1.08, look: `strong tone-${health.tone}`, at: 'start' });
  }
  if (unseen) lines.push({ t: unseen, x: beside ? textW + (w - textW) / 2 - 0.3 * s : w / 2, y: beside ? b.volume / 2 + 0.6 * s : top + textLines * lh + lh * 1.1, size: s, look: 'quiet', at: 'middle', fit: detailFit(unseen, (beside ? w - textW : w) - 1.2 * s, s, 0.56) });
  const table = mine ? insideOf(mine, beside ? { x: textW + 0.2 * s, w: w - textW - 0.9 * s, y: 1.3 * s, h: b.volume - 2.2 * s } : { x: 1 * s, w: w - 2 * s, y: top + textLines * lh + 0.3 * s, h: b.tableLines * lh }, b, room, s) : null;
  const sharers = shelf.claim && volume.name === shelf.claim.volume ? usersAtOnce(arrangement, shelf.name) : 0;
  const fresh = mine?.columns.length && !mine.fault && same && mine.at >= same.at;
  const told = !same || same.volume !== volume.name ? '' : fresh ? room.say(`scene.${same.kind}.rows`, { rows: mine.rows.length }) : room.say(`scene.${same.kind}.volume`);
  const proven = sharers > 1 ? room.say('scene.shared', { n: sharers }) : told;
  const badgeTone = sharers > 1 || same?.kind === 'other' ? 'busy' : 'ok';
  const badgeSize = Math.min(s * 1.05, (w + 0.4 * s) / Math.max(1, widthOf(proven, 1, 0.56) + 2.6));
  return {
    id: `volume:${volume.uid}`, type: 'volume', x, y, w, h: b.volume, s, lh, tone: health.tone, mark: health.mark, hidden: false,
    glyph, lines, table, badge: proven, badgeTone, doomed: volume.phase === 'Released' && volume.reclaim === 'Delete' && Boolean(volume.provisioner), size: merged ? 0 : sizeOf(volume), badgeSize: Math.max(badgeSize, s * 0.92), badgeW: (widthOf(proven, 1, 0.56) + 2.6) * Math.max(badgeSize, s * 0.92), term: 'pv', from: 'class', hooks: { volume: volume.name, card: volume.uid },
    label: room.say('aria.volume', { name: volume.name, status: volume.status, size: volume.capacity ?? '', reclaim: volume.reclaim ?? '' })
      + (mine?.columns.length ? room.say('aria.volume.rows', { rows: mine.rows.length }) : '') + (mine?.fault ? room.say('aria.volume.fault', { fault: room.say(faultKey(mine.fault)) }) : ''),
  };
}

/** Whether a volume has room for more than what `kubectl get` says of it. @param {Bands} b */
function rowsSpace(b) {
  return b.density === 0 && b.tableLines > 0;
}

/**
 * What a look found, in the space given: the rows, how old they are, and why there are no newer ones.
 * @param {import('./model.js').Inside} inside @param {{x: number, y: number, w: number, h: number}} box
 * @param {Bands} b @param {Room} room @param {number} s
 */
function insideOf(inside, box, b, room, s) {
  const { fault } = inside;
  const notes = (fault ? 1 : 0) + (inside.columns.length ? 1 : 0);
  const foot = notes * b.lh;
  const none = { x: box.x, y: box.y + Math.max(0, (box.h - foot) / 2) - 0.25 * s, w: 0, h: 0, header: 0, rows: 0, lh: b.lh, lines: /** @type {Line[]} */ ([]) };
  const table = inside.columns.length ? tableOf(inside, { ...box, h: box.h - foot }, b, room, s) : none;
  const mid = box.x + box.w / 2;
  const under = table.y + table.h + 0.1 * s;
  if (fault) {
    const words = room.say(faultKey(fault));
    table.lines.push({ t: words, fit: detailFit(words, box.w, s, 0.56), x: mid, y: under + b.lh * 0.78, size: s, look: 'strong tone-busy', at: 'middle' });
  }
  return { ...table, age: inside.columns.length ? { at: inside.at, last: Boolean(fault), x: mid, y: under + b.lh * (notes - 0.22), size: s } : null, stale: Boolean(fault) };
}

/**
 * The widths of the columns that are shown and what stands between them: as they are if there is room, nearer to each
 * other if there is less, and then from the left as far as it goes, the last one narrower. What has no place is left
 * out, since columns on top of each other can't be read; the menu shows all.
 * @param {number[]} wanted @param {number} room @param {number} s
 * @returns {{widths: number[], gap: number}}
 */
function columnsIn(wanted, room, s) {
  const total = wanted.reduce((sum, w) => sum + w, 0);
  const gap = Math.min(1.1 * s, Math.max(0.5 * s, (room - total) / wanted.length));
  if (total + wanted.length * gap <= room + 0.2 * s) return { widths: wanted, gap };
  /** @type {number[]} */
  const widths = [];
  let free = room;
  for (const [c, w] of wanted.entries()) {
    const isLast = c === wanted.length - 1;
    // What is left out is shown as an ellipsis.
    const width = Math.min(w, free - gap - (isLast ? 0 : s));
    if (widths.length && width < w && width < 2.5 * s) break;
    widths.push(Math.max(width, s));
    free -= width + gap;
    if (width < w) break;
  }
  return { widths, gap };
}

/**
 * The rows as a table of text in the space given.
 * @param {import('./model.js').Inside} inside @param {{x: number, y: number, w: number, h: number}} box
 * @param {Bands} b @param {Room} room @param {number} s
 */
function tableOf(inside, box, b, room, s) {
  const fits = Math.max(1, Math.min(ROWS_MAX + 1, Math.floor((box.h + 2) / b.lh)));
  const header = fits >= 3;
  const space = fits - (header ? 1 : 0);
  const cut = inside.rows.length > space;
  const shown = inside.rows.slice(0, cut ? space - 1 : space);
  const all = header ? [inside.columns, ...shown] : shown;
  const { widths, gap } = columnsIn(inside.columns.map((_, c) => Math.max(...all.map((row) => widthOf(row[c] ?? '', s, room.mono)), s)), box.w, s);
  const left = widths.length < inside.columns.length;
  const total = widths.reduce((sum, v) => sum + v + gap, left ? s : 0);
  const w = Math.min(box.w, total);
  const x = box.x + (box.w - w) / 2;
  const h = (all.length + (cut ? 1 : 0)) * b.lh;
  const y = box.y + Math.max(0, (box.h - h) / 2);
  /** @type {Line[]} */
  const lines = [];
  all.forEach((row, r) => {
    let cx = x + gap / 2;
    const look = header && r === 0 ? 'mono quiet' : 'mono strong';
    widths.forEach((cellW, c) => {
      lines.push({ t: clip(row[c] ?? '', cellW + 0.2 * s, s, room.mono), x: cx, y: y + b.lh * (r + 0.76), size: s, look, at: 'start' });
      cx += cellW + gap;
    });
    if (left) lines.push({ t: '…', x: cx - 0.5 * s, y: y + b.lh * (r + 0.76), size: s, look: 'mono quiet', at: 'start' });
  });
  if (cut) lines.push({ t: room.say('scene.rows.more', { n: inside.rows.length - shown.length }), x: x + w / 2, y: y + b.lh * (all.length + 0.76), size: s, look: 'quiet', at: 'middle' });
  return { x, y: y - 0.1 * s, w, h: h + 0.25 * s, header: header ? b.lh : 0, rows: shown.length, lh: b.lh, lines };
}

/**
 * @param {Card[]} classes @param {{x: number, left: number, w: number, y: number, h: number, volume: Card}[]} disks
 * @param {Plan} plan @param {Bands} b @param {number} yVolumes @param {number} yGround @param {number} height
 * @param {Room} room @param {number} s @param {Item[]} things @param {Item[]} wires
 */
export function classItems(classes, disks, plan, b, yVolumes, yGround, height, room, s, things, wires) {
  if (classes.length === 0) return;
  const lh = b.lh;
  const shown = [...classes].sort((a, c) => Number(c.isDefault) - Number(a.isDefault)).slice(0, plan.below ? 2 : 3);
  shown.forEach((card, i) => {
    const made = disks.filter((d) => d.volume.class === card.name && d.volume.provisioner);
    const label = room.say('aria.class', { name: card.name, provisioner: card.provisioner, binding: card.binding, reclaim: card.reclaim });
    const common = { type: 'class', s, isDefault: card.isDefault, term: 'storageclass', hooks: { class: card.name }, label, made: made.map((d) => d.volume.name) };
    if (plan.below) {
      const w = (Math.min(plan.width, room.width) - 2 * s) / shown.length - 0.5 * s;
      const text = middle(`${card.name}${card.isDefault ? ' (default)' : ''} · ${card.binding}`, Math.floor((w - 3.4 * s) / (room.mono * s)));
      const item = { ...common, id: `class:${card.uid}`, x: s + i * (w + 0.5 * s), y: height - b.below + 0.4 * s, w, h: lh + 0.6 * s, flat: true, lines: [{ t: text, x: 2.4 * s, y: 0.3 * s + lh * 0.77, size: s, look: 'mono', at: 'start' }] };
      things.push(item);
      if (made.length) wires.push({ id: `maker:${card.uid}`, type: 'maker', x: item.x + 1.2 * s, y: item.y, w: 0, h: 0, s, rail: yGround + 0.3 * lh, ends: made.map((d) => ({ x: d.left + d.w * 0.86, y: d.y + d.h - 0.3 * s })), left: item.x + s, right: item.x + w - s, below: true });
      return;
    }
    const w = plan.side - 2 * s;
    const inner = Math.floor((w - 1.5 * s) / (room.mono * s));
    const few = b.density >= 2 || shown.length > 1;
    /** @type {Line[]} */
    const lines = [{ t: 'StorageClass', x: 0.9 * s, y: 0.5 * s + lh * 0.78, size: s, look: 'kind', at: 'start' }];
    const texts = [`${card.name}${card.isDefault ? ' (default)' : ''}`, ...(few ? [] : [card.provisioner]), card.binding, ...(few ? [] : [`reclaim ${card.reclaim}`])];
    texts.forEach((t, n) => lines.push({ t: middle(t, inner), x: 0.9 * s, y: 0.5 * s + lh * (1.82 + n), size: s, look: n === 0 ? 'mono strong' : 'mono quiet', at: 'start' }));
    const h = lh * (texts.length + 1) + 1.3 * s;
    const y = Math.min(yVolumes + (b.volume || 3 * s) - h - 0.2 * s, yGround - h - s) - i * (h + 0.8 * s);
    const item = { ...common, id: `class:${card.uid}`, x: plan.sideX + s, y, w, h, flat: false, lines };
    things.push(item);
    if (made.length) wires.push({ id: `maker:${card.uid}`, type: 'maker', x: item.x, y: item.y + h / 2, w: 0, h: 0, s, rail: yVolumes - 0.75 * s, ends: made.map((d) => ({ x: d.left + d.w - 1.2 * s, y: d.y + 0.35 * s })), below: false });
  });
}
