// @ts-check
/**
 * The table of the lanes: what the author wrote for paper gives way to what happened here. Fills cells only with what
 * the watch said.
 */

import { h, put } from './dom.js';
import { cells, newLanes, see } from './lanes.js';

/** @typedef {import('./stepbox.js').Say} Say */

/** The rows of the table, as the text has them. */
const ROWS = ['name', 'uid', 'ip', 'claim', 'rows'];

/**
 * @param {HTMLElement} box
 * @param {Say} say
 * @returns {{hear: (event: string, data: any, model: import('./model.js').Model) => void, startOver: () => void}}
 */
export function laneTable(box, say) {
  const names = (box.dataset.lanes ?? '').split(' ');
  const rows = [...box.querySelectorAll('tbody tr')].map((row) => [...row.querySelectorAll('td')].slice(1));
  const note = h('p', { class: 'lanes-note', role: 'status' });
  box.append(note);
  box.classList.add('is-live');
  let lanes = newLanes(names);
  let shown = '';
  show();

  function show() {
    const now = JSON.stringify(lanes);
    if (now === shown) return;
    shown = now;
    lanes.forEach((lane, column) => {
      const said = cells(lane);
      ROWS.forEach((aspect, row) => {
        const cell = rows[row]?.[column];
        if (!cell) return;
        cell.replaceChildren(...content(aspect, lane, said[aspect]));
        cell.dataset.is = said[aspect]?.is ?? '';
      });
    });
    const overlaps = lanes.flatMap(({ overlap }) => (overlap ? [overlap] : []));
    const texts = overlaps.map((overlap) => say(overlap.to === null ? 'lanes.together.now' : 'lanes.together', {
      claim: overlap.claim, leaving: overlap.leaving, coming: overlap.coming, ms: overlap.to === null ? '' : ((overlap.to - overlap.from) / 1000).toFixed(2),
      time: new Date(overlap.from).toLocaleTimeString('ja-JP', { hour12: false }),
    }));
    if (texts.length === 0) texts.push(say(lanes.some(({ killed }) => killed) ? 'lanes.running' : lanes.every(({ before }) => before) ? 'lanes.ready' : 'lanes.none'));
    put(note, texts.join(' '));
    note.classList.toggle('is-together', overlaps.length > 0);
  }

  /** @param {string} aspect @param {import('./lanes.js').Lane} lane @param {import('./facts.js').Compared | null | undefined} said */
  function content(aspect, lane, said) {
    if (aspect === 'claim' && lane.before && !lane.before.claim) return [h('span', { class: 'lane-none' }, [say('lanes.claimless')])];
    if (!said || said.is === null) {
      const before = lane.before && aspect === 'rows' ? lane.before.rows?.length : lane.before?.[/** @type {'name'} */ (aspect)];
      const is = before === undefined || before === '' || before === null ? '' : value(aspect, before, lane);
      return [h('span', { class: 'lane-open' }, [said && aspect === 'rows' ? say('lanes.unseen') : is || '—'])];
    }
    const gone = aspect === 'rows' && said.after === 0;
    const word = say(`lanes.${gone ? 'gone' : aspect === 'rows' && said.is === 'same' ? 'kept' : said.is}`);
    const facts = said.is === 'same' ? value(aspect, said.after, lane) : `${value(aspect, said.before, lane)}\n→ ${value(aspect, said.after, lane)}`;
    return [h('b', { class: 'lane-is' }, [word]), ' ', h('span', { class: 'lane-facts' }, [facts])];
  }

  /** @param {string} aspect @param {string | number} it @param {import('./lanes.js').Lane} lane */
  function value(aspect, it, lane) {
    if (aspect === 'rows') return say('predict.rows', { n: it });
    if (aspect === 'uid') return String(it).slice(0, 8);
    // A Deployment's Pods begin all alike, and a column is narrow.
    const name = String(it);
    return aspect === 'name' && name.length > lane.name.length + 8 ? `…${name.slice(name.lastIndexOf('-'))}` : name;
  }

  return {
    hear(event, data, model) {
      see(lanes, event, data, model);
      show();
    },
    startOver() {
      lanes = newLanes(names);
      show();
    },
  };
}
