// @ts-check
/**
 * Owns the timeline as it is seen and moved: a slider for ears and keys, one SVG path for each shape of mark, the head
 * that says where one is, and the name of the mark that is pointed at. Draws numbers that timeline.js made; never
 * decides what a moment shows. Beside draw.js the only module that touches SVG.
 *
 * Nothing runs while nothing happens: a change asks for one drawing, and pointing moves one element.
 */

import { h } from './dom.js';
import { svg } from './draw.js';
import { shown } from './shown.js';
import { ROW_COUNT, paths, shapeOf } from './timeline.js';

/** Arrivals of so many milliseconds are drawn together. */
const GATHER_MS = 60;
/** How many marks a page key goes. */
const PAGE = 10;
/** What is further from the pointer than this, in pixels, is not pointed at. */
const REACH = 14;

/**
 * @typedef {import('./timeline.js').Marks} Marks
 * @typedef {import('./timeline.js').Mark} Mark
 *
 * @typedef {object} Hands What moving it does.
 * @property {(seq: number) => void} go
 * @property {() => void} now
 * @property {(steps: number, single: boolean) => void} step
 */

/**
 * @param {object} options
 * @param {Marks} options.marks
 * @param {(key: string, params?: Record<string, unknown>) => string} options.say
 * @param {(mark: Mark) => string} options.nameOf What a mark is called: its time, its kind, what happened.
 * @param {Hands} options.hands
 */
