// @ts-check
/**
 * Owns every SVG element of the panel: joins the items of a scene to elements by id, moves them there, and
 * shows the pictures of the states. With paint.js, which it hands each element to be filled, and track.js the
 * only module that touches SVG; never decides what is shown or where.
 *
 * Nothing runs while nothing moves: one requestAnimationFrame loop lives as long as there are tweens and ends
 * with the last of them.
 */

import { dots, el, PAINT, round, text } from './paint.js';
import { shown } from './shown.js';

export { el as svg, pattern } from './paint.js';

/** @typedef {import('./layout.js').Scene} Scene */
/** @typedef {import('./layout.js').Item} Item */
/** @typedef {import('./layout.js').Line} Line */

/** More things than this in motion cannot be followed; the rest jump. */
const MOVING_MAX = 10;
/** When so many things have to make room, they jump together instead of tearing apart. */
const SHIFTS_MAX = 14;
const STAGGER_MS = 60;

// ---------------------------------------------------------------------------------------------------------
// Sprites and tweens

/**
 * @typedef {{x: number, y: number, o: number, k: number, ring: number, ext: number, x2: number, y2: number}} Pose
 *   Corner, opacity, scale, share of the status ring, share of the cable, and the cable's far end.
 * @typedef {{el: SVGElement, item: Item, pose: Pose, leaving: boolean, painted: string, after?: () => void}} Sprite
 * @typedef {{sprite: Sprite, to: Partial<Pose>, from: Partial<Pose>, start: number, ms: number, ease: (t: number) => number, done?: () => void}} Tween
 */

const easeOut = (/** @type {number} */ t) => 1 - (1 - t) ** 3;
const easeInOut = (/** @type {number} */ t) => (t < 0.5 ? 4 * t ** 3 : 1 - (-2 * t + 2) ** 3 / 2);
const easeFade = (/** @type {number} */ t) => t * (2 - t);
const settle = (/** @type {number} */ t) => 1 + 1.9 * (t - 1) ** 3 + 0.9 * (t - 1) ** 2;

const REACH = /** @type {Record<string, number>} */ ({ names: 0.3, reaching: 0.8, plugged: 1, pulled: 0.22 });

/** The share of the ring that is drawn, apart from a countdown. @param {Item} item */
function ringOf(item) {
  if (item.type !== 'body') return 0;
  if (item.phase === 'over' || item.phase === 'afloat') return 0;
  if (item.phase === 'leaving') return 1;
  return item.ready ? 1 : 0.68;
}

/** What makes an item's paint different; where it is does not. @param {Item} item */
function paintOf(item) {
  const { x, y, x2, y2, label, seatY, ...rest } = item;
  if (item.type === 'cable') return JSON.stringify([item.s, item.mount]);
  if (item.type === 'reins' || item.type === 'maker') return JSON.stringify([x, y, rest]);
  return JSON.stringify(rest);
}

/**
 * A stage in the given element, empty at first.
 * @param {HTMLElement} host
 */
