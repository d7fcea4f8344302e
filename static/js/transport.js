// @ts-check
/**
 * Owns the controls of time under the scene: pause, steps, the timeline, how far behind one is and the way back to now,
 * the link to a moment and the recording. Says what is so; what a press does is the player's.
 */

import { copy, h } from './dom.js';
import { icon } from './draw.js';
import { fill } from './model.js';
import { BUFFER_MAX } from './player.js';
import { hashOf, shapeOf } from './timeline.js';
import { openTrack } from './track.js';

export const SPEEDS = /** @type {const} */ ([[1, '1×'], [0.5, '½'], [0.25, '¼']]);
/** The value by which a story names what it is about, by the beginning of its key. */
const SUBJECTS = /** @type {Record<string, string>} */ ({ pod: 'pod', pvc: 'claim', pv: 'volume', sts: 'owner', deploy: 'owner', rs: 'owner', sc: 'class', node: 'node', event: 'object', gap: 'name' });
/** Kinds as they are said in sentences. */
const SAID = /** @type {Record<string, string>} */ ({ PersistentVolumeClaim: 'PVC', PersistentVolume: 'PV' });
/** So long "copied" stays. */
const DONE_MS = 1600;

/**
 * What a mark is called: when, of which kind, what happened. Of what this page has not heard itself only the name is
 * known; the other values of its sentence are left open.
 * @param {import('./timeline.js').Mark} mark
 * @param {{say: (key: string, params?: Record<string, unknown>) => string, stories: Record<string, any>, clock: (ms: number) => string}} words
 */
export function nameOf(mark, { say, stories, clock }) {
  const [, at, event, kind, story, name, what] = mark;
  const shape = shapeOf(mark);
  if (event === 'restarted') return `${clock(at)} ${say('panel.restarted')}`;
  if (event === 'said') return `${clock(at)} $ ${name ?? ''}`;
  if (event === 'inside') return `${clock(at)} ${say('time.rows')} ${name ?? ''}`;
  const pattern = story ? stories[story]?.what : undefined;
  const open = pattern ? known(fill(pattern, { [SUBJECTS[story?.split('.')[0] ?? ''] ?? 'name']: name ?? '' })) : `${name ?? ''} ${story?.replace(/^event\./, '') ?? ''}`;
  const sentence = what ?? open;
  const called = SAID[kind ?? ''] ?? kind ?? '';
  return [clock(at), shape === 'link' || sentence.includes(called) ? '' : called, sentence].filter(Boolean).join(' ');
}

/**
 * What a sentence says without the values that the list of moments does not carry: brackets around them go, and
 * sentences of which something else is left. A sentence that is the only one keeps its place with an ellipsis.
 * @param {string} text
 */
