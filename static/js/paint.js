// @ts-check
/**
 * Owns what each thing of the scene looks like: fills an element of SVG with the shapes of an item. Knows of no
 * time and no place; draw.js moves what is painted here.
 */

import { shown } from './shown.js';

/** @typedef {import('./layout.js').Item} Item */
/** @typedef {import('./layout.js').Line} Line */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {Record<string, string | number | undefined>} [attributes]
 * @param {(Element | null)[]} [children]
 * @returns {SVGElement}
 */
export function el(tag, attributes = {}, children = []) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, name === 'aria-label' ? shown(value) : String(value));
  for (const child of children) if (child) made.append(child);
  return made;
}

export const round = (/** @type {number} */ n) => Math.round(n * 10) / 10;

/** @param {Line} line */
export function text(line) {
  const made = el('text', { x: round(line.x), y: round(line.y), 'font-size': round(line.size), 'text-anchor': line.at, class: line.look, textLength: line.fit ? round(line.fit) : undefined, lengthAdjust: line.fit ? 'spacingAndGlyphs' : undefined });
  made.textContent = shown(line.t);
  return made;
}

// ---------------------------------------------------------------------------------------------------------
// The pattern of a body

/** Hues that no health colour has, far enough apart to be told from the back row. */
const HUES = [192, 224, 256, 288, 318, 346];

/**
 * The pattern of a uid: five rows of five cells, the right half mirroring the left, and a hue. Equal uids
 * give equal patterns; two uids of the same seat are clearly different.
 * @param {string} uid
 * @returns {{cells: boolean[][], hue: number}}
 */
export function pattern(uid) {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < uid.length; i += 1) {
    a = Math.imul(a ^ uid.charCodeAt(i), 0x01000193) >>> 0;
    b = Math.imul(b + uid.charCodeAt(i), 0x85ebca6b) >>> 0;
    b ^= b >>> 13;
  }
  const bits = (a ^ (a >>> 15)) >>> 0;
  const cells = Array.from({ length: 5 }, (_, row) => {
    const half = [0, 1, 2].map((col) => ((bits >>> (row * 3 + col)) & 1) === 1);
    return [half[0], half[1], half[2], half[1], half[0]];
  });
  // A face of almost nothing or almost everything says nothing: turn its cross on or its corners off.
  const on = cells.flat().filter(Boolean).length;
  if (on < 8) for (const i of [0, 1, 2, 3, 4]) { cells[2][i] = true; cells[i][2] = true; }
  if (on > 19) for (const i of [0, 4]) for (const j of [0, 1, 3, 4]) cells[i][j] = false;
  return { cells, hue: HUES[(b >>> 8) % HUES.length] };
}

/** @param {string} uid @param {number} cx @param {number} cy @param {number} r */
function face(uid, cx, cy, r) {
  const { cells, hue } = pattern(uid);
  const cell = (r * 1.34) / 5;
  const left = cx - cell * 2.5;
  const top = cy - cell * 2.5;
  let d = '';
  cells.forEach((row, y) => {
    for (let x = 0; x < 5; x += 1) {
      if (!row[x]) continue;
      let run = 1;
      while (row[x + run]) run += 1;
      d += `M${round(left + x * cell)} ${round(top + y * cell)}h${round(run * cell)}v${round(cell + 0.4)}h${round(-run * cell)}z`;
      x += run;
    }
  });
  const made = el('g', { class: 'face' }, [el('circle', { cx, cy, r, class: 'face-ground' }), el('path', { d, class: 'face-cells' })]);
  made.style.setProperty('--hue', String(hue));
  return made;
}

// ---------------------------------------------------------------------------------------------------------
// Marks: a state by its shape