export function openStage(host) {
  const svg = /** @type {SVGSVGElement} */ (el('svg', { class: 'stage', role: 'presentation' }));
  const layers = {
    under: el('g'), wires: el('g'), back: el('g'), things: el('g'), bodies: el('g'), over: el('g', { 'aria-hidden': 'true' }),
  };
  svg.append(...Object.values(layers));
  host.append(svg);

  /** @type {Map<string, Sprite>} */
  const sprites = new Map();
  /** @type {Set<Sprite>} */
  const leaving = new Set();
  /** @type {Map<Sprite, Tween>} */
  const tweens = new Map();
  /** @type {Set<Sprite>} */
  const dirty = new Set();
  let raf = 0;
  /** @type {Scene | null} */
  let scene = null;
  /** @type {string} */
  let spotlit = '';
  /** The id of the item that the Tab key stops at; the arrow keys lead on from there. */
  let stop = '';

  /** @param {string} id */
  function stopAt(id) {
    if (stop === id) return;
    sprites.get(stop)?.el.setAttribute('tabindex', '-1');
    stop = id;
    sprites.get(id)?.el.setAttribute('tabindex', '0');
  }

  // Not on the SVG itself, which would become a stop of its own.
  host.addEventListener('focusin', (event) => {
    for (const [id, sprite] of sprites) if (sprite.el === event.target) stopAt(id);
  });

  /** Finds another stop when the last one left the scene, and takes the keyboard there if it was on it. @param {Item | undefined} left */
  function mendStop(left) {
    if (sprites.has(stop)) return;
    const all = [...sprites.values()].filter((sprite) => sprite.item.hooks?.card).map((sprite) => sprite.item);
    const far = (/** @type {Item} */ item) => (left ? Math.hypot(item.x - left.x, (item.seatY ?? item.y) - (left.seatY ?? left.y)) : 0);
    const next = all.reduce((/** @type {Item | undefined} */ best, item) => (!best || far(item) < far(best) ? item : best), undefined);
    stopAt(next?.id ?? '');
    if (!left) return;
    if (next) sprites.get(next.id)?.el.focus({ preventScroll: true });
    else host.focus({ preventScroll: true });
  }

  const LAYER = /** @type {Record<string, SVGElement>} */ ({
    ground: layers.under, group: layers.under, seat: layers.back, vacant: layers.back, wait: layers.wires, shade: layers.bodies, reins: layers.wires, binding: layers.wires, maker: layers.wires,
    cable: layers.wires, body: layers.bodies, mini: layers.bodies,
  });

  /** @param {Item} item @returns {Pose} */
  const poseOf = (item) => ({ x: item.x, y: item.y, o: 1, k: 1, ring: ringOf(item), ext: REACH[item.grip] ?? 1, x2: item.x2 ?? 0, y2: item.y2 ?? 0 });

  /** @param {Sprite} sprite */
  function paint(sprite) {
    const { item, el: g } = sprite;
    const painted = paintOf(item);
    if (sprite.painted !== painted) {
      sprite.painted = painted;
      g.replaceChildren();
      PAINT[item.type]?.(g, item);
      for (const line of item.lines ?? []) g.append(text(line));
      const more = dots(item);
      if (more) g.append(more);
      if (item.title) {
        const title = el('title');
        title.textContent = shown(item.title);
        g.prepend(title);
      }
    }
    g.setAttribute('class', `item item-${item.type}${item.phase ? ` phase-${item.phase}` : ''}${item.tone ? ` on-${item.tone}` : ''}${item.id === spotlit ? ' is-spot' : ''}`);
    if (item.term) g.dataset.term = item.term;
    for (const [name, value] of Object.entries(item.hooks ?? {})) g.dataset[name] = String(value);
    if (item.label) {
      // What a reader may do something with is a button; one of them at a time is a stop of the Tab key.
      const opens = Boolean(item.hooks?.card);
      g.setAttribute('role', opens ? 'button' : 'img');
      g.setAttribute('aria-label', item.label);
      if (opens) {
        g.setAttribute('aria-haspopup', 'dialog');
        g.setAttribute('tabindex', item.id === stop ? '0' : '-1');
      }
    } else {
      g.setAttribute('aria-hidden', 'true');
    }
    dirty.add(sprite);
  }

  /** @param {Sprite} sprite */
  function pose(sprite) {
    const { item, el: g, pose: p } = sprite;
    if (item.type === 'cable') {
      poseCable(sprite);
      return;
    }
    if (item.type === 'reins' || item.type === 'maker' || p.k === 1) g.setAttribute('transform', `translate(${round(p.x)} ${round(p.y)})`);
    else g.setAttribute('transform', `translate(${round(p.x + item.w / 2)} ${round(p.y + item.h / 2)}) scale(${Math.round(p.k * 1000) / 1000}) translate(${round(-item.w / 2)} ${round(-item.h / 2)})`);
    if (p.o >= 1) g.removeAttribute('opacity');
    else g.setAttribute('opacity', String(Math.max(0, Math.round(p.o * 100) / 100)));
    const wipe = item.type === 'volume' && sprite.leaving ? g.querySelector('[data-part=wipe]') : null;
    if (wipe) {
      wipe.setAttribute('width', String(round(p.ext * item.w)));
      g.querySelector('[data-part=edge]')?.setAttribute('transform', `translate(${round(p.ext * item.w)} 0)`);
    }
    if (item.type === 'body') {
      const ring = g.querySelector('[data-part=ring]');
      ring?.setAttribute('stroke-dasharray', `${round(p.ring * 100)} 200`);
    }
  }

  /** The part of a cubic curve from its start to t. @param {number[]} c x0 y0 x1 y1 x2 y2 x3 y3 @param {number} t */
  function cut(c, t) {
    const mix = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * t;
    const [x0, y0, x1, y1, x2, y2, x3, y3] = c;
    const ax = mix(x0, x1), ay = mix(y0, y1), bx = mix(x1, x2), by = mix(y1, y2), cx = mix(x2, x3), cy = mix(y2, y3);
    const dx = mix(ax, bx), dy = mix(ay, by), ex = mix(bx, cx), ey = mix(by, cy);
    return { d: `M${round(x0)} ${round(y0)} C${round(ax)} ${round(ay)} ${round(dx)} ${round(dy)} ${round(mix(dx, ex))} ${round(mix(dy, ey))}`, x: mix(dx, ex), y: mix(dy, ey) };
  }

  /** @param {Sprite} sprite */
  function poseCable(sprite) {
    const { item, el: g, pose: p } = sprite;
    const s = item.s;
    const body = sprites.get(item.body) ?? [...leaving].find((other) => other.item.id === item.body);
    const ox = p.x + (body ? body.pose.x - body.item.x : 0);
    const oy = p.y + (body ? body.pose.y - (body.item.seatY ?? body.item.y) : 0) - 0.2 * s;
    const end = p.y2 - 0.42 * s;
    const dy = end - oy;
    const slack = Math.abs(ox - p.x2) < s ? 0.55 * s : 0;
    const curve = [ox, oy, ox + slack, oy + dy * 0.5, p.x2 - slack, end - dy * 0.5, p.x2, end];
    const tip = cut(curve, p.ext);
    const part = (/** @type {string} */ name) => g.querySelector(`[data-part=${name}]`);
    part('skin')?.setAttribute('d', tip.d);
    part('wire')?.setAttribute('d', tip.d);
    const guide = part('guide');
    if (item.grip === 'names' || item.grip === 'reaching') guide?.setAttribute('d', `M${round(tip.x)} ${round(tip.y)} L${round(p.x2)} ${round(end)}`);
    else guide?.setAttribute('d', '');
    part('plug')?.setAttribute('transform', `translate(${round(tip.x)} ${round(tip.y)})`);
    const mount = part('mount');
    if (mount) {
      const half = cut(curve, item.labelAt);
      mount.setAttribute('transform', `translate(${round(half.x)} ${round(half.y)})`);
      const seen = item.grip === 'pulled' ? 0 : Math.max(0, Math.min(1, (p.ext - 0.35) / 0.3));
      mount.setAttribute('opacity', String(round(seen)));
    }
    g.setAttribute('opacity', String(Math.round(p.o * 100) / 100));
  }

  /** @param {number} now */
  function frame(now) {
    raf = 0;
    for (const [sprite, tween] of [...tweens]) {
      const t = Math.min(1, (now - tween.start) / tween.ms);
      if (t < 0) continue;
      const e = tween.ease(t);
      for (const key of /** @type {(keyof Pose)[]} */ (Object.keys(tween.to))) {
        const a = /** @type {number} */ (tween.from[key]);
        sprite.pose[key] = t === 1 ? /** @type {number} */ (tween.to[key]) : a + (/** @type {number} */ (tween.to[key]) - a) * e;
      }
      dirty.add(sprite);
      if (t === 1) {
        tweens.delete(sprite);
        tween.done?.();
      }
    }
    flush();
    if (tweens.size) raf = requestAnimationFrame(frame);
  }

  function flush() {
    for (const sprite of dirty) {
      if (sprite.item.type !== 'body') continue;
      for (const other of sprites.values()) if (other.item.type === 'cable' && other.item.body === sprite.item.id) dirty.add(other);
      for (const other of leaving) if (other.item.type === 'cable' && other.item.body === sprite.item.id) dirty.add(other);
    }
    for (const sprite of dirty) pose(sprite);
    dirty.clear();
  }

  /**
   * @param {Sprite} sprite @param {Partial<Pose>} to @param {number} ms @param {number} delay
   * @param {(t: number) => number} ease @param {() => void} [done]
   */
  function tween(sprite, to, ms, delay, ease, done) {
    const old = tweens.get(sprite);
    // A tween that is replaced must not lose the part of its aim that the new one says nothing about.
    if (old) Object.assign(sprite.pose, { ...old.to, ...pick(sprite.pose, to) });
    tweens.set(sprite, { sprite, to, from: { ...sprite.pose }, start: performance.now() + delay, ms, ease, done: done ?? old?.done });
    if (!raf) raf = requestAnimationFrame(frame);
  }

  /** @param {Pose} pose @param {Partial<Pose>} keys */
  function pick(pose, keys) {
    return Object.fromEntries(Object.keys(keys).map((key) => [key, pose[/** @type {keyof Pose} */ (key)]]));
  }

  /** @param {Sprite} sprite */
  function remove(sprite) {
    tweens.delete(sprite);
    leaving.delete(sprite);
    sprite.el.remove();
  }

  /** A mark that shows something just happened here, and is gone a moment later. */
  function flash(/** @type {SVGElement} */ made, /** @type {number} */ ms, layer = layers.over) {
    layer.append(made);
    const sprite = /** @type {Sprite} */ ({ el: made, item: { id: '', type: 'flash', x: 0, y: 0, w: 0, h: 0 }, pose: { x: 0, y: 0, o: 1, k: 1, ring: 0, ext: 0, x2: 0, y2: 0 }, leaving: true, painted: '' });
    leaving.add(sprite);
    tween(sprite, { o: 0 }, ms, 250, easeInOut, () => remove(sprite));
  }

  return {
    svg,

    /**
     * Shows a scene. With `animate`, what came, went or moved since the last one is seen to do so.
     * @param {Scene} next
     * @param {boolean} animate
     */
    draw(next, animate) {
      const resized = !scene || scene.width !== next.width || scene.height !== next.height || scene.s !== next.s;
      scene = next;
      svg.setAttribute('width', String(next.width));
      svg.setAttribute('height', String(next.height));
      if (!animate || resized) {
        for (const sprite of [...leaving]) remove(sprite);
        tweens.clear();
      }
      const ids = new Set(next.items.map((item) => item.id));
      let moving = new Set([...tweens.keys()].filter((sprite) => sprite.item.type !== 'cable' && sprite.item.type !== 'flash')).size;
      let order = 0;
      const may = () => animate && !resized && moving < MOVING_MAX;
      const took = () => {
        moving += 1;
        order += 1;
        return (order - 1) * STAGGER_MS;
      };

      /** @type {Item | undefined} */
      let held;
      for (const [id, sprite] of [...sprites]) {
        if (ids.has(id)) continue;
        sprites.delete(id);
        const { item } = sprite;
        if (sprite.el === document.activeElement) held = item;
        sprite.el.removeAttribute('tabindex');
        if (!may()) {
          remove(sprite);
          continue;
        }
        sprite.leaving = true;
        leaving.add(sprite);
        sprite.el.setAttribute('aria-hidden', 'true');
        for (const name of Object.keys(item.hooks ?? {})) delete sprite.el.dataset[name];
        if (item.type === 'body') {
          sprite.el.dataset.ghost = item.uid;
          sprite.el.classList.add('is-ghost');
          layers.over.append(sprite.el);
          tween(sprite, { y: sprite.pose.y - 4 * next.s, o: 0 }, 1150, took() + 200, easeFade, () => remove(sprite));
        } else if (item.type === 'cable') {
          tween(sprite, { ext: 0.05, o: 0 }, 380, 0, easeOut, () => remove(sprite));
        } else if (item.type === 'volume') {
          leave(sprite, next, took());
        } else if (item.type === 'claim') {
          tween(sprite, { y: sprite.pose.y + 1.6 * next.s, o: 0 }, 620, took(), easeInOut, () => remove(sprite));
        } else {
          tween(sprite, { o: 0 }, item.type === 'seat' ? 600 : 420, 0, easeOut, () => remove(sprite));
        }
      }

      const shifts = next.items.filter((item) => {
        const sprite = sprites.get(item.id);
        return sprite && item.type !== 'cable' && (Math.abs(sprite.item.x - item.x) > 1 || Math.abs((sprite.item.seatY ?? sprite.item.y) - (item.seatY ?? item.y)) > 1);
      }).length;
      const shiftTogether = shifts > SHIFTS_MAX;

      for (const item of next.items) {
        let sprite = sprites.get(item.id);
        const target = poseOf(item);
        if (!sprite) {
          sprite = { el: el('g'), item, pose: { ...target }, leaving: false, painted: '' };
          sprites.set(item.id, sprite);
          (LAYER[item.type] ?? layers.things).append(sprite.el);
          paint(sprite);
          if (animate && !resized) enter(sprite, target, may() ? took : null, next);
          continue;
        }
        const before = sprite.item;
        sprite.item = item;
        paint(sprite);
        const moved = Object.entries(target).some(([key, value]) => sprite && Math.abs(sprite.pose[/** @type {keyof Pose} */ (key)] - value) > 0.5 / (key === 'ext' || key === 'o' || key === 'k' || key === 'ring' ? 100 : 1));
        if (item.deadline) target.ring = sprite.pose.ring;
        if (!moved) {
          if (!tweens.has(sprite)) Object.assign(sprite.pose, target);
          continue;
        }
        const structural = item.type === 'cable' || item.type === 'body';
        if (!animate || resized || (shiftTogether && !structural) || (!structural && !may())) {
          tweens.delete(sprite);
          Object.assign(sprite.pose, target);
        } else if (item.type === 'cable') {
          tween(sprite, target, before.grip === item.grip ? 450 : 620, before.grip !== item.grip && item.grip === 'plugged' ? 80 : 0, before.grip === item.grip ? easeInOut : settle);
        } else {
          tween(sprite, target, item.type === 'body' && before.phase !== item.phase ? 560 : 450, 0, item.type === 'body' ? settle : easeInOut);
          moving += 1;
        }
        if (animate && !resized && item.type === 'body' && before.phase === 'afloat' && item.phase !== 'afloat') landed(item, next);
      }
      mendStop(held);
      flush();
    },

    /**
     * Rings an item once, with a word beside it.
     * @param {string} id
     * @param {string} [word]
     */
    pulse(id, word = '') {
      const sprite = sprites.get(id);
      if (!sprite || !scene) return;
      const { item } = sprite;
      const s = scene.s;
      const made = el('g', { class: 'flash' }, [
        el('rect', { x: item.x - 0.4 * s, y: item.y - 0.4 * s, width: item.w + 0.8 * s, height: item.h + 0.8 * s, rx: 0.9 * s, class: 'flash-ring' }),
      ]);
      if (word) {
        const w = word.length * s * 0.95 + 1.6 * s;
        const x = Math.min(item.x + item.w - w * 0.6, scene.width - w - 4);
        made.append(
          el('rect', { x, y: item.y - 1.5 * s, width: w, height: 2 * s, rx: s, class: 'flash-box' }),
          text({ t: word, x: x + w / 2, y: item.y - 0.1 * s, size: s * 1.15, look: 'strong flash-word', at: 'middle' }),
        );
      }
      flash(made, 1500);
    },

    /**
     * Lights the item that the story speaks of; an empty id puts the light out.
     * @param {string} id
     */
    spot(id) {
      if (spotlit === id) return;
      sprites.get(spotlit)?.el.classList.remove('is-spot');
      spotlit = id;
      const lit = sprites.get(id);
      if (!lit || !scene) return;
      lit.el.classList.add('is-spot');
      // In a scene wider than its window the story must not play out of sight.
      const { x, w } = lit.item;
      if (x < host.scrollLeft || x + w > host.scrollLeft + host.clientWidth) host.scrollLeft = x + w / 2 - host.clientWidth / 2;
    },

    /**
     * Turns the countdowns of Pods that are being stopped.
     * @param {(deadline: {deadline: number, grace?: number}) => {seconds: number, share: number}} left
     * @returns {boolean} whether there is one that still runs
     */
    countdown(left) {
      let running = false;
      for (const sprite of sprites.values()) {
        const { deadline } = sprite.item;
        if (sprite.item.type !== 'body' || !deadline) continue;
        const { seconds, share } = left(deadline);
        running ||= seconds > 0;
        const number = sprite.el.querySelector('[data-part=grace] text');
        if (number) number.textContent = String(seconds);
        if (!tweens.has(sprite)) sprite.pose.ring = share;
        else {
          const to = /** @type {Tween} */ (tweens.get(sprite)).to;
          if ('ring' in to) to.ring = share;
          else sprite.pose.ring = share;
        }
        dirty.add(sprite);
      }
      flush();
      return running;
    },

    /**
     * Tells the ages of rows anew.
     * @param {(at: number, last: boolean) => string} ago
     * @returns {boolean} whether there are any
     */
    ages(ago) {
      let any = false;
      for (const { el: g, item } of sprites.values()) {
        const age = item.table?.age;
        const part = age && g.querySelector('[data-part=age]');
        if (!part) continue;
        any = true;
        part.textContent = ago(age.at, age.last);
      }
      return any;
    },

    /** How many things are in motion. */
    moving: () => tweens.size,
  };

  /**
   * A volume goes: one whose data goes with it is wiped from edge to edge first, so that nobody takes it for one that
   * was only put away.
   * @param {Sprite} sprite @param {Scene} next @param {number} delay
   */
  function leave(sprite, next, delay) {
    const { item, el: g } = sprite;
    const s = next.s;
    const sink = (/** @type {number} */ wait) => tween(sprite, { y: sprite.pose.y + 2.5 * s, o: 0 }, 700, wait, easeInOut, () => remove(sprite));
    if (!item.doomed) {
      sink(delay);
      return;
    }
    g.append(el('rect', { x: 0, y: 0, height: item.h, width: 0, class: 'wipe', 'data-part': 'wipe' }), el('path', { d: `M0 ${round(-0.5 * s)} V${round(item.h + 0.3 * s)}`, class: 'wipe-edge', 'data-part': 'edge' }));
    sprite.pose.ext = 0;
    tween(sprite, { ext: 1 }, 1000, delay + 120, easeInOut, () => sink(150));
  }

  /** @param {Sprite} sprite @param {Pose} target @param {(() => number) | null} took @param {Scene} next */
  function enter(sprite, target, took, next) {
    const { item } = sprite;
    const s = next.s;
    if (item.type === 'cable') {
      sprite.pose.ext = 0.02;
      tween(sprite, { ext: target.ext }, 600, 420, easeOut);
      return;
    }
    if (!took) return;
    switch (item.type) {
      case 'body': {
        const from = sprites.get(item.from);
        sprite.pose.o = 0;
        sprite.pose.k = 0.3;
        if (from) {
          sprite.pose.x = from.item.x + from.item.w / 2 - item.w / 2;
          sprite.pose.y = from.item.y + from.item.h / 2 - item.h / 2;
        }
        tween(sprite, { x: target.x, y: target.y, o: 1, k: 1 }, 820, took() + 120, easeOut);
        break;
      }
      case 'volume': {
        const maker = [...sprites.values()].find((other) => other.item.type === 'class' && other.item.made?.includes(item.hooks.volume));
        sprite.pose.o = 0;
        if (maker) {
          sprite.pose.k = 0.25;
          sprite.pose.x = maker.item.x + maker.item.w / 2 - item.w / 2;
          sprite.pose.y = maker.item.y + maker.item.h / 2 - item.h / 2;
        } else {
          sprite.pose.y += 2 * s;
        }
        tween(sprite, { x: target.x, y: target.y, o: 1, k: 1 }, 850, took(), easeInOut);
        break;
      }
      case 'claim':
        sprite.pose.o = 0;
        sprite.pose.y -= 1.4 * s;
        tween(sprite, { y: target.y, o: 1 }, 500, took(), easeOut);
        break;
      case 'mini':
      case 'controller':
        sprite.pose.o = 0;
        sprite.pose.k = 0.6;
        tween(sprite, { o: 1, k: 1 }, 420, took(), easeOut);
        break;
      case 'tag':
        // The claim falls away, and its name is left hanging.
        sprite.pose.o = 0;
        sprite.pose.y -= 1.6 * s;
        tween(sprite, { y: target.y, o: 1 }, 700, 380, settle);
        break;
      case 'vacant':
        // The empty place is seen once the one who left is out of the way.
        sprite.pose.o = 0;
        tween(sprite, { o: 1 }, 400, 650, easeOut);
        break;
      default:
        sprite.pose.o = 0;
        tween(sprite, { o: 1 }, 420, 120, easeOut);
    }
  }

  /** A Pod got its node: a line runs down to the ground it will live on. @param {Item} item @param {Scene} next */
  function landed(item, next) {
    const ground = next.items.find((other) => other.type === 'ground');
    if (!ground) return;
    const x = item.x + 0.2 * next.s;
    flash(el('g', { class: 'flash' }, [
      el('path', { d: `M${round(x)} ${round(item.seatY + item.h * 0.5)} V${round(ground.y)}`, class: 'flash-land' }),
      el('rect', { x: ground.x, y: ground.y, width: ground.w, height: ground.h, class: 'flash-ground' }),
    ]), 1300, layers.wires);
  }
}

