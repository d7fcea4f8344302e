// @ts-check
/**
 * The box of one step, below its heading: how far it is, a calm hint, and what can be done about it, each with its
 * kubectl line first. Says nothing that the server has not said, and believes no answer: what was done shows when
 * the watch says so.
 */

import { act, lineOf, refusalKey } from './act.js';
import { isPredicted, resolve } from './deed.js';
import { commandLine, h, put } from './dom.js';
import { icon } from './draw.js';
import { asked } from './feed.js';
import { cardsOf } from './model.js';
import { learnRole } from './role.js';

/**
 * @typedef {{id: string, objective?: string, ends?: boolean, acts: import('./deed.js').Act[]}} Step
 * @typedef {'waiting' | 'ready' | 'open' | 'done'} State Of the steps that can be done now the first is `open`, the others `ready`.
 * @typedef {(key: string, params?: Record<string, unknown>) => string} Say
 * @typedef {{state: State, hint?: string, may: import('./act.js').May, model: import('./model.js').Model}} View
 * @typedef {{element: HTMLElement, rest: HTMLElement | null, show: (view: View) => void}} Box `rest` stands below the step's prediction.
 */

/** The acts that have a word of their own on the button. */
const DEEDS = ['apply', 'delete', 'force', 'scale', 'retain', 'release', 'reset', 'look', 'query'];

/**
 * @param {Step} step
 * @param {Say} say
 * @param {(text: string) => void} announce
 * @param {string} [predicted] The act that the step asks to predict, as the text says it: it and what comes after it
 *   are offered below the prediction, in `rest`.
 * @returns {Box}
 */
export function stepBox(step, say, announce, predicted = '') {
  const mark = h('span', { class: 'step-mark', 'aria-hidden': 'true' });
  const name = h('b', { class: 'step-name' });
  const hint = h('span', { class: 'step-hint' });
  const from = predicted ? step.acts.findIndex((act) => isPredicted(act, predicted)) : -1;
  const cut = from < 0 ? step.acts.length : from;
  const first = actsFold(step.acts.slice(0, cut), 'steps.acts', say, announce);
  const then = actsFold(step.acts.slice(cut), 'steps.predicted', say, announce);
  const element = h('div', { class: 'step', role: 'group', 'aria-label': say('steps.box'), data: { step: step.id }, hidden: true }, [
    h('p', { class: 'step-state' }, [mark, name, hint]),
    first?.element,
  ]);
  const rest = then && h('div', { class: 'step', role: 'group', 'aria-label': say('steps.predicted'), data: { rest: step.id }, hidden: true }, [then.element]);
  /** @type {State | null} */
  let last = null;

  return {
    element,
    rest,
    show({ state, hint: key, may, model }) {
      element.hidden = false;
      if (rest) rest.hidden = false;
      if (state !== last) {
        element.dataset.state = state;
        if (rest) rest.dataset.state = state;
        mark.replaceChildren(state === 'done' ? icon('done') : '');
        name.textContent = say(`steps.${state}`);
        for (const fold of [first, then]) fold?.turn(state, last);
        last = state;
      }
      put(hint, (state === 'open' || state === 'ready') && key ? say(key) : state === 'waiting' ? say('steps.waiting.why') : '');
      const off = may.allowed ? '' : say(`act.off.${may.why}`, may.params);
      for (const fold of [first, then]) fold?.show(off, model);
    },
  };
}

/**
 * Acts in a fold, with why they may not be done.
 * @param {import('./deed.js').Act[]} acts @param {string} title @param {Say} say @param {(text: string) => void} announce
 */
function actsFold(acts, title, say, announce) {
  if (acts.length === 0) return null;
  const why = h('p', { class: 'step-why' });
  const entries = acts.map((wanted) => entry(wanted, say, announce));
  const fold = /** @type {HTMLDetailsElement} */ (h('details', { class: 'step-fold' }, [
    h('summary', {}, [say(title)]), why, h('ul', { class: 'step-acts' }, entries.map(({ element }) => element)),
  ]));
  return {
    element: fold,
    /** What is to be done now lies open, the rest out of the way; after that it is the reader's to open or close. @param {State} state @param {State | null} last */
    turn(state, last) {
      fold.open = state === 'open' && (last === null || last === 'waiting' || !fold.open) ? true : state === 'open' || (fold.open && fold.contains(document.activeElement));
    },
    /** @param {string} off Why nothing may be done, or nothing. @param {import('./model.js').Model} model */
    show(off, model) {
      put(why, off);
      why.hidden = off === '';
      for (const { show } of entries) show(off === '', model);
    },
  };
}

