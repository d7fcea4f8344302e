// @ts-check
/**
 * Owns the geometry of the scene: turns the arrangement into numbered boxes, lines of text and joints, in CSS
 * pixels. Pure: the same arrangement and the same room give the same numbers. Hands the list of items to
 * draw.js. Never touches the DOM; the widths of letters come in as a ratio.
 *
 * Bands, top to bottom: controllers, seats, cables, claims, bindings, volumes, ground. A lane is the width
 * that one seat with one claim needs; every column is one lane or more.
 */

import { shadeItem } from './absent.js';
import { middle, shortUid, widthOf, wrapName } from './names.js';
import { faultKey, graceLeft, grip, isHomeless, isOver, lookKey, podHealth, shortVolume } from './model.js';
import { asideOf, classItems, lanesOfShelf, shelfItems } from './shelves.js';

export { middle, shortVolume, wrapName };

/** @typedef {import('./model.js').Arrangement} Arrangement */
/** @typedef {import('./model.js').Group} Group */
/** @typedef {import('./model.js').Column} Column */
/** @typedef {import('./model.js').Shelf} Shelf */
/** @typedef {import('./model.js').Card} Card */
/** @typedef {import('./model.js').Model} Model */

/**
 * @typedef {object} Line One line of text inside an item.
 * @property {string} t
 * @property {number} x
 * @property {number} y The baseline.
 * @property {number} size
 * @property {string} look Class names.
 * @property {'start' | 'middle' | 'end'} at
 * @property {number} [fit] The width it is squeezed to, where it would stand out by a little.
 *
 * @typedef {Record<string, any> & {id: string, type: string, x: number, y: number, w: number, h: number}} Item
 *   What to draw. `from` is the id of the item it comes out of when it is new; `label` is its name for ears;
 *   `hooks` are the data attributes by which the page and its tests find it.
 *
 * @typedef {object} Room
 * @property {number} width
 * @property {number} height
 * @property {boolean} projector
 * @property {number} mono Width of a letter of the monospaced face, as a share of its size.
 * @property {(key: string, params?: Record<string, unknown>) => string} say The words of the panel.
 *
 * @typedef {object} Scene
 * @property {number} width May be more than the room's: then the scene scrolls.
 * @property {number} height
 * @property {number} s The size of small text, which every measure is a multiple of.
 * @property {Item[]} items In painting order.
 */

/** Small text is never smaller than this: on a page, and for the back row of a classroom. */
const SMALLEST = 12;
const SMALLEST_PROJECTED = 18;
/** More bodies than this are counted, not drawn. */
export const BODIES_MAX = 60;
/** A group of more lanes than this is drawn as a crowd. */
const CROWD = 12;
/** The least width of a lane and the width beside the lanes for a class, as multiples of small text. */
const NARROWEST = 9.8;
const SIDE = 16.4;

/**
 * The least size of small text. What counts on a wall is its share of the picture's height: a projector of few
 * lines has as few in its scene.
 * @param {Pick<Room, 'height' | 'projector'>} room
 */
function smallest({ height, projector }) {
  return projector ? Math.max(13, Math.min(SMALLEST_PROJECTED, Math.floor(height / 38))) : SMALLEST;
}

/**
 * The size of small text for a scene of this room.
 * @param {Pick<Room, 'width' | 'height' | 'projector'>} room
 */
export function typeSize({ width, height, projector }) {
  const fit = Math.floor(Math.min(width / 60, height / 45));
  return projector
    ? Math.min(30, Math.max(smallest({ height, projector }), fit))
    : Math.min(18, Math.max(SMALLEST, fit));
}

/**
 * @param {Arrangement} arrangement
 * @param {Model} model
 * @param {Room} room
 * @returns {Scene}
 */
export function layout(arrangement, model, room) {
  const s = fitted(arrangement, room, typeSize(room));
  const plan = planColumns(arrangement, room, s);
  /** @type {Bands | undefined} */
  let bands;
  for (let density = 0; density <= 3; density += 1) {
    bands = planBands(plan, arrangement, model, room, s, density);
    if (bands.natural <= room.height) break;
  }
  return place(plan, /** @type {Bands} */ (bands), arrangement, model, room, s);
}

/**
 * The size of small text, made smaller where that lets more lanes stand side by side without scrolling.
 * @param {Arrangement} arrangement @param {Room} room @param {number} s
 */
function fitted(arrangement, room, s) {
  const lanes = arrangement.groups.map((group) => group.columns.reduce((sum, column) => sum + lanesOf(column), 0)).filter((n) => n <= CROWD);
  const units = lanes.reduce((sum, n) => sum + n * NARROWEST + 2.5, 2) + (arrangement.classes.length ? SIDE : 0);
  return Math.max(smallest(room), Math.min(s, Math.floor(room.width / units)));
}

// ---------------------------------------------------------------------------------------------------------
// Left to right

