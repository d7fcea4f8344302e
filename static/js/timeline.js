// @ts-check
/**
 * Owns the numbers of the timeline: which told frames there were, where each stands on the axis, what shape its kind
 * has, and which comes before or after a moment. Pure: no DOM, no clock, no network. Hands paths to track.js and
 * moments to player.js. Never knows what a frame did to the board.
 *
 * The axis is time with its silences cut short: a class of ninety minutes is bursts of seconds with minutes between
 * them, and a recording begins again and again at the same hour.
 */

import { isTold } from './model.js';

/**
 * @typedef {[seq: number, at: number, event: string, kind: string | null, story: string | null, name: string | null, what?: string]} Mark
 *   One told frame, as the server lists it; `what` is its sentence, where this page has heard the frame itself.
 * @typedef {'said' | 'owner' | 'deploy' | 'pod' | 'pvc' | 'pv' | 'rows' | 'class' | 'node' | 'link' | 'warning' | 'restart'} Shape
 */

/** A Pod that is still starting fails its probe: an Event, but no warning. */
const STARTING = 'event.Unhealthy.starting';
/** As many as the server lists. */
export const MARKS_MAX = 5000;
/** More than those are let in before the oldest go, so that not every arrival moves five thousand. */
const SLACK = 250;
/** What stands between two marks, in seconds: never so little that they cover each other, never so much as a pause. */
const STEP_LEAST = 0.8;
const STEP_MOST = 6;
/** The axis is at least so long: the first marks stand beside each other at the left, and time has room ahead. */
const AXIS_LEAST = 40;
/** And grows by this factor when it is full, so that marks move seldom and then all together. */
const GROWTH = 1.3;
/** Two marks of one shape nearer than this, in pixels, are one to the eye. */
const NEAR = 2;

/** The rows of the axis from the top, as in the scene: who decides, who runs, what is kept. */
const ROWS = /** @type {Record<Shape, number>} */ ({ said: 0, owner: 0, deploy: 0, pod: 1, node: 1, link: 1, warning: 1, pvc: 2, pv: 2, class: 2, rows: 2, restart: 1 });
export const ROW_COUNT = 3;

const SHAPES = /** @type {Record<string, Shape>} */ ({
  Pod: 'pod', PersistentVolumeClaim: 'pvc', PersistentVolume: 'pv', StatefulSet: 'owner', Deployment: 'deploy', ReplicaSet: 'deploy', StorageClass: 'class', Node: 'node', Event: 'warning',
});

/**
 * The mark of a frame that came over the stream.
 * @param {string} event
 * @param {any} data
 * @param {string} [what] its sentence
 * @returns {Mark | null} null for what nobody is told
 */
export function markOf(event, data, what) {
  if (!isTold(event, data)) return null;
  const name = data.card?.name ?? data.inside?.claim ?? data.inside?.key ?? data.text ?? null;
  return [data.seq, data.at, event, data.card?.kind ?? null, data.story?.key ?? null, name, what];
}

/** @param {Mark} mark @returns {Shape} */
export function shapeOf([, , event, kind, story]) {
  if (event === 'said') return 'said';
  if (event === 'inside') return 'rows';
  if (event === 'restarted') return 'restart';
  if (story?.startsWith('link.') || story?.startsWith('gap.')) return 'link';
  if (story === STARTING) return 'pod';
  return SHAPES[kind ?? ''] ?? 'warning';
}

/** The told frames of one run, oldest first. */
export class Marks {
  constructor() {
    /** @type {Mark[]} */
    this.list = [];
    /** @type {number[]} Where each stands on the axis. */
    this.places = [];
    /** The oldest frame that can be gone back to, as far as the server said. */
    this.first = 0;
    /** Counts what has changed, for who draws. */
    this.version = 0;
  }

  clear() {
    this.list = [];
    this.places = [];
    this.first = 0;
    this.version += 1;
  }

  /** Adds the newest. @param {Mark} mark */
  add(mark) {
    if (this.list.length && mark[0] <= this.list[this.list.length - 1][0]) return;
    this.list.push(mark);
    this.places.push(this.#next(this.list.length - 1));
    if (this.list.length > MARKS_MAX + SLACK) this.#set(this.list.slice(-MARKS_MAX));
    this.version += 1;
  }

  /** Takes in what the server lists; what this page heard itself stays as it is. @param {Mark[]} marks @param {number} first */
  merge(marks, first) {
    const known = new Map(marks.map((mark) => [mark[0], mark]));
    for (const mark of this.list) known.set(mark[0], mark);
    this.first = first;
    this.#set([...known.values()].filter((mark) => mark[0] >= first).sort((a, b) => a[0] - b[0]).slice(-MARKS_MAX));
    this.version += 1;
  }

  /** The last mark at or before a frame: its index, -1 if all came after. @param {number} seq */
  index(seq) {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.list[mid][0] <= seq) low = mid + 1;
      else high = mid;
    }
    return low - 1;
  }

  /** How many come after a frame. @param {number} seq */
  ahead(seq) {
    return this.list.length - 1 - this.index(seq);
  }

  /**
   * The frame to be at after `steps` marks, to the left if negative.
   * @param {number} seq where one is
   * @param {number} steps
   * @returns {number | null} null when there is none that far to the right: that is now
   */
  step(seq, steps) {
    const here = this.index(seq);
    // Between two marks, the one to the left is already a step away.
    const between = here < 0 || this.list[here][0] !== seq;
    const there = here + steps + (steps < 0 && between ? 1 : 0);
    if (there >= this.list.length) return null;
    return there < 0 ? Math.min(seq, this.first) : this.list[there][0];
  }

  /** The length of the axis. */
  get length() {
    const full = (this.places[this.places.length - 1] ?? 0) + STEP_LEAST;
    let length = AXIS_LEAST;
    while (length < full) length *= GROWTH;
    return length;
  }

  /** Where a frame stands on the axis; between its neighbours if it is not told. @param {number} seq */
  place(seq) {
    const here = this.index(seq);
    if (here < 0) return 0;
    const [left, right] = [this.places[here], this.places[here + 1]];
    return this.list[here][0] === seq || right === undefined ? left : (left + right) / 2;
  }

  /** The mark nearest to a place on the axis: its index, -1 if there is none. @param {number} place */
  nearest(place) {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.places[mid] < place) low = mid + 1;
      else high = mid;
    }
    if (low === this.places.length) return low - 1;
    return low > 0 && place - this.places[low - 1] < this.places[low] - place ? low - 1 : low;
  }

  /** @param {number} index */
  #next(index) {
    if (index === 0) return STEP_LEAST;
    const passed = (this.list[index][1] - this.list[index - 1][1]) / 1000;
    // A recording that begins again goes back in time; on the axis it goes on.
    const step = passed < 0 ? STEP_MOST : Math.min(STEP_MOST, Math.max(STEP_LEAST, passed));
    return this.places[index - 1] + step;
  }

  /** @param {Mark[]} list */
  #set(list) {
    this.list = list;
    this.places = [];
    for (let index = 0; index < list.length; index += 1) this.places.push(this.#next(index));
  }
}