/**
 * One act: its line, its button, and what became of it.
 * @param {import('./deed.js').Act} wanted
 * @param {Say} say
 * @param {(text: string) => void} announce
 * @param {string} [name] What is on the button, where it stands elsewhere than in its step.
 */
export function entry(wanted, say, announce, name = label(wanted, say)) {
  const lines = h('div', { class: 'step-lines' });
  const lack = h('p', { class: 'step-lack', hidden: true });
  const button = /** @type {HTMLButtonElement} */ (h('button', { type: 'button', class: 'step-do' }, [name]));
  const answer = h('div', { class: 'step-answer', role: 'status' });
  const element = h('li', { class: 'step-act', data: { act: wanted.do } }, [h('div', { class: 'step-row' }, [h('div', { class: 'step-what' }, [lines, lack]), button]), answer]);
  let line = '';
  let busy = false;
  let action = wanted;

  button.addEventListener('click', async () => {
    if (busy || button.getAttribute('aria-disabled') === 'true') return;
    busy = true;
    element.setAttribute('aria-busy', 'true');
    answer.replaceChildren(h('p', { class: 'step-sending' }, [say('act.sending')]));
    const { uid, ...rest } = action;
    const result = await act(uid ? { ...rest, uid } : rest);
    busy = false;
    element.removeAttribute('aria-busy');
    if (!result.ok && result.reason === 'NoKey') void learnRole();
    // The program ran and said no: that is an answer, and the others' lines have theirs beside the scene.
    if (!result.ok && result.reason === 'Failed' && action.do === 'query') asked({ line, answer: result.message });
    if (result.ok) answer.replaceChildren(h('pre', { class: 'step-said' }, [result.said.join('\n') || say('act.done')]));
    else answer.replaceChildren(h('p', { class: 'step-refused' }, [say(refusalKey(result)), result.message ? h('code', {}, [result.message]) : null]));
  });

  return {
    element,
    /** @param {boolean} allowed @param {import('./model.js').Model} model */
    show(allowed, model) {
      const found = resolve(wanted, model);
      action = found.action;
      const now = lineFor(action, model);
      if (now !== line) {
        line = now;
        lines.replaceChildren(now ? commandLine(now, (key) => say(key), announce) : '');
      }
      const missing = found.missing ? say(found.missing.say, { name: found.missing.name }) : '';
      put(lack, missing);
      lack.hidden = !missing || (Boolean(now) && !allowed);
      // Not `disabled`: that would take the keyboard away, and the reason with it.
      button.setAttribute('aria-disabled', String(!allowed || found.missing !== null));
      button.title = missing;
      button.setAttribute('aria-description', [now, missing].filter(Boolean).join(' — '));
    },
  };
}

/** @param {import('./deed.js').Act} wanted @param {Say} say */
function label(wanted, say) {
  const deed = wanted.do === 'delete' && wanted.force ? 'force' : wanted.do;
  return say(DEEDS.includes(deed) ? `steps.do.${deed}` : 'steps.do', { n: wanted.replicas ?? '' });
}

/** The line of an act; a look into a claim is a question to the Pod that has it mounted. @param {import('./deed.js').Act} action @param {import('./model.js').Model} model */
function lineFor(action, model) {
  const acting = model.source?.acting ?? {};
  // A line with a gap in it would be copied and run.
  if (['retain', 'release'].includes(action.do) && !action.name) return '';
  if (action.do !== 'look' || action.pod) return lineOf(action, acting);
  const pod = cardsOf(model, 'Pod').find((card) => card.claims?.some((/** @type {any} */ use) => use.claim === action.claim))?.name;
  return pod ? lineOf({ do: 'look', pod }, acting) : '';
}