/**
 * @typedef {{column: Column, x: number, w: number, lanes: number}} PlacedColumn
 * @typedef {{group: Group, x: number, w: number, compact: boolean, columns: PlacedColumn[]}} PlacedGroup
 * @typedef {{groups: PlacedGroup[], lane: number, width: number, side: number, sideX: number, below: boolean}} Plan
 */

/** @param {Column} column */
function lanesOf(column) {
  let lanes = 0;
  for (const shelf of column.shelves) lanes += lanesOfShelf(shelf);
  return Math.max(1, lanes);
}

/**
 * @param {Arrangement} arrangement @param {Room} room @param {number} s
 * @returns {Plan}
 */
function planColumns(arrangement, room, s) {
  const hasClass = arrangement.classes.length > 0;
  const below = hasClass && room.width < 52 * s;
  const side = hasClass && !below ? SIDE * s : 0;
  const margin = s;
  const pad = 0.8 * s;
  const gap = 0.9 * s;
  const narrowest = NARROWEST * s;
  const widest = (room.projector ? 19 : 20) * s;
  const avail = room.width - 2 * margin - side;

  const drafts = arrangement.groups.map((group) => ({
    group,
    lanes: group.columns.reduce((sum, column) => sum + lanesOf(column), 0),
    compact: false,
    width: 0,
  }));
  // A few lanes more than fit may be scrolled to; anything wider, or a crowd, is drawn small instead.
  // Nobody scrolls what is on a wall.
  const most = room.projector ? avail : Math.max(avail, room.width * (below ? 2.4 : 1.6));
  for (const d of drafts) d.compact = d.lanes > CROWD;
  const need = () =>
    drafts.reduce((sum, d) => sum + (d.compact ? 14 * s : d.lanes * narrowest) + 2 * pad + gap, -gap);
  while (need() > most) {
    const biggest = drafts.filter((d) => !d.compact).sort((a, b) => b.lanes - a.lanes)[0];
    if (!biggest || biggest.lanes < 4) break;
    biggest.compact = true;
  }

  const crowded = drafts.filter((d) => d.compact);
  const free = Math.max(avail - need(), 0) / Math.max(1, crowded.length);
  for (const d of crowded) d.width = Math.min(14 * s + free, Math.max(14 * s, d.lanes * 1.5 * s), 60 * s);
  const lanes = drafts.reduce((sum, d) => sum + (d.compact ? 0 : d.lanes), 0);
  const crowdsWidth = crowded.reduce((sum, d) => sum + d.width, 0);
  const room4lanes = avail - crowdsWidth - drafts.length * 2 * pad - Math.max(0, drafts.length - 1) * gap;
  const lane = Math.min(widest, Math.max(narrowest, lanes ? room4lanes / lanes : widest));
  const total =
    lanes * lane + crowdsWidth + drafts.length * 2 * pad + Math.max(0, drafts.length - 1) * gap;

  // The class stands beside what it makes, and both together in the middle.
  let x = margin + Math.max(0, (avail - total) / 2);
  const sideX = Math.max(x + total + s, 0);
  /** @type {PlacedGroup[]} */
  const groups = drafts.map((d) => {
    const inner = d.compact ? d.width : d.lanes * lane;
    const placed = { group: d.group, x, w: inner + 2 * pad, compact: d.compact, columns: /** @type {PlacedColumn[]} */ ([]) };
    if (!d.compact) {
      let cx = x + pad;
      for (const column of d.group.columns) {
        const n = lanesOf(column);
        placed.columns.push({ column, x: cx, w: n * lane, lanes: n });
        cx += n * lane;
      }
    }
    x += placed.w + gap;
    return placed;
  });
  return { groups, lane, width: Math.max(room.width, total + 2 * margin + side), side, sideX, below };
}

// ---------------------------------------------------------------------------------------------------------
// Top to bottom

/**
 * @typedef {object} Bands Heights of the bands and what they leave out for want of room.
 * @property {number} natural
 * @property {number} density
 * @property {number} lh
 * @property {number} controllers
 * @property {number} reins Between controllers and seats.
 * @property {number} seat
 * @property {number} plate
 * @property {number} plateLines
 * @property {number} r The radius of a head.
 * @property {number} bodyLines
 * @property {boolean} nodeLine Whether each body tells its node, since there are several.
 * @property {number} scratch
 * @property {number} cable
 * @property {number} claim
 * @property {number} claimLines
 * @property {boolean} claimMerged
 * @property {number} bind
 * @property {number} volume
 * @property {boolean} beside Whether the rows stand beside the volume's data, not below.
 * @property {number} tableLines Lines for rows and notes.
 * @property {number} noteLines
 * @property {number} ground
 * @property {number} below
 * @property {number} foot
 */

/**
 * @param {Plan} plan @param {Arrangement} arrangement @param {Model} model @param {Room} room
 * @param {number} s @param {number} density 0 shows all, 3 the least
 * @returns {Bands}
 */
