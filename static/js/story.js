// @ts-check
/**
 * Owns the list of what happened: one line for each told frame, the newest spoken of at length, with the field that
 * proves it and the command that shows it. Lines that say the same again, and steps of one bargain, are one line.
 * Never decides when something is told.
 */

import { h, typed, whole } from './dom.js';
import { tell } from './model.js';

/** Lines that are kept; a class of ninety minutes does not need more. */
export const LINES_MAX = 200;
/** What is said again counts up only as long as its line is in sight. */
const RECENT = 6;
/** Troubles come again and again until somebody mends them; anything else that happens twice is news twice. */
const REPEATS = /^(pod\.(image|config|backoff|crashed|restarted|unschedulable|notready)|event\.)/;
/** Three writes by one controller seal one bargain: the volume names the claim, the claim names the volume, both are bound. */
const BARGAIN = ['pv.bound', 'pvc.named', 'pvc.bound'];

/**
 * @typedef {object} Options
 * @property {(key: string, params?: Record<string, unknown>) => string} say
 * @property {Record<string, any>} stories
 * @property {(value: string) => HTMLElement} command
 * @property {(ms: number) => string} clock
 */

/**
 * What two lines must share to be one.
 * @param {string} event @param {any} data
 * @returns {{again: string, bargain: string}} empty where a line stands for itself
 */
export function bondsOf(event, data) {
  const { key = '', params = {} } = data.story ?? {};
  const subject = params.pod ?? params.object ?? data.card?.name ?? '';
  return {
    again: REPEATS.test(key) ? `${key} ${subject}` : '',
    bargain: BARGAIN.includes(key) && params.volume ? params.volume : '',
  };
}

/** Whether what a line says is spoken of at length, as the newest. @param {string} event */
export function isCaption(event) {
  return event !== 'said';
}

/** @param {import('./archive.js').Frame} frame */
const isLine = ({ event, data }) => Boolean(data.story) || event === 'said' || event === 'restarted';

/**
 * @param {Options} options
 */
