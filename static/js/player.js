// @ts-check
/**
 * Owns when the reader sees what: lets frames pass at a pace one can follow, holds them back while the reader pauses
 * or is in the past, and goes back over the history. Hands each frame on when it is due, with the model that holds
 * it. Knows no DOM and no network: what it shows on, the clock and the archive come in.
 *
 * There are two models: `now` is the cluster with the frames that were let through, and another one, made from a
 * keyframe, is the moment of the past that is looked at. What arrives meanwhile waits for `now`, and moves nothing.
 */

import { Gone } from './archive.js';
import { apply, holdOf, isTold, newModel } from './model.js';
import { Marks, markOf } from './timeline.js';

/**
 * @typedef {import('./archive.js').Frame} Frame
 * @typedef {import('./model.js').Model} Model
 *
 * @typedef {object} View
 * @property {(frame: Frame, model: Model, how: {aloud: boolean, line: boolean}) => void} frame One frame passed.
 * @property {(model: Model, data: any) => void} snapshot The cluster as it is now, all at once.
 * @property {(model: Model, frames: Frame[]) => void} moment Another moment of the past, and what led there.
 * @property {(model: Model) => void} back Now again, as it was when the reader left it; what came since follows.
 * @property {(how: 'play' | 'soon' | 'jump', told?: Frame) => void} picture What was handed on is to be drawn.
 * @property {() => void} changed Paused, behind, in the past, or at another moment.
 * @property {(what: 'run' | 'moment' | 'unread') => void} lost A moment that cannot be shown.
 *
 * @typedef {object} Clock
 * @property {() => number} now ms
 * @property {(run: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 */

/** More frames than this that wait are not worth keeping: a new snapshot costs less. */
export const BUFFER_MAX = 5000;

/** @type {Clock} */
const wall = { now: () => performance.now(), later: (run, ms) => setTimeout(run, ms), cancel: (timer) => clearTimeout(timer) };

/**
 * @param {object} options
 * @param {View} options.view
 * @param {import('./archive.js').Archive} options.archive
 * @param {() => void} options.reopen Asks the stream for a new snapshot.
 * @param {(event: string, data: any) => string | undefined} [options.sentence] What a frame says, for its mark.
 * @param {number} [options.linesMax] Of what is jumped over, so much is told.
 * @param {Clock} [options.clock]
 */