/** @param {string} mark @param {string} tone @param {number} x @param {number} y @param {number} r */
function markOf(mark, tone, x, y, r) {
  const g = el('g', { class: `mark tone-${tone}`, transform: `translate(${round(x)} ${round(y)}) scale(${round(r * 10) / 100})` });
  const add = (/** @type {string} */ tag, /** @type {any} */ attributes) => g.append(el(tag, attributes));
  switch (mark) {
    case 'check':
      add('circle', { r: 10, class: 'mark-fill' });
      add('path', { d: 'M-4.6 0.4 L-1.2 3.8 L5 -3.4', class: 'mark-cut' });
      break;
    case 'cross':
      add('path', { d: 'M-4.2 -10 H4.2 L10 -4.2 V4.2 L4.2 10 H-4.2 L-10 4.2 V-4.2 Z', class: 'mark-fill' });
      add('path', { d: 'M-3.8 -3.8 L3.8 3.8 M3.8 -3.8 L-3.8 3.8', class: 'mark-cut' });
      break;
    case 'stop':
      add('rect', { x: -8.4, y: -8.4, width: 16.8, height: 16.8, rx: 3.4, class: 'mark-fill' });
      add('rect', { x: -3.4, y: -3.4, width: 6.8, height: 6.8, class: 'mark-hole' });
      break;
    case 'hourglass':
      add('circle', { r: 10, class: 'mark-ground' });
      add('path', { d: 'M-4.2 -6 H4.2 L-4.2 6 H4.2 Z', class: 'mark-solid' });
      break;
    case 'clock':
      add('circle', { r: 9, class: 'mark-ground' });
      add('path', { d: 'M0 -5 V0.4 L3.6 2.6', class: 'mark-line' });
      break;
    case 'bang':
      add('path', { d: 'M0 -10 L10.5 8.6 H-10.5 Z', class: 'mark-fill mark-corner' });
      add('path', { d: 'M0 -3.4 V2.4 M0 5.4 V5.6', class: 'mark-cut' });
      break;
    case 'lock':
      add('path', { d: 'M-4.4 -1 V-4.6 A4.4 4.6 0 0 1 4.4 -4.6 V-1', class: 'mark-line' });
      add('rect', { x: -7, y: -1.4, width: 14, height: 10.4, rx: 2, class: 'mark-fill' });
      add('path', { d: 'M0 2.4 V5.6', class: 'mark-cut' });
      break;
    default:
      add('circle', { r: 9, class: 'mark-ground' });
      for (const cx of [-4, 0, 4]) add('circle', { cx, r: 1.5, class: 'mark-solid' });
  }
  return g;
}

// ---------------------------------------------------------------------------------------------------------
// One painter per type of item; each fills an empty <g> whose origin is the item's corner

/** @param {number} w @param {number} y @param {number} foot @param {number} inset */
function shoulders(w, y, foot, inset) {
  const r = Math.min((w - 2 * inset) * 0.26, (foot - y) * 0.8);
  return `M${inset} ${foot} V${round(y + r)} Q${inset} ${round(y)} ${round(inset + r)} ${round(y)} H${round(w - inset - r)} Q${round(w - inset)} ${round(y)} ${round(w - inset)} ${round(y + r)} V${foot} Z`;
}