function planBands(plan, arrangement, model, room, s, density) {
  const lh = Math.round(s * 1.36);
  const detailed = plan.groups.filter((g) => !g.compact);
  const chars = Math.floor((plan.lane - 1.6 * s) / (room.mono * s));
  const nameLines = (/** @type {string[]} */ names, /** @type {number} */ most) =>
    names.reduce((n, name) => Math.max(n, wrapName(name, chars, most).length), 1);

  const seats = detailed.flatMap((g) => g.columns.map((c) => c.column));
  const plateLines = nameLines(seats.map((c) => c.seat ?? c.pod?.name ?? ''), density >= 3 ? 1 : density === 2 ? 2 : 3);
  const shelves = seats.flatMap((c) => c.shelves);
  const claimLines = nameLines(shelves.map((c) => c.name), density >= 3 ? 2 : 4);

  const sets = arrangement.groups.some((g) => g.sets.length > 0);
  const controllers = lh * 2 + 0.9 * s + (sets ? lh + 0.7 * s : 0) + (controllerWraps(plan, room, s) ? lh : 0);
  const reins = density >= 2 ? 0.9 * s : 1.3 * s;
  const plate = plateLines * lh + 0.5 * s;
  const r = (density >= 2 ? 1.9 : 2.3) * s;
  // In a narrow lane the address needs a line of its own, or it could not be read.
  const nodeLine = arrangement.nodes.length > 1 && density <= 1;
  const bodyLines = (density === 0 || (density < 3 && chars < 20) ? 3 : 2) + (nodeLine ? 1 : 0);
  const scratch = seats.some((c) => c.pod && scratchOf(c.pod).length) ? lh + 0.7 * s : 0;
  const hasClaims = shelves.length > 0 || plan.groups.some((g) => g.compact && g.group.columns.some((c) => c.shelves.length));
  const cable = hasClaims ? (density >= 2 ? 3.4 : 4.2) * s : 0.8 * s;
  const claimMerged = density >= 1;
  const claim = hasClaims ? claimLines * lh + (claimMerged ? 1 : 2) * lh + 1.1 * s : 0;
  const bind = hasClaims ? (density >= 2 ? 1.8 : 2.8) * s : 0;
  const beside = plan.lane >= 19 * s;
  const looked = model.inside.size > 0;
  const tableRows = looked || density === 0 ? (density >= 3 ? 2 : 3) : 0;
  // Under the rows stands how old they are, and what stood in the way of the last look.
  const noteLines = !looked ? 0 : [...model.inside.values()].some((inside) => inside.fault) ? 2 : 1;
  const tableLines = tableRows + noteLines;
  const volumeText = density >= 2 ? 2 : 3;
  const volume = hasClaims
    ? 1.2 * s + (beside ? Math.max(volumeText, tableLines) : volumeText + tableLines) * lh + (tableLines && !beside ? 0.5 * s : 0) + 0.9 * s
    : 0;
  const ground = (density >= 2 ? 1.5 : 2) * lh;
  const below = plan.below ? lh + 1.5 * s : 0;
  const foot = hasClaims ? (density >= 2 ? 1.1 : 1.6) * s : 0.6 * s;
  const seatOf = (/** @type {number} */ radius) =>
    1.3 * s + 2 * radius + 0.7 * lh + bodyLines * lh + 0.15 * lh + scratch + 0.5 * s + plate;
  const fixed = 0.6 * s + controllers + reins + cable + claim + bind + volume + foot + ground + below;
  const natural = fixed + seatOf(r);

  // What is left over makes heads bigger first (they are what a room looks at), then gives the lines air.
  let left = Math.max(0, room.height - natural);
  const headRoom = Math.max(0, Math.min(plan.lane * 0.27, 5.6 * s) - r);
  const grow = Math.min(headRoom, left * 0.22);
  left -= 2 * grow;
  const cableGrow = hasClaims ? Math.min(left * 0.5, 5 * s) : 0;
  left -= cableGrow;
  const bindGrow = hasClaims ? Math.min(left * 0.6, 3 * s) : 0;
  left -= bindGrow;
  const reinGrow = Math.min(left * 0.5, 2.4 * s);
  left -= reinGrow;
  const footGrow = Math.min(left, 2 * s);
  left -= footGrow;
  return {
    natural, density, lh, controllers, plate, plateLines, bodyLines, nodeLine, scratch, claim, claimLines, claimMerged,
    volume, beside, tableLines, noteLines, ground, below,
    reins: reins + reinGrow + left * 0.15,
    r: r + grow,
    seat: seatOf(r + grow),
    cable: cable + cableGrow + left * 0.55,
    bind: bind + bindGrow + left * 0.3,
    foot: foot + footGrow,
  };
}

/** @param {Plan} plan @param {Room} room @param {number} s */
function controllerWraps(plan, room, s) {
  return plan.groups.some((g) => g.group.name.length > Math.floor((controllerWidth(g, room, s) - 1.8 * s) / (room.mono * s * 1.08)));
}

