// @ts-check
/**
 * The lesson on the page: boxes of steps, predictions, lanes, questions, and how far the reader is. Hears what the
 * panel has shown through the feed; keeps the reader's own progress in this browser. Without the server's lesson
 * there are no boxes, and the text reads as ever.
 */

import { may } from './act.js';
import { h, put } from './dom.js';
import { icon } from './draw.js';
import { subscribe } from './feed.js';
import { guessBox } from './guessbox.js';
import { keep, kept } from './keep.js';
import { laneTable } from './lanetable.js';
import { speaker } from './model.js';
import { joins, nothingKept, objectives, readKept, startOver, takeIn } from './progress.js';
import { openQuiz } from './quiz.js';
import { stepBox } from './stepbox.js';

/** @typedef {import('./stepbox.js').Step} Step */
/** @typedef {import('./model.js').Model} Model */

const told = JSON.parse(document.getElementById('words')?.textContent ?? '{}');
/** @type {Record<string, string>} */
const words = told.words ?? {};
const say = speaker(words);

const panel = document.getElementById('panel');
const live = document.body.appendChild(h('div', { class: 'unseen', role: 'status' }));
const announce = (/** @type {string} */ text) => { live.textContent = text; };

/** Steps are known by their anchors, which are the same in every language; the chapter by its opening's. */
const KEY = `ticks.${document.querySelector('main > .opening')?.id ?? ''}`;
let mine = readKept(kept(KEY));
/** @type {Model | null} */
let model = null;

// ---------------------------------------------------------------------------------------------------------
// What is on the page