/** @type {Record<string, (g: SVGElement, i: Item) => void>} */
export const PAINT = {
  ground(g, i) {
    g.append(el('rect', { x: 0, y: 0, width: i.w, height: i.h, class: 'ground-earth' }), el('path', { d: `M0 0 H${i.w}`, class: 'ground-top' }));
  },
  group(g, i) {
    g.append(el('rect', { width: i.w, height: i.h, rx: 14, class: 'group-box' }));
  },
  seat(g, i) {
    const { s, w, h } = i;
    // A place that no name keeps is no seat: there is a Pod or there is none.
    if (!i.named && !i.taken) return;
    g.append(el('rect', { width: w, height: h, rx: 0.9 * s, class: `seat-box${i.taken ? '' : ' is-empty'}` }));
    if (i.plate) {
      g.append(
        el('path', { d: `M0 ${h - i.plate} H${w} V${h - 0.9 * s} A${0.9 * s} ${0.9 * s} 0 0 1 ${w - 0.9 * s} ${h} H${0.9 * s} A${0.9 * s} ${0.9 * s} 0 0 1 0 ${h - 0.9 * s} Z`, class: 'seat-plate' }),
        el('path', { d: `M0 ${h - i.plate} H${w}`, class: 'seat-desk' }),
      );
    }
  },
  vacant(g, i) {
    g.append(
      el('path', { d: shoulders(i.w, i.headY + i.r * 0.35, i.foot - 1, 0.9 * i.s), class: 'seat-shade' }),
      el('circle', { cx: i.w / 2, cy: i.headY, r: i.r, class: 'seat-shade' }),
    );
  },
  body(g, i) {
    const { s, w, r, headY } = i;
    const mid = w / 2;
    g.append(el('path', { d: shoulders(w, headY + r * 0.35, i.foot + (i.tagH ? 2 : 0), i.inset), class: 'body-shape' }));
    if (i.tagH) g.append(el('rect', { x: 0.3 * s, y: i.foot, width: w - 0.6 * s, height: i.tagH, rx: 0.5 * s, class: 'body-tag' }));
    g.append(el('circle', { cx: mid, cy: headY, r: r + 0.42 * s, class: 'head-gap' }), face(i.uid, mid, headY, r));
    const ringR = r + 0.22 * s;
    g.append(
      el('circle', { cx: mid, cy: headY, r: ringR, class: `ring-base ring-${i.phase}${i.ready ? ' is-ready' : ''}` }),
      el('path', { d: `M${round(mid)} ${round(headY - ringR)} a${round(ringR)} ${round(ringR)} 0 0 1 0 ${round(2 * ringR)} a${round(ringR)} ${round(ringR)} 0 0 1 0 ${round(-2 * ringR)}`, pathLength: 100, class: `ring tone-${i.tone}`, 'data-part': 'ring' }),
    );
    const mx = mid + r * 0.78 + 0.1 * s;
    const my = headY - r * 0.78;
    if (i.deadline) {
      g.append(el('g', { 'data-part': 'grace', class: 'grace', transform: `translate(${round(mx + 0.35 * s)} ${round(my)})` }, [
        el('circle', { r: 1.25 * s, class: 'grace-ground' }),
        text({ t: '', x: 0, y: 0.4 * s, size: s * 1.1, look: 'mono strong', at: 'middle' }),
      ]));
    } else {
      g.append(el('circle', { cx: mx, cy: my, r: 0.98 * s, class: 'head-gap' }), markOf(i.mark, i.tone, mx, my, 0.78 * s));
    }
    const bw = 3.9 * s;
    const by = headY + r - 0.6 * s;
    g.append(
      el('rect', { x: round(mid - bw / 2), y: round(by), width: round(bw), height: round(s * 1.45), rx: round(s * 0.72), class: 'uid-badge' }),
      text({ t: i.short, x: mid, y: by + s * 1.08, size: s, look: 'mono uid', at: 'middle' }),
    );
    for (const box of i.scratch) {
      g.append(
        el('rect', { x: 1.3 * s, y: i.scratchY, width: w - 2.6 * s, height: i.lh + 0.25 * s, rx: 0.25 * s, class: 'scratch' }),
        text({ t: box.text, x: mid, y: i.scratchY + i.lh * 0.84, size: s, look: 'mono quiet', at: 'middle' }),
      );
    }
  },
  mini(g, i) {
    const c = i.w / 2;
    // A number under a head needs the head a little higher.
    const y = i.lines.length ? i.r + 0.2 * i.s : c;
    if (!i.uid) {
      g.append(el('circle', { cx: c, cy: y, r: i.r, class: 'seat-shade' }));
      return;
    }
    g.append(face(i.uid, c, y, i.r), el('circle', { cx: c, cy: y, r: i.r + 0.14 * i.s, class: `ring-mini tone-${i.tone}` }));
    if (i.mark !== 'check') g.append(markOf(i.mark, i.tone, c + i.r * 0.75, y - i.r * 0.75, 0.5 * i.s));
  },
  controller(g, i) {
    const { s, w, h } = i;
    if (i.plain) return;
    const kind = i.kind === 'StatefulSet' ? 'sts' : i.kind === 'Deployment' ? 'deploy' : 'other';
    if (kind === 'sts') g.append(el('rect', { x: 0.28 * s, y: -0.28 * s, width: w, height: h, rx: 0.5 * s, class: `owner owner-${kind} owner-shade` }));
    g.append(el('rect', { width: w, height: h, rx: kind === 'deploy' ? 1.1 * s : 0.5 * s, class: `owner owner-${kind}${i.gone ? ' is-gone' : ''}` }));
    i.pips.forEach((/** @type {string} */ pip, /** @type {number} */ n) => {
      g.append(el('circle', { cx: round(i.pipsX - (i.pips.length - 1 - n) * 0.95 * s), cy: round(i.pipsY), r: round(0.34 * s), class: `pip pip-${pip}` }));
    });
    for (const set of i.sets) {
      g.append(
        el('rect', { x: set.x, y: set.y, width: set.w, height: set.h, rx: set.h / 2, class: 'owner-set' }),
        text({ t: set.text, x: set.x + 0.7 * s, y: set.y + set.h * 0.71, size: s, look: 'mono quiet', at: 'start' }),
        text({ t: set.count, x: set.x + set.w - 0.7 * s, y: set.y + set.h * 0.71, size: s, look: 'mono strong', at: 'end' }),
      );
    }
  },
  claim(g, i) {
    const { s, w, h } = i;
    const n = 0.55 * s;
    const m = h / 2;
    const k = 0.5 * s;
    g.append(
      el('path', { class: 'claim-shape', d: `M${k} 0 H${w - k} Q${w} 0 ${w} ${k} V${m - n} A${n} ${n} 0 0 0 ${w} ${m + n} V${h - k} Q${w} ${h} ${w - k} ${h} H${k} Q0 ${h} 0 ${h - k} V${m + n} A${n} ${n} 0 0 0 0 ${m - n} V${k} Q0 0 ${k} 0 Z` }),
      el('rect', { x: w / 2 - 1.05 * s, y: -0.42 * s, width: 2.1 * s, height: 0.84 * s, rx: 0.26 * s, class: 'socket' }),
      el('path', { d: `M${w / 2 - 0.42 * s} ${-0.14 * s} v${0.3 * s} M${w / 2 + 0.42 * s} ${-0.14 * s} v${0.3 * s}`, class: 'socket-holes' }),
      markOf(i.mark, i.tone, i.glyph.x, i.glyph.y, 0.56 * s),
    );
    if (i.held) {
      // The lock that keeps it here bears the name of the finalizer.
      const lw = i.lockW;
      const lx = (w - lw) / 2;
      const ly = h - 0.2 * s;
      g.append(el('g', { class: 'hold', 'data-part': 'lock' }, [
        el('path', { d: `M${round(lx + 0.9 * s)} ${round(h - 0.9 * s)} V${round(ly + 0.4 * s)} M${round(lx + lw - 0.9 * s)} ${round(h - 0.9 * s)} V${round(ly + 0.4 * s)}`, class: 'hold-chain' }),
        el('rect', { x: round(lx), y: round(ly), width: round(lw), height: round(1.75 * s), rx: round(0.45 * s), class: 'hold-plate' }),
        markOf('lock', 'busy', lx + 1.3 * s, ly + 0.86 * s, 0.62 * s),
        text({ t: i.held, x: lx + 2.4 * s, y: ly + 1.21 * s, size: s, look: 'mono strong hold-name', at: 'start' }),
      ]));
    }
  },
  tag(g, i) {
    const { s, w, h } = i;
    g.append(
      el('path', { d: `M${w / 2} ${round(h - 0.3 * s)} q${round(0.5 * s)} ${round(i.string * 0.5)} 0 ${round(i.string + 0.3 * s)}`, class: 'tag-string' }),
      el('path', { d: `M${round(0.7 * s)} 0 H${round(w - 0.7 * s)} L${w} ${round(0.7 * s)} V${h} H0 V${round(0.7 * s)} Z`, class: 'tag-card' }),
      el('circle', { cx: w / 2, cy: round(h - 0.1 * s), r: round(0.34 * s), class: 'tag-hole' }),
    );
  },
  wait(g, i) {
    const { s, w, h, r } = i;
    const from = 2 * r + 1.9 * s;
    g.append(
      el('circle', { cx: w / 2, cy: r, r, class: 'wait-head' }),
      el('path', { d: `M${w / 2} ${round(h)} V${round(from)}`, class: 'wait-hand' }),
      el('path', { d: `M${round(w / 2 - 0.6 * s)} ${round(from + 0.9 * s)} L${w / 2} ${round(from)} L${round(w / 2 + 0.6 * s)} ${round(from + 0.9 * s)}`, class: 'wait-tip' }),
    );
  },
  shade(g, i) {
    const { s, r, cx, cy } = i;
    if (i.wire) g.append(el('path', { d: `M${round(cx)} ${round(cy + r)} C${round(cx + 1.4 * s)} ${round(i.h * 0.6)} ${round(i.wire.x + 0.8 * s)} ${round(i.h + (i.wire.y - i.h) * 0.4)} ${round(i.wire.x)} ${round(i.wire.y - 0.2 * s)}`, class: 'shade-wire' }));
    g.append(face(i.uid, cx, cy, r), el('circle', { cx, cy, r: r + 0.25 * s, class: 'shade-ring' }));
    g.append(el('circle', { cx: cx + r * 0.74, cy: cy - r * 0.74, r: 0.85 * s, class: 'shade-doubt' }), text({ t: '?', x: cx + r * 0.74, y: cy - r * 0.74 + 0.4 * s, size: s * 1.15, look: 'strong tone-busy', at: 'middle' }));
  },
  volume(g, i) {
    const { s, w, h } = i;
    const ry = 0.55 * s;
    g.append(
      el('path', { d: `M0 ${ry} V${h - ry} A${w / 2} ${ry} 0 0 0 ${w} ${h - ry} V${ry}`, class: `disk${i.hidden ? ' is-hidden' : ''} disk-${i.tone}` }),
      el('ellipse', { cx: w / 2, cy: ry, rx: w / 2, ry, class: `disk disk-lid${i.hidden ? ' is-hidden' : ''}` }),
    );
    // A bigger disk has more platters.
    for (let n = 1; n <= (i.size ?? 0); n += 1) g.append(el('path', { d: `M0 ${round(h - ry - n * 0.42 * s)} A${w / 2} ${ry} 0 0 0 ${w} ${round(h - ry - n * 0.42 * s)}`, class: 'disk-platter' }));
    if (i.hidden) return;
    if (i.glyph) g.append(markOf(i.mark, i.tone, i.glyph.x, i.glyph.y, 0.56 * s));
    const t = i.table;
    if (t) {
      if (t.w) g.append(el('rect', { x: round(t.x), y: round(t.y), width: round(t.w), height: round(t.h), rx: 0.3 * s, class: `rows-box${t.stale ? ' is-stale' : ''}` }));
      for (let n = t.header ? 1 : 2; n <= t.rows + (t.header ? 0 : 1) && n * t.lh < t.h - 4; n += 1) {
        if (t.header || n > 1) g.append(el('path', { d: `M${round(t.x)} ${round(t.y + 0.1 * s + (t.header ? n : n - 1) * t.lh)} h${round(t.w)}`, class: 'rows-line' }));
      }
      for (const line of t.lines) g.append(text(line));
      if (t.age) {
        const age = text({ t: '', x: t.age.x, y: t.age.y, size: t.age.size, look: 'quiet', at: 'middle' });
        age.dataset.part = 'age';
        g.append(age);
      }
    }
    if (i.badge) {
      const bs = i.badgeSize;
      const bh = bs * 1.7;
      g.append(el('g', { class: `badge tone-${i.badgeTone} badge-${i.badgeTone}`, transform: `translate(${round(w / 2 - i.badgeW / 2)} ${round(h - bh * 0.3)})` }, [
        el('rect', { width: round(i.badgeW), height: round(bh), rx: round(bh / 2), class: 'badge-box' }),
        markOf(i.badgeTone === 'ok' ? 'check' : 'bang', i.badgeTone, bs * 1.05, bh / 2, bs * 0.52),
        text({ t: i.badge, x: bs * 1.9, y: bh * 0.69, size: bs, look: 'strong badge-text', at: 'start' }),
      ]));
    }
  },
  class(g, i) {
    const { s, w, h } = i;
    const c = i.flat ? h / 2 : 0.9 * s;
    g.append(el('path', { d: `M${c} 0 H${w - c} L${w} ${c} V${h - c} L${w - c} ${h} H${c} L0 ${h - c} V${c} Z`, class: 'class-shape' }));
    if (i.flat) g.append(el('path', { d: cog(1.4 * s, h / 2, 0.62 * s), class: 'class-cog' }));
    else g.append(el('path', { d: cog(w - 1.5 * s, 1.2 * s, 0.66 * s), class: 'class-cog' }));
  },
  more(g, i) {
    g.append(el('rect', { x: 3, y: 3, width: i.w - 6, height: i.h - 6, rx: i.h * 0.3, class: 'more-box' }));
  },
  pile(g, i) {
    for (const n of [2, 1, 0]) g.append(el('rect', { x: n * 5, y: -n * 5, width: i.w, height: i.h, rx: i.kind === 'PV' ? i.h * 0.3 : 6, class: `pile pile-${i.kind.toLowerCase()}` }));
  },
  reins(g, i) {
    const ys = i.tops[0]?.y ?? 0;
    const bar = (ys - i.y) * 0.45;
    for (const top of i.tops) {
      const dx = top.x - i.x;
      const r = Math.min(i.r, Math.abs(dx) / 2, bar);
      const sign = Math.sign(dx);
      const d = Math.abs(dx) < 1 ? `M0 0 V${round(top.y - i.y)}` : `M0 0 V${round(bar - r)} Q0 ${round(bar)} ${round(r * sign)} ${round(bar)} H${round(dx - r * sign)} Q${round(dx)} ${round(bar)} ${round(dx)} ${round(bar + r)} V${round(top.y - i.y)}`;
      g.append(el('path', { d, class: 'rein' }));
    }
  },
  maker(g, i) {
    for (const end of i.ends) {
      const d = i.below
        ? `M${round(Math.min(i.right, Math.max(i.left, end.x)) - i.x)} 0 V${round(i.rail - i.y)} H${round(end.x - i.x)} V${round(end.y - i.y)}`
        : `M0 0 H${round(-0.7 * i.s)} V${round(i.rail - i.y)} H${round(end.x - i.x)} V${round(end.y - i.y)}`;
      g.append(el('path', { d, class: 'maker' }));
    }
  },
  binding(g, i) {
    const { s, h } = i;
    const a = 0.42 * s;
    const arrow = (/** @type {number} */ x, /** @type {number} */ y1, /** @type {number} */ y2, /** @type {string} */ look) => {
      const up = Math.sign(y2 - y1);
      return el('path', { d: `M${x} ${round(y1)} V${round(y2)} M${x - a} ${round(y2 - up * a * 1.3)} L${x} ${round(y2)} L${x + a} ${round(y2 - up * a * 1.3)}`, class: `bind ${look}` });
    };
    const both = i.down && i.up ? 'is-bound' : 'is-half';
    if (i.down) g.append(arrow(-0.5 * s, 0.35 * s, h - 0.2 * s, both));
    if (i.up) g.append(arrow(0.5 * s, h - 0.2 * s, 0.3 * s, both));
  },
  cable(g, i) {
    g.append(
      el('path', { class: 'cable-guide', 'data-part': 'guide' }),
      el('path', { class: 'cable-skin', 'data-part': 'skin' }),
      el('path', { class: 'cable', 'data-part': 'wire' }),
      el('g', { class: 'plug', 'data-part': 'plug' }, [
        el('path', { d: `M${-0.42 * i.s} 0 v${0.5 * i.s} M${0.42 * i.s} 0 v${0.5 * i.s}`, class: 'plug-pins' }),
        el('path', { d: `M${-0.95 * i.s} 0 V${-0.55 * i.s} Q${-0.95 * i.s} ${-1.05 * i.s} 0 ${-1.2 * i.s} Q${0.95 * i.s} ${-1.05 * i.s} ${0.95 * i.s} ${-0.55 * i.s} V0 Z`, class: 'plug-head' }),
      ]),
    );
    if (i.mount) {
      const w = i.mount.length * i.mono * i.s + 0.9 * i.s;
      g.append(el('g', { class: 'mount', 'data-part': 'mount' }, [
        el('rect', { x: round(-w / 2), y: round(-0.85 * i.s), width: round(w), height: round(1.6 * i.s), rx: round(0.4 * i.s), class: 'mount-box' }),
        text({ t: i.mount, x: 0, y: 0.33 * i.s, size: i.s, look: 'mono', at: 'middle' }),
      ]));
    }
  },
};