/** @param {PlacedGroup} g @param {Room} room @param {number} s */
function controllerWidth(g, room, s) {
  const name = widthOf(g.group.name, s * 1.1, room.mono) + 2 * s;
  return Math.min(g.w, Math.max(17 * s, name, g.group.sets.length ? 20 * s : 0));
}

/** Volumes that live and die with the Pod, or with its node. @param {Card} pod */
function scratchOf(pod) {
  return (pod.scratch ?? []).filter((/** @type {any} */ v) => v.type === 'emptyDir' || v.type === 'hostPath');
}

// ---------------------------------------------------------------------------------------------------------
// Items

/**
 * @param {Plan} plan @param {Bands} b @param {Arrangement} arrangement @param {Model} model
 * @param {Room} room @param {number} s
 * @returns {Scene}
 */
function place(plan, b, arrangement, model, room, s) {
  const { say } = room;
  const lh = b.lh;
  const height = Math.max(room.height, Math.ceil(b.natural));
  const yControllers = 0.6 * s;
  const ySeats = yControllers + b.controllers + b.reins;
  const yClaims = ySeats + b.seat + b.cable;
  const yVolumes = yClaims + b.claim + b.bind;
  const yGround = height - b.below - b.ground;
  const ns = model.source?.namespace ?? '';
  const nodes = arrangement.nodes;
  const chars = (/** @type {number} */ w, size = s) => Math.max(3, Math.floor(w / (room.mono * size)));

  /** @type {Item[]} */ const back = [];
  /** @type {Item[]} */ const wires = [];
  /** @type {Item[]} */ const things = [];
  /** @type {Item[]} */ const bodies = [];

  if (model.cards.size > 0) back.push({
    id: 'ground', type: 'ground', x: 0, y: yGround, w: plan.width, h: b.ground,
    ready: nodes.every((node) => node.status === 'Ready'), term: 'node',
    label: nodes.map((node) => say('aria.node', { name: node.name, status: node.status })).join(' '),
    lines: groundLines(nodes, b.ground, s),
  });

  /** @type {{x: number, left: number, w: number, y: number, h: number, volume: Card}[]} */
  const disks = [];
  let bodiesLeft = BODIES_MAX;

  for (const placed of plan.groups) {
    const { group, x, w } = placed;
    if (group.kind === 'Gap') continue;
    const cw = controllerWidth(placed, room, s);
    const head = controllerItem(placed, cw, yControllers, b, room, s);
    things.push(head);
    if (group.kind !== 'Loose') {
      back.push({ id: `group:${group.key}`, type: 'group', x, y: yControllers + b.controllers * 0.5, w, h: b.controllers * 0.5 + b.reins + b.seat + 0.5 * s });
    }
    if (placed.compact) {
      bodiesLeft = crowd(placed, ySeats, b, yClaims, yVolumes, model, room, s, things, bodies, head.id, bodiesLeft);
      continue;
    }
    /** @type {{x: number, y: number}[]} */
    const tops = [];
    placed.columns.forEach(({ column, x: cx, w: fullWidth }, index) => {
      // The seat stays over what is its own; what an earlier claim left stands beside that.
      const ownWidth = fullWidth - column.shelves.reduce((sum, shelf) => sum + asideOf(shelf), 0) * plan.lane;
      const seatW = Math.min(ownWidth, plan.lane * 1.4) - 0.9 * s;
      const seatX = cx + (ownWidth - seatW) / 2;
      const mid = cx + ownWidth / 2;
      const wanted = column.wanted || column.pod;
      if (wanted && group.kind !== 'Loose') {
        tops.push({ x: mid, y: ySeats });
        const plate = column.seat ? wrapName(column.seat, chars(seatW - s), b.plateLines) : [];
        back.push({
          id: column.seat ? `seat:${ns}/${column.seat}` : `place:${group.key}/${index}`,
          type: 'seat', x: seatX, y: ySeats, w: seatW, h: b.seat, r: b.r, plate: column.seat ? b.plate : 0,
          headY: 0.95 * s + b.r, taken: Boolean(column.pod), named: Boolean(column.seat), term: column.seat ? 'statefulset' : undefined,
          s,
          hooks: column.seat ? { seat: `${ns}/${column.seat}` } : {},
          label: column.seat
            ? say(column.pod ? 'aria.seat.taken' : 'aria.seat.empty', { name: column.seat })
            : column.pod ? '' : say('scene.pod.missing'),
          lines: plate.map((t, i) => ({ t, x: seatW / 2, y: b.seat - b.plate + 0.25 * s + (i + 0.5 * (b.plateLines - plate.length)) * lh + lh * 0.74, size: s, look: 'mono strong on-plate', at: 'middle' })),
        });
        if (!column.pod) {
          back.push({ id: `vacant:${group.key}/${index}`, type: 'vacant', x: seatX, y: ySeats, w: seatW, h: b.seat, r: b.r, headY: 0.95 * s + b.r, foot: b.seat - (column.seat ? b.plate : 0.5 * s), s, label: '', lines: [vacancy(column, seatW, 0.95 * s + 2 * b.r + 2.1 * s, s, say)] });
        }
      }
      if (column.pod) {
        bodies.push(bodyItem(column.pod, column, seatX, ySeats, seatW, b, model, room, s, head.id));
        bodiesLeft -= 1;
      }
      for (const pod of column.unsure ?? []) {
        const shelf = column.shelves.find((it) => pod.claims?.some((/** @type {any} */ use) => use.claim === it.name));
        back.push(shadeItem(pod, { x: seatX, y: ySeats, w: seatW, r: b.r, foot: b.seat, tight: b.density >= 2, claim: shelf?.claim ? { x: cx + plan.lane / 2 + Math.min(plan.lane - 0.9 * s, 21 * s) * 0.32, y: yClaims } : undefined }, room, s));
      }
      let laneX = cx;
      for (const shelf of column.shelves) {
        const lanes = lanesOfShelf(shelf);
        shelfItems(shelf, laneX, column, { ySeats, yClaims, yVolumes, plan, b, arrangement, model, room, s, things, wires, disks });
        laneX += lanes * plan.lane;
      }
    });
    if (tops.length && group.kind !== 'Pod') {
      wires.push({ id: `reins:${group.key}`, type: 'reins', x: head.x + head.w / 2, y: head.y + head.h, w: 0, h: 0, tops, r: 0.7 * s });
    }
  }

  cableItems(plan, b, ySeats, yClaims, room, s, wires);
  classItems(arrangement.classes, disks, plan, b, yVolumes, yGround, height, room, s, things, wires);
  return { width: Math.ceil(plan.width), height, s, items: [...back, ...wires, ...things, ...bodies] };
}

