// @ts-check
/**
 * A prediction on the page: the reader picks, acts, and sees each guess beside what the watch said. Kept in the
 * browser, can be made again, and never stands in the way of acting.
 */

import { h, put } from './dom.js';
import { keep, kept } from './keep.js';
import { newWatch, see, verdict } from './predict.js';

/** @typedef {import('./stepbox.js').Say} Say */

/**
 * @param {HTMLElement} box
 * @param {Say} say
 * @returns {{hear: (event: string, data: any, model: import('./model.js').Model) => void, startOver: () => void}}
 */
export function guessBox(box, say) {
  const key = `guess.${box.id}`;
  const act = box.dataset.act ?? '';
  const guesses = [.../** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll('[data-guess]'))];
  const seen = new Map(guesses.map((guess) => [guess.dataset.guess ?? '', guess.appendChild(h('p', { class: 'guess-seen', hidden: true }))]));
  const status = h('p', { class: 'guess-status', role: 'status' });
  const again = h('button', { type: 'button', class: 'guess-again', hidden: true, onclick: () => startOver() }, [say('predict.again')]);
  box.querySelector('.guesses')?.after(h('div', { class: 'guess-foot' }, [status, again]));

  let { picks, watch, epoch } = read(key, act);
  let shown = '';
  for (const input of box.querySelectorAll('input')) {
    const guess = input.closest('[data-guess]')?.getAttribute('data-guess') ?? '';
    input.addEventListener('input', () => {
      picks = { ...picks, [guess]: input.value };
      save();
      show();
    });
  }
  show();

  /** @param {string} event @param {any} data @param {import('./model.js').Model} model */
  function hear(event, data, model) {
    if (model.epoch && model.epoch !== epoch) {
      // What was under way in another run can't end in this one.
      if (watch.phase !== 'settled') watch = newWatch(act);
      epoch = model.epoch;
    }
    see(watch, event, data, model);
    show();
  }

  function show() {
    const now = JSON.stringify([watch.phase, watch.truth, picks]);
    if (now === shown) return;
    shown = now;
    const count = Object.keys(picks).length;
    const open = watch.phase === 'ready';
    box.dataset.phase = watch.phase;
    for (const guess of guesses) {
      const id = guess.dataset.guess ?? '';
      for (const input of guess.querySelectorAll('input')) input.checked = picks[id] === input.value;
      const fields = guess.querySelector('fieldset');
      if (fields) fields.disabled = !open;
      showSeen(guess, id, open || count === 0);
    }
    const verdicts = [...seen.keys()].map((id) => verdict(picks[id], watch.truth[id]));
    const right = verdicts.filter((it) => it === 'right').length;
    const known = verdicts.filter((it) => it === 'right' || it === 'wrong').length;
    const left = guesses.length - count;
    put(status, open ? (left > 0 ? say('predict.pick', { n: left }) : say('predict.go'))
      : count === 0 ? say('predict.next')
        : watch.phase === 'running' ? say('predict.running')
          : say(known < count ? 'predict.part' : 'predict.result', { right, known }));
    again.hidden = open && count === 0;
    again.textContent = say(open ? 'predict.clear' : 'predict.again');
    if (!open) save();
  }

  /** @param {HTMLElement} guess @param {string} id @param {boolean} quiet */
  function showSeen(guess, id, quiet) {
    const line = /** @type {HTMLElement} */ (seen.get(id));
    const said = watch.truth[id];
    const is = verdict(picks[id], said);
    line.hidden = quiet || (is === 'unseen' && watch.phase !== 'settled');
    if (line.hidden) {
      delete guess.dataset.verdict;
      return;
    }
    guess.dataset.verdict = is;
    const rows = id.split('/')[0] === 'rows';
    const value = (/** @type {string | number} */ it) => (rows ? say('predict.rows', { n: it }) : short(String(it)));
    const label = guess.querySelector(`input[value="${CSS.escape(said?.is ?? '')}"]`)?.closest('label')?.textContent?.trim();
    const { before = '', after = '' } = said ?? {};
    const facts = before === '' && after === '' ? '' : before === after || before === '' ? value(after === '' ? before : after) : after === '' ? value(before) : `${value(before)} → ${value(after)}`;
    line.replaceChildren(
      h('b', {}, [say(`predict.${is}`)]),
      ...(is === 'unseen' ? [` ${say(rows ? 'predict.unseen.rows' : 'predict.unseen.why')}`] : [` ${label ?? said?.is ?? ''}`, facts ? h('code', {}, [facts]) : '']),
    );
  }

  function save() {
    const settled = watch.phase === 'ready' ? null : watch;
    keep(key, Object.keys(picks).length === 0 && !settled ? null : JSON.stringify({ picks, watch: settled, epoch }));
  }

  function startOver() {
    picks = {};
    watch = newWatch(act);
    keep(key, null);
    show();
    if (box.contains(document.activeElement)) box.querySelector('input')?.focus();
  }

  return { hear, startOver };
}

/** Long names of volumes and uids are told by their beginning. @param {string} value */
function short(value) {
  return value.replace(/^(pvc-)?([0-9a-f]{8})-[0-9a-f-]{27}$/, '$1$2…');
}

/** What was kept; an answer to another act is none. @param {string} key @param {string} act */
function read(key, act) {
  const fresh = { picks: /** @type {Record<string, string>} */ ({}), watch: newWatch(act), epoch: '' };
  try {
    const { picks, watch, epoch } = JSON.parse(kept(key) ?? '{}');
    const sound = watch && Array.isArray(watch.act) && watch.act.join(' ') === fresh.watch.act.join(' ') && watch.truth && Array.isArray(watch.lanes);
    return { picks: picks && typeof picks === 'object' ? picks : {}, watch: sound ? watch : fresh.watch, epoch: String(epoch ?? '') };
  } catch {
    return fresh;
  }
}