const round = (/** @type {number} */ n) => Math.round(n * 10) / 10;

/**
 * The outline of one mark around a point: the kinds look here as in the scene, as far as a few pixels allow.
 * @param {Shape} shape @param {number} x @param {number} y @param {number} r @param {number} height of the whole axis
 */
export function outline(shape, x, y, r, height) {
  const at = (/** @type {number} */ dx, /** @type {number} */ dy) => `${round(x + dx * r)} ${round(y + dy * r)}`;
  switch (shape) {
    case 'pod': return `M${at(-1, 0)}a${round(r)} ${round(r)} 0 1 1 ${round(2 * r)} 0v${round(r * 0.9)}h${round(-2 * r)}z`;
    case 'pvc': return `M${at(-1.1, -0.8)}H${round(x + 1.1 * r)}V${round(y + 0.8 * r)}H${round(x - 1.1 * r)}z`;
    case 'pv': return `M${at(-1, -0.7)}q${round(r)} ${round(-0.7 * r)} ${round(2 * r)} 0V${round(y + 0.7 * r)}q${round(-r)} ${round(0.7 * r)} ${round(-2 * r)} 0z`;
    case 'owner': return `M${at(0, -1.1)}L${at(1.15, 0.9)}H${round(x - 1.15 * r)}z`;
    case 'deploy': return `M${at(0, 1.1)}L${at(1.15, -0.9)}H${round(x - 1.15 * r)}z`;
    case 'class': return `M${at(-0.5, -1)}L${at(0.5, -1)}L${at(1, -0.5)}L${at(1, 0.5)}L${at(0.5, 1)}L${at(-0.5, 1)}L${at(-1, 0.5)}L${at(-1, -0.5)}z`;
    case 'node': return `M${at(0, -1.1)}L${at(1.1, 0)}L${at(0, 1.1)}L${at(-1.1, 0)}z`;
    case 'said': return `M${at(-0.8, -0.9)}L${at(0.5, 0)}L${at(-0.8, 0.9)}`;
    case 'rows': return `M${at(-1, -0.8)}H${round(x + r)}M${at(-1, 0)}H${round(x + r)}M${at(-1, 0.8)}H${round(x + r)}`;
    case 'link': return `M${at(-1.1, 0.5)}L${at(-0.2, -0.7)}L${at(0.2, 0.7)}L${at(1.1, -0.5)}`;
    case 'restart': return `M${round(x)} 0V${round(height)}`;
    default: return `M${at(0, -1.1)}V${round(y + 0.3 * r)}M${at(0, 0.8)}V${round(y + 1.1 * r)}`;
  }
}

/**
 * One path for each shape, however many marks: those that fall on one another are drawn once.
 * @param {Marks} marks
 * @param {{width: number, height: number, length: number}} room
 * @returns {Record<string, string>}
 */
export function paths(marks, { width, height, length }) {
  /** @type {Record<string, string[]>} */
  const parts = {};
  /** @type {Record<string, number>} */
  const last = {};
  const row = height / ROW_COUNT;
  const r = Math.min(5, row * 0.34);
  const scale = width / length;
  for (let index = 0; index < marks.list.length; index += 1) {
    const shape = shapeOf(marks.list[index]);
    const x = marks.places[index] * scale;
    if (last[shape] !== undefined && x - last[shape] < NEAR) continue;
    last[shape] = x;
    (parts[shape] ??= []).push(outline(shape, x, row * (ROWS[shape] + 0.5), r, height));
  }
  return Object.fromEntries(Object.entries(parts).map(([shape, all]) => [shape, all.join('')]));
}

// ---------------------------------------------------------------------------------------------------------
// Moments

/**
 * The moment a link names: `#at=EPOCH-SEQ`.
 * @param {string} hash
 * @returns {{epoch: string, seq: number} | null}
 */
export function momentOf(hash) {
  const found = /^#at=([\w-]+)-(\d+)$/.exec(hash);
  return found ? { epoch: found[1], seq: Number(found[2]) } : null;
}

/** @param {string} epoch @param {number} seq */
export const hashOf = (epoch, seq) => `#at=${epoch}-${seq}`;