/**
 * Only a StatefulSet's places outlive their Pods and can be empty; elsewhere a Pod is missing.
 * @param {Column} column @param {number} w @param {number} y @param {number} s @param {Room['say']} say
 * @returns {Line}
 */
function vacancy(column, w, y, s, say) {
  const t = say(column.seat ? 'scene.seat.empty' : 'scene.pod.missing');
  return { t, x: w / 2, y, size: s * 1.1, look: 'quiet', at: 'middle', fit: widthOf(t, s * 1.1, 0.56) > w ? w : undefined };
}

/** @param {Card[]} nodes @param {number} h @param {number} s @returns {Line[]} */
function groundLines(nodes, h, s) {
  if (nodes.length === 0) return [];
  const names = nodes.length > 3 ? `${nodes.slice(0, 3).map((n) => n.name).join('  ')}  +${nodes.length - 3}` : nodes.map((n) => n.name).join('   ');
  return [
    { t: 'Node', x: 1.2 * s, y: h / 2 + 0.36 * s, size: s, look: 'kind', at: 'start' },
    { t: names, x: 1.2 * s + 3.2 * s, y: h / 2 + 0.36 * s, size: s, look: 'mono', at: 'start' },
  ];
}

/**
 * @param {PlacedGroup} placed @param {number} w @param {number} y @param {Bands} b @param {Room} room @param {number} s
 * @returns {Item}
 */
function controllerItem(placed, w, y, b, room, s) {
  const { group } = placed;
  const { say } = room;
  const lh = b.lh;
  const card = group.controller;
  const plain = group.kind === 'Pod' || group.kind === 'Loose';
  const title = group.kind === 'Pod' ? say('scene.bare') : group.kind === 'Loose' ? say(group.columns.some((c) => c.pod) ? 'scene.loose.used' : 'scene.loose') : group.kind;
  const pods = group.columns.reduce((n, c) => n + (c.pod ? 1 : 0), 0);
  const ready = card?.ready ?? group.columns.reduce((n, c) => n + (c.pod?.isReady ? 1 : 0), 0);
  const wanted = card?.replicas ?? pods;
  const name = wrapName(group.name, Math.floor((w - 1.8 * s) / (room.mono * s * 1.08)), 2);
  const cw = plain ? Math.min(placed.w, widthOf(title, s, 0.56) + 1.6 * s) : w;
  /** @type {Line[]} */
  const lines = [{ t: title, fit: plain && widthOf(title, s, 0.56) > placed.w ? placed.w - 0.4 * s : undefined, x: plain ? cw / 2 : 0.9 * s, y: 0.4 * s + lh * 0.78, size: s, look: 'kind', at: plain ? 'middle' : 'start' }];
  name.forEach((t, i) => plain || lines.push({ t, x: 0.9 * s, y: 0.4 * s + lh * (1.82 + i), size: s * 1.08, look: 'mono strong', at: 'start' }));
  if (!plain) lines.push({ t: `${ready}/${wanted}`, x: cw - 0.9 * s, y: 0.4 * s + lh * 0.86, size: s * 1.15, look: 'mono strong count', at: 'end' });
  const base = 0.4 * s + lh * (1 + Math.max(1, name.length)) + 0.45 * s;
  const sets = group.sets.slice(-2).map((set, i, all) => {
    const bw = (cw - 1.2 * s - (all.length - 1) * 0.4 * s) / all.length;
    const tail = set.name.startsWith(`${group.name}-`) ? `…${set.name.slice(group.name.length)}` : set.name;
    const fits = Math.floor((bw - 4.4 * s) / (room.mono * s));
    const left = all.length > 1 || tail.length + 11 > fits ? '' : 'ReplicaSet ';
    return { uid: set.uid, x: 0.6 * s + i * (bw + 0.4 * s), y: base, w: bw, h: lh + 0.3 * s, text: middle(left + tail, fits), count: `${set.ready}/${set.replicas}` };
  });
  const h = plain ? lh + 0.8 * s : base + (sets.length ? lh + 0.75 * s : 0);
  return {
    id: card ? `controller:${card.uid}` : `controller:${group.key}`, type: 'controller', x: placed.x + (placed.w - cw) / 2, y: y + (b.controllers - h), w: cw, h,
    kind: group.kind, plain, s, gone: !card && (group.kind === 'StatefulSet' || group.kind === 'Deployment'),
    pips: plain || wanted > 8 ? [] : Array.from({ length: Math.max(wanted, Math.min(card?.existing ?? pods, 8)) }, (_, i) => (i < ready ? (i < wanted ? 'ready' : 'over') : i < (card?.existing ?? pods) ? 'there' : 'wanted')),
    pipsX: cw - 0.9 * s - widthOf(`${ready}/${wanted}`, s * 1.15, room.mono) - 0.7 * s, pipsY: 0.4 * s + lh * 0.52,
    sets, lines, term: { StatefulSet: 'statefulset', Deployment: 'deployment' }[group.kind],
    hooks: { controller: group.key, ...(card && group.kind !== 'ReplicaSet' ? { card: card.uid } : {}) },
    label: plain ? title : say('aria.controller', { kind: group.kind, name: group.name, wanted, ready }),
  };
}