// ---------------------------------------------------------------------------------------------------------
// Pictures of the states

const SIGNS = /** @type {Record<string, string[]>} */ ({
  // A plug on its way to a socket.
  connecting: ['M8 40 H38', 'M38 30 h12 q8 0 8 10 q0 10 -8 10 h-12 z', 'M58 36 h8 M58 44 h8', 'M84 28 h16 v24 h-16 q-6 -12 0 -24', 'M100 40 H132'],
  // A cable that is cut.
  interrupted: ['M8 40 H50 q6 0 8 -6', 'M132 40 H92 q-6 0 -8 6', 'M62 22 l6 8 M72 16 l0 10 M82 22 l-6 8', 'M62 60 l6 -8 M72 66 l0 -10 M82 60 l-6 -8'],
  // A stage light that is out.
  gone: ['M40 16 h60 v36 h-60 z', 'M58 64 h24 M70 52 v12', 'M52 26 l36 16 M88 26 l-36 16'],
  // A signpost whose arm points nowhere.
  misconfigured: ['M70 72 V14', 'M70 18 h34 l10 9 l-10 9 h-34', 'M70 40 h-30 l-8 8 l8 8 h30', 'M52 72 h36'],
  // A key that does not turn.
  unauthorized: ['M44 40 a14 14 0 1 0 0.1 0.1 z', 'M58 40 H104 v12 M92 40 v9', 'M108 22 l14 14 M122 22 l-14 14'],
  // A seal that is broken.
  tls: ['M48 36 v-8 a22 18 0 0 1 44 0 v8', 'M40 36 h60 v32 h-60 z', 'M70 36 l-5 10 l9 6 l-6 16'],
  // An eye behind a line.
  forbidden: ['M30 40 q40 -40 80 0 q-40 40 -80 0 z', 'M70 40 m-11 0 a11 11 0 1 0 22 0 a11 11 0 1 0 -22 0', 'M34 68 L106 12'],
  // An empty seat.
  empty: ['M48 18 m0 0 h44 q8 0 8 8 v34 q0 8 -8 8 h-44 q-8 0 -8 -8 v-34 q0 -8 8 -8 z', 'M40 54 h60', 'M70 38 m-9 0 a9 9 0 1 0 18 0 a9 9 0 1 0 -18 0'],
  // A tape.
  recording: ['M26 22 h88 v36 h-88 z', 'M52 40 m-9 0 a9 9 0 1 0 18 0 a9 9 0 1 0 -18 0', 'M88 40 m-9 0 a9 9 0 1 0 18 0 a9 9 0 1 0 -18 0', 'M52 49 H88'],
});