export function newPlayer({ view, archive, reopen, sentence = () => undefined, linesMax = 200, clock = wall }) {
  const marks = new Marks();
  const now = newModel();
  /** What the reader looks at. */
  let shown = now;
  let past = false;
  /** @type {Frame[]} */
  let queue = [];
  let waiting = 0;
  let paused = false;
  let speed = 1;
  let overflown = false;
  /** The newest frame that arrived, shown or not. */
  let last = -1;
  /** @type {any} */
  let holding = null;
  let shownAt = clock.now();
  /** @type {number | null} The moment asked for while another one was being read. */
  let wanted = null;
  let reading = false;
  /** Grows with each change of place, so that an answer to an older wish is known as such. */
  let wish = 0;

  function hold(/** @type {number} */ ms) {
    holding = clock.later(() => {
      holding = null;
      pump();
    }, ms);
  }

  function stop() {
    if (holding !== null) clock.cancel(holding);
    holding = null;
  }

  /** The cluster's clock as the reader sees it: it stands while nothing plays. */
  function time() {
    return shown.at + (paused ? 0 : (clock.now() - shownAt) * speed * (shown.source?.speed ?? 1));
  }

  const behind = () => (past ? marks.ahead(shown.seq) : waiting);

  /** Lets one frame through. @param {Frame} frame @param {boolean} aloud @param {boolean} [line] */
  function pass(frame, aloud, line = true) {
    apply(shown, frame.event, frame.data);
    view.frame(frame, shown, { aloud, line });
  }

  /** Shows frames up to the next one that needs time, then waits that long. */
  function pump() {
    if (paused || holding !== null) return;
    if (past) {
      playOn();
      return;
    }
    let ms = 0;
    /** @type {Frame | undefined} */
    let told;
    let restart = false;
    while (queue.length && ms === 0) {
      const next = /** @type {Frame} */ (queue.shift());
      if (isTold(next.event, next.data)) {
        waiting -= 1;
        told = next;
      }
      ms = holdOf(next.event, next.data, waiting, speed);
      restart ||= next.event === 'restarted';
      pass(next, true);
    }
    shownAt = clock.now();
    // A story is drawn as it is told; of what only arrives, such as a list, the last picture is enough.
    view.picture(restart ? 'jump' : told ? 'play' : 'soon', told);
    view.changed();
    if (ms > 0) hold(ms);
    else if (overflown && !queue.length) {
      overflown = false;
      reopen();
    }
  }

  /** Lets the past go on from where the reader is, up to now. */
  async function playOn() {
    const mine = (wish += 1);
    const frames = await fromArchive(() => archive.after(shown.seq, last));
    if (mine !== wish || !frames || paused) return;
    if (!frames.length) {
      jump();
      return;
    }
    /** @type {Frame | undefined} */
    let told;
    for (const frame of frames) {
      pass(frame, true);
      if (isTold(frame.event, frame.data)) {
        told = frame;
        break;
      }
    }
    shownAt = clock.now();
    view.picture(told?.event === 'restarted' ? 'jump' : 'play', told);
    view.changed();
    hold(told ? holdOf(told.event, told.data, 0, speed) : 0);
  }

  /**
   * What the archive says; what it can't say is told and gives null.
   * @template T
   * @param {() => Promise<T>} ask
   * @returns {Promise<T | null>}
   */
  async function fromArchive(ask) {
    try {
      return await ask();
    } catch (error) {
      const gone = error instanceof Gone;
      if (gone && error.first !== null) marks.merge([], error.first);
      // Standing still is better than trying for ever.
      if (past) paused = true;
      view.lost(gone ? 'moment' : 'unread');
      view.changed();
      return null;
    }
  }

  /** @param {number} seq */
  async function enter(seq) {
    wanted = seq;
    if (reading) return;
    reading = true;
    // While one moment is read the pointer may have gone on: only where it is then counts.
    while (wanted !== null) {
      /** @type {number} */
      const target = wanted;
      const mine = (wish += 1);
      const moment = await fromArchive(() => archive.at(target, marks.first));
      if (wanted === target) wanted = null;
      // Unless somebody went back to now, or let it play, meanwhile.
      if (moment && mine === wish) show(moment);
    }
    reading = false;
  }

  /** @param {{keyframe: import('./archive.js').Keyframe, frames: Frame[]}} moment */
  function show({ keyframe, frames }) {
    stop();
    const memory = structuredClone(shown.memory);
    const model = apply(newModel(), 'snapshot', { insides: [], link: now.link, ...keyframe, epoch: now.epoch, source: now.source });
    // Who was put where stays there, or the scene would be shuffled by looking back.
    model.memory = memory;
    for (const { event, data } of frames) apply(model, event, data);
    past = true;
    paused = true;
    shown = model;
    shownAt = clock.now();
    view.moment(model, frames);
    view.picture('jump', frames.findLast(({ event, data }) => isTold(event, data)));
    view.changed();
  }

  /** Goes on by some frames, each seen as it passes. @param {number} to */
  async function forward(to) {
    const mine = (wish += 1);
    wanted = null;
    stop();
    paused = true;
    while (shown.seq < to) {
      const frames = await fromArchive(() => archive.after(shown.seq, to));
      if (mine !== wish || !frames) return;
      if (!frames.length) break;
      for (const frame of frames) pass(frame, true);
      shownAt = clock.now();
      view.picture(frames.length > 40 ? 'jump' : 'play', frames.findLast(({ event, data }) => isTold(event, data)));
    }
    view.changed();
  }

  /** Goes to a frame, as it was after it. @param {number} seq */
  function go(seq) {
    if (seq >= last) {
      if (past || paused || queue.length) jump();
    }
    else enter(Math.max(0, seq));
  }

  /** Now, at once: what waits is taken in, and nothing is left out of what the page is told. */
  function jump() {
    stop();
    wish += 1;
    wanted = null;
    const was = past;
    past = false;
    paused = false;
    shown = now;
    shownAt = clock.now();
    if (was) view.back(now);
    if (overflown) {
      queue = [];
      waiting = 0;
      overflown = false;
      view.changed();
      reopen();
      return;
    }
    // Lines that would be pushed out at once are not worth making.
    let lines = queue.filter(({ event, data }) => isTold(event, data)).length;
    for (const frame of queue) pass(frame, false, !isTold(frame.event, frame.data) || lines-- <= linesMax);
    queue = [];
    waiting = 0;
    view.picture('jump');
    view.changed();
  }

  /** @param {boolean} next */
  function setPaused(next) {
    if (paused === next) return;
    if (next) shown.at = time();
    paused = next;
    wish += 1;
    shownAt = clock.now();
    if (paused) stop();
    else if (overflown && !past) {
      jump();
      return;
    }
    view.changed();
    pump();
  }

  return {
    marks,
    /** What the reader looks at. */
    get model() { return shown; },
    /** The cluster as the reader left it for the past, or sees it. */
    get now() { return now; },
    get past() { return past; },
    get paused() { return paused; },
    get speed() { return speed; },
    get overflown() { return overflown; },
    get last() { return last; },
    behind,
    time,
    go,
    enter,
    jump,
    setPaused,

    /** @param {number} next */
    setSpeed(next) {
      shown.at = time();
      shownAt = clock.now();
      speed = next;
      view.changed();
    },

    /**
     * Goes by told frames, or by single ones whether told or not; to the left if negative. Steps are for standing still.
     * @param {number} steps
     * @param {{single?: boolean}} [how]
     */
    step(steps, { single = false } = {}) {
      // What came silently after the last told frame is part of now: a step from there takes back what was told.
      const here = past ? shown.seq : (marks.list[marks.index(shown.seq)]?.[0] ?? shown.seq);
      const target = single ? Math.max(marks.first, shown.seq + steps) : marks.step(here, steps);
      if (steps > 0 && !past) {
        // Paused, with some in hand: the next of them is due.
        if (!paused || !queue.length) return;
        const until = single || target === null ? shown.seq + 1 : target;
        /** @type {Frame | undefined} */
        let told;
        while (queue.length && shown.seq < until) {
          const next = /** @type {Frame} */ (queue.shift());
          if (isTold(next.event, next.data)) {
            waiting -= 1;
            told = next;
          }
          pass(next, true);
        }
        view.picture('play', told);
        view.changed();
      } else if (target === null || target > last) {
        jump();
      } else if (steps > 0) {
        forward(target);
      } else if (target < shown.seq) {
        enter(target);
      }
    },

    /**
     * Something that this page alone knows of: told in its turn, and part of no history.
     * @param {string} event @param {any} data Without a number of its own.
     */
    add(event, data) {
      if (overflown) return;
      queue.push({ event, data: { at: (queue.at(-1)?.data ?? now).at, ...data } });
      if (isTold(event, data)) waiting += 1;
      if (holding === null && !past) pump();
      view.changed();
    },

    /** A frame of the stream. @param {string} event @param {any} data */
    receive(event, data) {
      if (event === 'snapshot') {
        const other = now.epoch !== '' && data.epoch !== now.epoch;
        queue = [];
        waiting = 0;
        overflown = false;
        last = data.seq;
        if (data.epoch !== now.epoch) {
          marks.clear();
          marks.first = data.seq;
          archive.reset(data.epoch);
        }
        apply(now, event, data);
        // The same run seen anew, for instance after the tab was in the back, is no reason to leave the past.
        if (past && !other) {
          view.changed();
          return;
        }
        stop();
        wish += 1;
        wanted = null;
        if (past) {
          past = false;
          paused = false;
          shown = now;
          view.back(now);
          view.lost('run');
        }
        shownAt = clock.now();
        view.snapshot(now, data);
        view.picture('jump');
        view.changed();
        return;
      }
      last = data.seq;
      const mark = markOf(event, data, sentence(event, data));
      if (mark) marks.add(mark);
      if (queue.length >= BUFFER_MAX) overflown = true;
      if (!overflown) {
        queue.push({ event, data });
        if (mark) waiting += 1;
      }
      if (holding === null && !past) pump();
      view.changed();
    },
  };
}