/**
 * @param {Card} pod @param {Column} column @param {number} x @param {number} y @param {number} w
 * @param {Bands} b @param {Model} model @param {Room} room @param {number} s @param {string} from
 * @returns {Item}
 */
function bodyItem(pod, column, x, y, w, b, model, room, s, from) {
  const lh = b.lh;
  const health = podHealth(pod);
  const headY = 0.95 * s + b.r;
  const chest = headY + b.r + 0.35 * s + 0.7 * lh;
  const chars = Math.floor((w - 1.4 * s) / (room.mono * s));
  const ready = `${pod.ready?.[0] ?? 0}/${pod.ready?.[1] ?? 0}`;
  const again = pod.restarts > 0 ? ` ↻${pod.restarts}` : '';
  const mid = w / 2;
  const inset = w < 12.5 * s ? 0.3 * s : 0.9 * s;
  const fit = w - 2 * inset - 0.6 * s;
  const statusSize = Math.min(s * 1.22, fit / Math.max(1, widthOf(pod.status, 1, 0.6)));
  /** @type {Line[]} */
  const lines = [{ t: pod.status, x: mid, y: chest + lh * 0.72, size: Math.max(s, statusSize), look: `strong tone-${health.tone}`, at: 'middle', fit: widthOf(pod.status, s, 0.6) > fit ? fit : undefined }];
  const where = isHomeless(pod) ? room.say('scene.nowhere') : (pod.ip ?? '');
  const facts = b.bodyLines - (b.nodeLine ? 1 : 0);
  if (b.nodeLine && pod.node) lines.push({ t: middle(pod.node, chars), x: mid, y: chest + lh * (facts + 0.72), size: s, look: 'mono quiet', at: 'middle' });
  if (facts >= 3) {
    lines.push({ t: `READY ${ready}${again}`, x: mid, y: chest + lh * 1.76, size: s, look: 'mono quiet', at: 'middle' });
    if (where) lines.push({ t: middle(where, chars), x: mid, y: chest + lh * 2.72, size: s, look: 'mono quiet', at: 'middle' });
  } else {
    const both = `${ready}${again}${where ? ` ${where}` : ''}`;
    lines.push({ t: both.length <= chars ? both : `READY ${ready}${again}`, x: mid, y: chest + lh * 1.76, size: s, look: 'mono quiet', at: 'middle' });
  }
  // Rows that lie on no claim are the body's own; another body's are not here.
  const own = pod.claims?.length ? undefined : model.inside.get(lookKey(model, pod));
  const rows = own && own.podUid === pod.uid && own.columns.length ? room.say('look.scratch', { n: own.rows.length }) : own?.fault ? room.say(faultKey(own.fault)) : '';
  const scratch = scratchOf(pod).slice(0, 1).map((/** @type {any} */ v) => {
    const seen = `${v.type} · ${rows}`;
    if (v.type === 'emptyDir' && rows && widthOf(seen, s, room.mono) < w - 2.8 * s) return { type: v.type, text: seen };
    const fate = v.type === 'emptyDir' ? `${v.type} ${room.say('scene.scratch')}` : `${v.type} ${v.mount ?? ''}`;
    return { type: v.type, text: widthOf(fate, s, room.mono) < w - 3.2 * s ? fate : v.type };
  });
  const named = Boolean(column.seat);
  const tag = named ? [] : wrapName(pod.name, chars, b.plateLines);
  tag.forEach((t, i) => lines.push({ t, x: mid, y: b.seat - b.plate + 0.25 * s + (i + 0.5 * (b.plateLines - tag.length)) * lh + lh * 0.74, size: s, look: 'mono strong on-tag', at: 'middle' }));
  const grace = graceLeft(pod, model.at);
  const afloat = !pod.node && !isOver(pod);
  return {
    id: `body:${pod.uid}`, type: 'body', x, y: y - (afloat ? 0.55 * s : 0), w, h: b.seat, s, lh, r: b.r, headY, chest, inset,
    foot: b.seat - b.plate, tagH: named ? 0 : b.plate, uid: pod.uid, short: shortUid(pod.uid), tone: health.tone, mark: health.mark,
    phase: afloat ? 'afloat' : isOver(pod) ? 'over' : pod.deleting ? 'leaving' : 'seated', ready: pod.isReady, from, seatY: y,
    deadline: pod.deleting && !isOver(pod) ? pod.deleting : null,
    scratch, scratchY: chest + b.bodyLines * lh + 0.2 * s, lines, term: 'pod',
    hooks: { uid: pod.uid, pod: pod.name, card: pod.uid },
    label: [
      room.say('aria.body', { name: pod.name, uid: shortUid(pod.uid), status: pod.status, ready }),
      pod.ip ? room.say('aria.body.ip', { ip: pod.ip }) : '',
      pod.restarts > 0 ? room.say('aria.body.restarts', { restarts: pod.restarts }) : '',
      grace ? room.say('aria.body.leaving', { seconds: grace.seconds }) : '',
    ].join(''),
    title: pod.message ?? '',
  };
}