function known(text) {
  const value = /\{[a-z][A-Za-z]*\}/;
  const plain = text.replace(/\s*[(（][^()（）]*\{[^()（）]*[)）]/g, '');
  const whole = plain.split(/(?<=[。．.])\s*/).filter((sentence) => !value.test(sentence));
  return whole.length ? whole.join(' ').replace(/(?<=。) /g, '') : plain.replace(/\{[a-z][A-Za-z]*\}/g, '…');
}

/**
 * @param {object} options
 * @param {ReturnType<typeof import('./player.js').newPlayer>} options.player
 * @param {(key: string, params?: Record<string, unknown>) => string} options.say
 * @param {Record<string, any>} options.stories
 * @param {(ms: number) => string} options.clock
 * @param {(text: string) => void} options.announce
 * @param {() => boolean} options.locked Whether the run is not this page's to take away; says so.
 */
export function openTransport({ player, say, stories, clock, announce, locked }) {
  const tool = (/** @type {string} */ name, /** @type {string} */ key, /** @type {() => void} */ onclick, /** @type {string} */ shortcut) =>
    h('button', { type: 'button', class: `tool tool-${name}`, 'aria-label': say(key), title: `${say(key)}${shortcut ? ` (${shortcut})` : ''}`, onclick }, [icon(name)]);
  const pause = h('button', { type: 'button', class: 'tool tool-pause', 'aria-pressed': 'false', onclick: () => player.setPaused(!player.paused) });
  const left = tool('back', 'time.back', () => player.step(-1), '←');
  const right = tool('on', 'time.on', () => player.step(1), '→');
  const live = h('span', { class: 'live-badge' });
  const jump = h('button', { type: 'button', class: 'tool tool-jump', title: `${say('panel.jump')} (L)`, 'aria-keyshortcuts': 'L', onclick: player.jump, hidden: true });
  const speeds = h('span', { class: 'speeds', role: 'group', 'aria-label': say('panel.speed') }, SPEEDS.map(([value, label]) =>
    h('button', { type: 'button', class: 'tool', 'aria-pressed': String(value === 1), data: { speed: String(value) }, onclick: () => player.setSpeed(value) }, [label])));
  const link = tool('link', 'time.link', async () => {
    const { epoch, seq } = player.model;
    await copy(`${location.origin}${location.pathname}${hashOf(epoch, seq)}`);
    link.replaceChildren(icon('done'));
    announce(say('time.linked', { time: clock(player.model.at) }));
    setTimeout(() => link.replaceChildren(icon('link')), DONE_MS);
  }, '');
  const save = h('a', { class: 'tool tool-save', href: '/recording', download: true, 'aria-label': say('time.record'), title: say('time.record'), onclick: (/** @type {Event} */ event) => { if (locked()) event.preventDefault(); } }, [icon('save')]);
  const track = openTrack({
    marks: player.marks,
    say,
    nameOf: (mark) => nameOf(mark, { say, stories, clock }),
    hands: { go: player.go, now: player.jump, step: (steps, single) => player.step(steps, { single }) },
  });
  const element = h('div', { class: 'panel-time', role: 'group', 'aria-label': say('time.controls') }, [
    h('span', { class: 'time-keys' }, [pause, left, right]),
    track.element,
    h('span', { class: 'time-now' }, [live, jump]),
  ]);

  return {
    element,
    /** What stands in the bar above the scene. */
    tools: [speeds, link, save],
    track: track.element,
    show() {
      const { paused, past, overflown, model } = player;
      const behind = player.behind();
      const key = paused ? 'panel.resume' : 'panel.pause';
      if (pause.dataset.key !== key) {
        pause.dataset.key = key;
        pause.replaceChildren(icon(paused ? 'play' : 'pause'));
        pause.setAttribute('aria-pressed', String(paused));
        pause.setAttribute('aria-label', say(key));
        pause.title = `${say(key)} (${say('time.space')})`;
      }
      for (const button of speeds.querySelectorAll('button')) button.setAttribute('aria-pressed', String(Number(button.dataset.speed) === player.speed));
      const worth = past || overflown || behind > 2 || (paused && behind > 0);
      // A button that goes away must not take the keyboard with it.
      if (!worth && document.activeElement === jump) track.element.focus({ preventScroll: true });
      jump.hidden = !worth;
      live.hidden = worth;
      const kind = model.source?.kind;
      live.className = `live-badge${paused ? ' is-paused' : ''}`;
      live.textContent = paused ? say('panel.paused') : !kind ? '' : say(kind === 'recording' ? 'time.newest' : 'time.live');
      if (worth) {
        const n = overflown && !past ? `${BUFFER_MAX}+` : behind;
        jump.replaceChildren(h('span', { class: 'count' }, [say('panel.behind', { n })]), icon('jump'), h('span', { class: 'word' }, [say('panel.jump')]));
      }
      // Forward there is nothing while one is at now.
      right.setAttribute('aria-disabled', String(!past && !(paused && behind > 0)));
      track.show({ seq: model.seq, now: !past && behind === 0 });
    },
  };
}