/**
 * The picture of a state, for decoration beside its words.
 * @param {string} name
 * @returns {SVGElement}
 */
export function sign(name) {
  const dashed = name === 'empty' || name === 'connecting';
  return el('svg', { class: `sign sign-${name}`, viewBox: '0 0 140 80', width: 140, height: 80, 'aria-hidden': 'true' }, (SIGNS[name] ?? SIGNS.misconfigured).map((d, i) => el('path', { d, class: `sign-line${dashed && i === 0 ? ' is-dashed' : ''}` })));
}

/** Small pictures on buttons. */
const ICONS = /** @type {Record<string, string>} */ ({
  pause: 'M7 5v14M17 5v14', play: 'M8 5l11 7l-11 7z', jump: 'M5 5l9 7l-9 7zM18 5v14', big: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5', small: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5', copy: 'M9 9h10v11H9zM5 15V4h10', done: 'M5 12l5 5l9-10', close: 'M6 6l12 12M18 6l-12 12', hands: 'M4 7h9M4 12h6M4 17h9M15 12h6M18 9l3 3l-3 3', reach: 'M4 12h12M11 7l5 5l-5 5M20 5v14', eye: 'M3 12q9-9 18 0q-9 9-18 0zM4 20L20 4', back: 'M18 5l-9 7l9 7zM6 5v14', on: 'M6 5l9 7l-9 7zM18 5v14', link: 'M10 14a4 4 0 0 1 0-6l3-3a4 4 0 0 1 6 6l-2 2M14 10a4 4 0 0 1 0 6l-3 3a4 4 0 0 1-6-6l2-2', save: 'M12 4v11M7 11l5 5l5-5M5 20h14', past: 'M4 12a8 8 0 1 0 3-6.2M4 4v4h4M12 8v4.5l3 2',
});

/** @param {string} name @returns {SVGElement} */
export function icon(name) {
  return el('svg', { class: 'icon', viewBox: '0 0 24 24', width: 20, height: 20, 'aria-hidden': 'true' }, [el('path', { d: ICONS[name] ?? '' })]);
}