/**
 * Cables run from the foot of a body to the top of a claim; several on one claim stand side by side.
 * @param {Plan} plan @param {Bands} b @param {number} ySeats @param {number} yClaims @param {Room} room
 * @param {number} s @param {Item[]} wires
 */
function cableItems(plan, b, ySeats, yClaims, room, s, wires) {
  /** @type {Map<string, {x: number, w: number}>} */
  const claims = new Map();
  /** @type {Map<string, {pod: Card, x: number, w: number, use: any, nth: number, of: number}[]>} */
  const users = new Map();
  for (const placed of plan.groups) {
    for (const { column, x, w } of placed.columns) {
      let laneX = x;
      for (const shelf of column.shelves) {
        if (shelf.claim) claims.set(shelf.name, { x: laneX + plan.lane / 2, w: Math.min(plan.lane - 0.9 * s, 21 * s) });
        laneX += lanesOfShelf(shelf) * plan.lane;
      }
      const uses = column.pod?.claims ?? [];
      uses.forEach((/** @type {any} */ use, /** @type {number} */ nth) => {
        const list = users.get(use.claim) ?? [];
        const own = w - column.shelves.reduce((sum, shelf) => sum + asideOf(shelf), 0) * plan.lane;
        list.push({ pod: /** @type {Card} */ (column.pod), x, w: own, use, nth, of: uses.length });
        users.set(use.claim, list);
      });
    }
  }
  for (const [name, list] of users) {
    const claim = claims.get(name);
    if (!claim) continue;
    list.forEach((user, i) => {
      const x = user.x + user.w / 2 + (user.nth - (user.of - 1) / 2) * 2 * s;
      const to = claim.x + (i - (list.length - 1) / 2) * 2.2 * s;
      const hold = grip(user.pod);
      const straight = Math.abs(x - to) < plan.lane * 0.6;
      const room4text = straight ? plan.lane - 1.2 * s : plan.lane * 0.9;
      wires.push({
        id: `cable:${user.pod.uid}→${name}`, type: 'cable', x, y: ySeats + b.seat, w: 0, h: b.cable, s, body: `body:${user.pod.uid}`, claim: name,
        x2: to, y2: yClaims, grip: hold, labelAt: user.of > 1 ? 0.28 + (0.36 * user.nth) / Math.max(1, user.of - 1) : Math.abs(x - to) < plan.lane * 0.6 ? 0.42 : 0.24, mount: middle(user.use.mount ?? '', Math.floor(room4text / (room.mono * s))), mono: room.mono,
        tone: podHealth(user.pod).tone, hooks: { cable: `${user.pod.name}→${name}`, grip: hold },
        label: room.say(hold === 'plugged' ? 'aria.cable' : hold === 'pulled' ? 'aria.cable.pulled' : 'aria.cable.waiting', { pod: user.pod.name, claim: name, mount: user.use.mount ?? '' }),
      });
    });
  }
}