export function openTrack({ marks, say, nameOf, hands }) {
  const drawing = svg('svg', { class: 'track-marks', 'aria-hidden': 'true', focusable: 'false' });
  const rails = svg('path', { class: 'track-rails' });
  const future = svg('rect', { class: 'track-ahead', y: 0, width: 0, height: 0 });
  const head = svg('g', { class: 'track-head' }, [svg('path', { class: 'track-head-line' }), svg('path', { class: 'track-head-grip', d: 'M-5 0H5V6L0 11L-5 6z' })]);
  /** @type {Map<string, SVGElement>} */
  const shapes = new Map();
  const layer = svg('g', {});
  drawing.append(rails, future, layer, head);
  const tip = h('div', { class: 'track-tip', hidden: true });
  const element = h('div', {
    class: 'track', role: 'slider', tabindex: '0', 'aria-label': say('time.timeline'), 'aria-orientation': 'horizontal', 'aria-valuemin': '0', 'aria-keyshortcuts': 'ArrowLeft ArrowRight , . L',
  }, [tip]);
  element.prepend(drawing);

  let width = 0;
  let height = 0;
  /** The axis in use: while somebody drags on it, it does not give way. */
  let length = marks.length;
  let drawn = '';
  let dragging = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;
  /** Where the reader is. */
  let at = { seq: -1, now: true };
  /** Where the pointer holds the head, before the moment there is read. @type {number | null} */
  let held = null;

  const x = (/** @type {number} */ place) => (place * width) / length;

  function draw() {
    clearTimeout(soon);
    soon = undefined;
    if (!width) return;
    if (!dragging) length = marks.length;
    const key = `${marks.version} ${width} ${height} ${length}`;
    if (key !== drawn) {
      drawn = key;
      const all = paths(marks, { width, height, length });
      for (const [shape, made] of shapes) if (!(shape in all)) made.removeAttribute('d');
      for (const [shape, d] of Object.entries(all)) {
        let made = shapes.get(shape);
        if (!made) {
          made = svg('path', { class: `moment moment-${shape}` });
          shapes.set(shape, made);
          layer.append(made);
        }
        made.setAttribute('d', d);
      }
    }
    place();
  }

  /** The head, and what lies ahead of it. */
  function place() {
    const end = marks.places[marks.places.length - 1] ?? 0;
    const here = x(held ?? (at.now ? end : marks.place(at.seq)));
    head.setAttribute('transform', `translate(${Math.round(here * 10) / 10} 0)`);
    future.setAttribute('x', String(Math.round(here)));
    future.setAttribute('width', String(Math.max(0, Math.round(x(end) + 6 - here))));
  }

  function tell() {
    const index = marks.index(at.seq);
    const count = marks.list.length;
    const behind = at.now ? 0 : count - 1 - index;
    element.setAttribute('aria-valuemax', String(count));
    element.setAttribute('aria-valuenow', String(at.now ? count : index + 1));
    const mark = marks.list[index];
    const where = at.now ? say('time.at.now') : say('panel.behind', { n: behind });
    element.setAttribute('aria-valuetext', mark ? `${where} ${nameOf(mark)}` : where);
  }

  // -------------------------------------------------------------------------------------------------------
  // Pointing

  /** @param {PointerEvent} event The mark under the pointer; past the last one it is now. */
  function under(event) {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / Math.max(1, box.width)) * length;
    const end = marks.places[marks.places.length - 1] ?? 0;
    const index = marks.nearest(place);
    const off = index < 0 ? Infinity : Math.abs(x(marks.places[index]) - (event.clientX - box.left));
    return { index, off, now: index < 0 || place > end + (REACH * length) / Math.max(1, width), place: index < 0 ? 0 : marks.places[index] };
  }

  /** @param {number} index -1 for none */
  function name(index) {
    const mark = marks.list[index];
    tip.hidden = !mark;
    if (!mark) return;
    tip.className = `track-tip is-${shapeOf(mark)}`;
    tip.textContent = shown(nameOf(mark));
    const half = tip.offsetWidth / 2;
    tip.style.setProperty('--x', `${Math.round(Math.max(half, Math.min(element.clientWidth - half, x(marks.places[index]))))}px`);
  }

  /** @param {PointerEvent} event */
  function seek(event) {
    const to = under(event);
    held = to.now ? (marks.places[marks.places.length - 1] ?? 0) : to.place;
    place();
    name(to.now ? -1 : to.index);
    if (to.now) hands.now();
    else hands.go(marks.list[to.index][0]);
  }

  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    dragging = true;
    element.setPointerCapture(event.pointerId);
    seek(event);
  });
  element.addEventListener('pointermove', (event) => {
    if (dragging) {
      seek(event);
      return;
    }
    const { index, off } = under(event);
    name(off <= REACH ? index : -1);
  });
  const release = () => {
    dragging = false;
    held = null;
    draw();
  };
  element.addEventListener('pointerup', release);
  element.addEventListener('pointercancel', release);
  element.addEventListener('pointerleave', () => { if (!dragging) name(document.activeElement === element ? marks.index(at.seq) : -1); });
  element.addEventListener('focus', () => { if (element.matches(':focus-visible')) name(marks.index(at.seq)); });
  element.addEventListener('blur', () => name(-1));

  element.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Whoever took hold with a pointer does not have a slider in hand; on the wall these keys are the remote's.
    if (event.key.startsWith('Page') && document.documentElement.dataset.hand === 'pointer') return;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => hands.step(-1, false),
      ArrowRight: () => hands.step(1, false),
      ArrowDown: () => hands.step(-1, false),
      ArrowUp: () => hands.step(1, false),
      PageDown: () => hands.step(-PAGE, false),
      PageUp: () => hands.step(PAGE, false),
      Home: () => hands.go(marks.list[0]?.[0] ?? marks.first),
      End: () => hands.now(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });

  new ResizeObserver(() => {
    ({ width, height } = drawing.getBoundingClientRect());
    rails.setAttribute('d', Array.from({ length: ROW_COUNT }, (_, row) => `M0 ${Math.round((height / ROW_COUNT) * (row + 0.5)) + 0.5}H${width}`).join(''));
    head.firstElementChild?.setAttribute('d', `M0 0V${height}`);
    future.setAttribute('height', String(height));
    draw();
  }).observe(drawing);

  return {
    element,
    /** @param {{seq: number, now: boolean}} next Where the reader is; `now` when nothing is ahead of that. */
    show(next) {
      const moved = next.seq !== at.seq || next.now !== at.now;
      at = next;
      if (moved && !dragging) {
        place();
        // Who steps with keys hears and reads where that led.
        if (element === document.activeElement && !tip.hidden) name(marks.index(at.seq));
      }
      if (`${marks.version} ${width} ${height} ${length}` !== drawn) soon ??= setTimeout(draw, GATHER_MS);
      tell();
    },
  };
}