/** Where a thing that opens shows that it does, as three dots. @type {Record<string, (i: Item) => [number, number]>} */
const DOTS = {
  body: ({ w, s }) => [w - 1.5 * s, 0.85 * s],
  claim: ({ w, h, s }) => [w - 0.62 * s, h * 0.78],
  volume: ({ w, s }) => [w / 2, 0.55 * s],
  controller: ({ w, h, s, sets }) => [w - 1.4 * s, (sets.length ? sets[0].y : h) - 0.6 * s],
};

/** @param {Item} item */
export function dots(item) {
  const at = DOTS[item.type]?.(item);
  if (!at || !item.hooks?.card) return null;
  const step = 0.48 * item.s;
  // A claim has text in its whole width, and room at its edge.
  const upright = item.type === 'claim';
  return el('g', { class: 'dots' }, [-1, 0, 1].map((n) => el('circle', { cx: round(at[0] + (upright ? 0 : n * step)), cy: round(at[1] + (upright ? n * step : 0)), r: round(0.15 * item.s) })));
}

/** @param {number} x @param {number} y @param {number} r */
function cog(x, y, r) {
  let d = '';
  for (let i = 0; i < 16; i += 1) {
    const a = (i / 16) * Math.PI * 2;
    const q = i % 4 < 2 ? r : r * 0.74;
    d += `${i ? 'L' : 'M'}${round(x + Math.cos(a) * q)} ${round(y + Math.sin(a) * q)}`;
  }
  return `${d}Z M${round(x + r * 0.34)} ${y} a${round(r * 0.34)} ${round(r * 0.34)} 0 1 0 ${round(-r * 0.68)} 0 a${round(r * 0.34)} ${round(r * 0.34)} 0 1 0 ${round(r * 0.68)} 0`;
}