/**
 * A crowd: heads in a grid, claims and volumes as piles with their counts.
 * @param {PlacedGroup} placed @param {number} y @param {Bands} b @param {number} yClaims @param {number} yVolumes
 * @param {Model} model @param {Room} room @param {number} s @param {Item[]} things @param {Item[]} bodies
 * @param {string} from @param {number} left how many bodies may still be drawn
 * @returns {number} how many may be drawn after this group
 */
function crowd(placed, y, b, yClaims, yVolumes, model, room, s, things, bodies, from, left) {
  const seats = placed.group.columns.filter((c) => c.pod || c.wanted);
  const inner = placed.w - 1.6 * s;
  const tall = b.seat - 0.6 * s;
  const want = Math.min(seats.length, left);
  let cell = 5 * s;
  while (cell > 2.7 * s && Math.floor(inner / cell) * Math.floor(tall / cell) < want + (want < seats.length ? 2 : 0)) cell -= 0.1 * s;
  const perRow = Math.max(2, Math.floor(inner / cell));
  const most = Math.max(1, Math.min(Math.max(1, Math.floor(tall / cell)) * perRow, left));
  const shown = seats.length <= most ? seats : seats.slice(0, Math.max(1, most - 2));
  const x0 = placed.x + (placed.w - Math.min(perRow, seats.length) * cell) / 2;
  shown.forEach((seat, i) => {
    const x = x0 + (i % perRow) * cell;
    const cy = y + 0.3 * s + Math.floor(i / perRow) * cell;
    const pod = seat.pod;
    const health = pod ? podHealth(pod) : { tone: 'gone', mark: 'stop' };
    const numbered = Boolean(seat.seat) && cell >= 4.4 * s;
    bodies.push({
      id: pod ? `body:${pod.uid}` : `seat:${seat.seat ?? `${placed.group.key}/${i}`}`, type: 'mini', x, y: cy, w: cell, h: cell, s, r: (numbered ? 0.31 : 0.37) * cell, uid: pod?.uid ?? '', from,
      tone: health.tone, mark: health.mark, term: 'pod',
      lines: numbered ? [{ t: /\d+$/.exec(seat.seat ?? '')?.[0] ?? '', x: cell / 2, y: 0.62 * cell + 1.2 * s, size: s, look: 'mono quiet', at: /** @type {const} */ ('middle') }] : [],
      hooks: pod ? { uid: pod.uid, pod: pod.name, card: pod.uid } : {}, title: pod ? `${pod.name} ${pod.status}` : (seat.seat ?? ''),
      label: pod ? room.say('aria.body', { name: pod.name, uid: shortUid(pod.uid), status: pod.status, ready: (pod.ready ?? []).join('/') }) : seat.seat ? room.say('aria.seat.empty', { name: seat.seat }) : room.say('scene.pod.missing'),
    });
  });
  if (shown.length < seats.length) {
    const i = shown.length;
    const n = seats.length - shown.length;
    const wide = perRow - (i % perRow) >= 2 ? 2 : 1;
    things.push({ id: `more:${placed.group.key}`, type: 'more', x: x0 + (i % perRow) * cell, y: y + 0.3 * s + Math.floor(i / perRow) * cell, w: cell * wide, h: cell, s, label: room.say('aria.more', { n }), hooks: { more: n }, lines: [{ t: `+${n}`, x: (cell * wide) / 2, y: cell / 2 + 0.36 * s, size: s, look: 'mono strong', at: 'middle' }] });
  }
  const claims = seatsShelves(placed.group).map((shelf) => shelf.claim).filter(Boolean);
  const volumes = seatsShelves(placed.group).flatMap((shelf) => [...shelf.volumes, ...shelf.left]);
  for (const [kind, list, top, h] of /** @type {const} */ ([['PVC', claims, yClaims, b.claim], ['PV', volumes, yVolumes, b.volume]])) {
    if (!list.length || !h) continue;
    /** @type {Record<string, number>} */
    const counts = {};
    for (const card of list) if (card) counts[card.status] = (counts[card.status] ?? 0) + 1;
    const w = Math.min(placed.w - s, 20 * s);
    const ph = Math.min(h, b.lh * 2 + 1.2 * s);
    things.push({
      id: `pile:${kind}/${placed.group.key}`, type: 'pile', kind, x: placed.x + (placed.w - w) / 2, y: top + (h - ph) / 2, w, h: ph, s, term: kind === 'PVC' ? 'pvc' : 'pv', hooks: {},
      label: room.say('aria.pile', { kind, n: list.length }),
      lines: [
        { t: `${kind} × ${list.length}`, x: w / 2, y: 0.6 * s + b.lh * 0.76, size: s * 1.08, look: 'mono strong', at: 'middle' },
        { t: Object.entries(counts).map(([status, n]) => `${status} ${n}`).join(' · '), x: w / 2, y: 0.6 * s + b.lh * 1.76, size: s, look: 'quiet', at: 'middle' },
      ],
    });
  }
  return left - shown.length;
}

/** @param {Group} group @returns {Shelf[]} */
function seatsShelves(group) {
  return group.columns.flatMap((column) => column.shelves);
}