export function openStory({ say, stories, command, clock }) {
  const list = h('ol', { class: 'story' });
  const latest = h('button', { type: 'button', class: 'tool latest', hidden: true, onclick: () => toEnd(true) }, [say('panel.latest')]);
  const element = h('section', { class: 'panel-story', 'aria-label': say('panel.story') }, [h('p', { class: 'story-empty' }, [say('panel.story.empty')]), list, latest]);
  /** The lines of now, while those of another moment are shown. @type {Element[] | null} */
  let kept = null;
  let following = true;
  element.addEventListener('scroll', () => {
    following = element.scrollHeight - element.scrollTop - element.clientHeight < 60;
    if (following) latest.hidden = true;
  });

  // Who saw the end of it sees it in another size as well.
  new ResizeObserver(() => toEnd(false)).observe(element);

  /** @param {string} event @param {any} data */
  function lineOf(event, data) {
    if (event === 'said') return h('li', { class: 'line line-said', data: { story: 'said' } }, [
      // One line, however long: the strip above the scene says it whole, and so does this when it is opened.
      h('details', {}, [h('summary', { class: 'said-head' }, [h('time', {}, [clock(data.at)]), h('code', {}, typed(data.text))])]),
      data.answer ? h('pre', { class: 'answer-said' }, [data.answer]) : null,
    ]);
    if (event === 'restarted') return h('li', { class: 'line line-restart', data: { story: 'restarted' } }, [h('span', {}, [say('panel.restarted')])]);
    return data.story ? storyLine(event, data) : null;
  }

  /** @param {string} event @param {any} data */
  function storyLine(event, data) {
    const told = tell(data.story, stories);
    const bonds = bondsOf(event, data);
    const line = h('li', { class: `line kind-${told.key.split('.')[0]}`, data: { story: told.key, ...(bonds.again && { again: bonds.again }), ...(bonds.bargain && { bargain: bonds.bargain }) } });
    const head = [h('time', {}, [clock(data.at)]), told.who ? h('span', { class: 'actor', data: { actor: told.who } }, [told.who]) : null, h('strong', {}, whole(told.what))];
    const why = told.why ? h('p', { class: 'why' }, whole(told.why)) : null;
    if (told.field || told.kubectl) {
      line.append(h('details', {}, [
        h('summary', { class: 'line-head' }, head),
        h('div', { class: 'proof' }, [told.field ? h('code', { class: 'field' }, [told.field]) : null, told.kubectl ? command(told.kubectl) : null]),
      ]));
    } else {
      line.append(h('div', { class: 'line-head' }, head));
    }
    if (why) line.append(why);
    return line;
  }

  /**
   * Takes into a line what it says again, or what it concludes.
   * @param {HTMLElement} line
   * @returns {boolean} whether the keyboard was on a line that went into it
   */
  function gather(line) {
    const { again, bargain } = line.dataset;
    if (!again && !bargain) return false;
    const recent = /** @type {HTMLElement[]} */ ([...list.children].slice(-RECENT));
    const before = recent.filter((other) => (again ? other.dataset.again === again : other.dataset.bargain === bargain));
    if (!before.length) return false;
    if (again) {
      const times = before.reduce((sum, other) => sum + Number(other.dataset.times ?? 1), 1);
      line.dataset.times = String(times);
      line.querySelector('.line-head')?.append(h('span', { class: 'times' }, [say('panel.story.times', { n: times })]));
      const since = before[0].dataset.since ?? before[0].querySelector('time')?.textContent ?? '';
      line.dataset.since = since;
      line.querySelector('.proof')?.prepend(h('p', { class: 'since' }, [say('panel.story.since', { time: since })]));
    } else {
      const steps = before.flatMap((other) => [...other.querySelectorAll('.steps > li'), other]).map((other) => {
        const head = [...other.querySelectorAll('time, strong')].slice(0, 2).map((part) => part.textContent ?? '');
        return h('li', { data: { story: /** @type {HTMLElement} */ (other).dataset.story ?? '' } }, other.matches('.steps > li') ? [...other.childNodes] : [h('time', {}, [head[0]]), ' ', head[1]]);
      });
      line.querySelector('.proof')?.prepend(h('ol', { class: 'steps' }, steps));
      line.querySelector('.line-head')?.append(h('span', { class: 'times' }, [say('panel.story.steps', { n: steps.length + 1 })]));
    }
    // Who reads a line goes on reading.
    const fold = line.querySelector('details');
    if (fold && before.some((other) => other.querySelector('details[open]'))) fold.open = true;
    const focused = before.some((other) => other.contains(document.activeElement));
    for (const other of before) other.remove();
    return focused;
  }

  /** @param {boolean} anyway */
  function toEnd(anyway) {
    if (anyway) following = true;
    if (following) element.scrollTop = element.scrollHeight;
    latest.hidden = following;
  }

  /** @param {string} event @param {any} data */
  function add(event, data) {
    const line = lineOf(event, data);
    if (!line) return;
    const focused = gather(line);
    // A command is never the caption: what was told last stays at length until something comes of it.
    if (isCaption(event)) {
      list.querySelector(':scope > .is-now')?.classList.remove('is-now');
      line.classList.add('is-now');
    }
    list.append(line);
    if (focused) line.querySelector('summary')?.focus({ preventScroll: true });
    while (list.children.length > LINES_MAX) list.firstElementChild?.remove();
    element.classList.add('has-lines');
  }

  return {
    element,
    /** @param {string} event @param {any} data */
    add(event, data) {
      add(event, data);
      toEnd(false);
    },
    toEnd,
    /** Puts in front what happened before the page was opened. @param {import('./archive.js').Frame[]} frames */
    before(frames) {
      const since = kept ?? [...list.children];
      const lines = kept && [...list.children];
      list.replaceChildren();
      for (const { event, data } of frames.filter(isLine).slice(-LINES_MAX)) add(event, data);
      if (since.some((line) => line.classList.contains('is-now'))) list.querySelector(':scope > .is-now')?.classList.remove('is-now');
      list.append(...since);
      while (list.children.length > LINES_MAX) list.firstElementChild?.remove();
      if (kept) {
        kept = [...list.children];
        list.replaceChildren(.../** @type {Element[]} */ (lines));
      }
      element.classList.toggle('has-lines', list.children.length > 0);
      toEnd(false);
    },
    /** Shows what led to a moment of the past instead. @param {import('./archive.js').Frame[]} frames */
    recall(frames) {
      kept ??= [...list.children];
      list.replaceChildren();
      for (const { event, data } of frames.filter(isLine).slice(-LINES_MAX)) add(event, data);
      element.classList.toggle('has-lines', list.children.length > 0);
      toEnd(true);
    },
    /** Shows the lines of now again. */
    back() {
      if (!kept) return;
      list.replaceChildren(...kept);
      element.classList.toggle('has-lines', kept.length > 0);
      kept = null;
      toEnd(true);
    },
  };
}