/** @type {{step: Step, heading: HTMLElement, section: string, box: import('./stepbox.js').Box}[]} */
const steps = (told.lesson?.steps ?? []).flatMap((/** @type {Step} */ step) => {
  const heading = document.getElementById(step.id);
  if (!heading) return [];
  const prediction = predictionOf(heading);
  const box = stepBox(step, say, announce, prediction?.dataset.act);
  heading.after(box.element);
  if (box.rest) prediction?.after(box.rest);
  return [{ step, heading, section: heading.closest('.section')?.id ?? '', box }];
}).sort((/** @type {any} */ a, /** @type {any} */ b) => (a.heading.compareDocumentPosition(b.heading) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
const quiz = openQuiz(() => showProgress());
const predictions = [...document.querySelectorAll('.predict[data-act]')].map((box) => guessBox(/** @type {HTMLElement} */ (box), say));
const lanes = [...document.querySelectorAll('.lanes[data-lanes]')].map((box) => laneTable(/** @type {HTMLElement} */ (box), say));

/** The line under a section's heading: a mark for each of its steps, and the way to start over. @type {Map<string, HTMLElement>} */
const marks = new Map();
/** @type {HTMLElement[]} */
const lines = [];
for (const section of new Set(steps.map((it) => it.section))) {
  const list = h('ol', { class: 'progress-steps' }, steps.filter((it) => it.section === section).map(({ step, heading }) => {
    const mark = h('a', { href: `#${step.id}`, title: heading.textContent ?? '' });
    marks.set(step.id, mark);
    return h('li', {}, [mark]);
  }));
  const line = h('div', { class: 'progress', hidden: true }, [h('p', { class: 'progress-count' }), list, over()]);
  document.querySelector(`#${CSS.escape(section)} > h2`)?.after(line);
  line.dataset.section = section;
  lines.push(line);
}

/** Counts beside the links that lead to a section. @type {Map<string, HTMLElement[]>} */
const counts = new Map([...document.querySelectorAll('main > .chapter > .section')].map((section) => [
  section.id,
  [document.querySelector(`.bar .steps a[href="#${CSS.escape(section.id)}"]`), document.querySelector(`.contents a[href="#${CSS.escape(section.id)}"]`)?.parentElement]
    .flatMap((place) => (place ? [place.appendChild(h('span', { class: 'count', hidden: true }))] : [])),
]));
const goals = new Map([...document.querySelectorAll('.objectives [data-objective]')].map((item) => [
  item.getAttribute('data-objective') ?? '',
  { item: /** @type {HTMLElement} */ (item), count: item.appendChild(h('span', { class: 'count', hidden: true })) },
]));

// ---------------------------------------------------------------------------------------------------------
// What is done

/** @param {string} id @returns {import('./stepbox.js').State | null} null where the server tells of no such step */
function stateOf(id) {
  const known = model?.lesson?.steps?.[id];
  if (mine.ticks[id]) return 'done';
  if (!known) return null;
  // Done before the reader started over: open to be done again.
  if (known.state === 'waiting') return 'waiting';
  return firstOpen() === id ? 'open' : 'ready';
}

/** The first step in the text that can be done and is not. */
function firstOpen() {
  return steps.find(({ step: { id } }) => !mine.ticks[id] && ['open', 'done'].includes(model?.lesson?.steps?.[id]?.state))?.step.id;
}

/** The prediction between a step's heading and the next heading. @param {HTMLElement} heading @returns {HTMLElement | null} */
function predictionOf(heading) {
  for (let at = heading.nextElementSibling; at && !/^H[1-3]$/.test(at.tagName); at = at.nextElementSibling) {
    if (at.matches('.predict[data-act]')) return /** @type {HTMLElement} */ (at);
  }
  return null;
}

const isPast = () => Boolean(panel && 'past' in panel.dataset && panel.dataset.past !== 'false');

function show() {
  if (!model) return;
  const allowed = may(model.source, isPast(), panel?.dataset.role);
  const there = Boolean(model.lesson);
  for (const { step, box } of steps) {
    const state = there ? stateOf(step.id) : null;
    if (state === null) for (const part of [box.element, box.rest]) part?.toggleAttribute('hidden', true);
    else box.show({ state, hint: model.lesson?.steps?.[step.id]?.hint, may: allowed, model });
  }
  showProgress();
}

function showProgress() {
  const there = Boolean(model?.lesson);
  const asked = quiz.parts();
  const parts = [
    ...(there ? steps.map(({ step, section }) => ({ id: step.id, section, goals: step.objective ? [step.objective] : [], done: stateOf(step.id) === 'done' })) : []),
    ...asked,
  ];
  for (const [section, places] of counts) {
    const own = parts.filter((part) => part.section === section);
    const done = own.filter((part) => part.done).length;
    for (const place of places) {
      place.hidden = own.length === 0;
      // A screen reader hears what is counted.
      place.replaceChildren(h('span', { 'aria-hidden': 'true' }, [`${done}/${own.length}`]), h('span', { class: 'unseen' }, [say('steps.count', { done, total: own.length })]));
      place.classList.toggle('is-done', own.length > 0 && done === own.length);
    }
  }
  for (const line of lines) {
    const own = steps.filter((it) => it.section === line.dataset.section);
    line.hidden = !there;
    const done = own.filter(({ step }) => stateOf(step.id) === 'done').length;
    const count = line.querySelector('.progress-count');
    if (count) put(count, say('steps.progress', { done, total: own.length }));
    for (const { step, heading } of own) {
      const state = stateOf(step.id) ?? 'waiting';
      const mark = marks.get(step.id);
      if (!mark || mark.dataset.state === state) continue;
      mark.dataset.state = state;
      mark.setAttribute('aria-label', `${heading.textContent} ${say(`steps.${state}`)}`);
      mark.replaceChildren(state === 'done' ? icon('done') : '');
    }
  }
  const reached = objectives(parts);
  for (const [goal, { item, count }] of goals) {
    const so = reached.get(goal);
    count.hidden = !so;
    if (!so) continue;
    const all = so.done === so.total;
    item.classList.toggle('is-reached', all);
    count.replaceChildren(...(all ? [icon('done'), h('span', {}, [say('steps.done')])] : [h('span', { 'aria-hidden': 'true' }, [`${so.done}/${so.total}`]), h('span', { class: 'unseen' }, [say('steps.count', so)])]));
  }
}

/** The button that starts the reader's own progress over; asks once more, in the same place. */
function over() {
  const first = h('button', { type: 'button', class: 'progress-over' }, [say('steps.over')]);
  const place = h('span', { class: 'progress-again' }, [first]);
  first.addEventListener('click', () => {
    const not = h('button', { type: 'button', onclick: () => { place.replaceChildren(first); first.focus(); } }, [say('steps.over.not')]);
    const sure = h('button', { type: 'button', class: 'is-sure', onclick: () => {
      forgetAll();
      place.replaceChildren(first);
      first.focus();
      announce(say('steps.over.said'));
    } }, [say('steps.over.sure')]);
    place.replaceChildren(h('span', {}, [say('steps.over.asks')]), sure, not);
    not.focus();
  });
  return place;
}

function forgetAll() {
  mine = model ? startOver(model.epoch, model.seq) : nothingKept();
  keep(KEY, JSON.stringify(mine));
  quiz.startOver();
  for (const part of [...predictions, ...lanes]) part.startOver();
  show();
}

/** @param {Model} now @param {boolean} comes Whether the page hears of the steps for the first time since it was away. */
function takeSteps(now, comes) {
  const ended = steps.some(({ step }) => step.ends && now.lesson?.steps?.[step.id]?.state === 'done');
  if (comes) mine = joins(mine, ended, now.epoch, now.seq);
  const change = takeIn(mine, now.lesson?.steps ?? {}, now.epoch);
  mine = change.kept;
  if (change.ticked.length === 0) return;
  keep(KEY, JSON.stringify(mine));
  const name = (/** @type {string} */ id) => steps.find(({ step }) => step.id === id)?.heading.textContent ?? id;
  announce(change.ticked.map((id) => say('steps.ticked', { step: name(id) })).join(' '));
}

showProgress();
subscribe((event, data, now) => {
  model = now;
  // The past is looked at, not done again.
  if (!isPast()) {
    if (event === 'lesson' || event === 'snapshot') takeSteps(now, event === 'snapshot');
    for (const part of [...predictions, ...lanes]) part.hear(event, data, now);
  }
  show();
});
if (panel) new MutationObserver(show).observe(panel, { attributes: true, attributeFilter: ['data-past', 'data-role'] });
