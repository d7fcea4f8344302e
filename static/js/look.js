// @ts-check
/**
 * How a look into a volume reads beside the scene: the rows with their age, what stands in the way, and the rows
 * before and after a kill side by side. Makes elements of what it is given; asks nobody.
 */

import { h } from './dom.js';
import { ageOf, faultKey } from './model.js';
import { shown } from './shown.js';

/** @typedef {import('./model.js').Inside} Inside */
/** @typedef {(key: string, params?: Record<string, unknown>) => string} Say */

/** The rest is counted. */
const ROWS_MAX = 12;
/** How long ago it was, in words. @param {number} ms @param {Say} say */
export function ago(ms, say) {
  const { key, n } = ageOf(ms);
  return say(`look.age.${key}`, { n });
}

/**
 * @param {{columns: string[], rows: string[][]}} seen @param {string} title @param {string} aside @param {Say} say
 */
function tableView({ columns, rows }, title, aside, say) {
  const cut = rows.length > ROWS_MAX;
  return h('figure', { class: 'rows' }, [
    h('figcaption', { class: 'rows-title' }, [h('b', {}, [title]), h('span', { class: 'rows-age' }, [aside])]),
    h('div', { class: 'rows-scroll' }, [
      h('table', { class: 'rows-table' }, [
        h('thead', {}, [h('tr', {}, columns.map((name) => h('th', { scope: 'col' }, [shown(name)])))]),
        h('tbody', {}, rows.length
          ? rows.slice(0, ROWS_MAX).map((row) => h('tr', {}, row.map((cell) => h('td', {}, [shown(cell)]))))
          : [h('tr', {}, [h('td', { colspan: Math.max(1, columns.length), class: 'rows-none' }, [say('look.none')])])]),
      ]),
    ]),
    cut ? h('p', { class: 'rows-more' }, [say('scene.rows.more', { n: rows.length - ROWS_MAX })]) : null,
  ]);
}

/**
 * @param {Inside} inside @param {number} now The cluster's clock, ms. @param {Say} say
 * @returns {HTMLElement[]}
 */
export function lookView(inside, now, say) {
  const { fault, before } = inside;
  const made = [];
  if (fault) {
    made.push(h('div', { class: 'look-fault', data: { fault: fault.cause } }, [
      h('p', {}, [h('b', {}, [say(faultKey(fault))]), ' ', h('span', { class: 'rows-age' }, [ago(now - fault.at, say)])]),
      fault.detail ? h('code', { class: 'menu-words' }, [fault.detail]) : null,
    ]));
  }
  if (!inside.columns.length && fault) return made;
  const body = (/** @type {string | undefined} */ uid) => (uid ? ` ${uid.slice(0, 5)}` : '');
  if (before) {
    const same = Boolean(inside.volume && inside.volume === before.volume);
    made.push(
      h('div', { class: 'rows-pair' }, [
        tableView(before, say('look.before') + body(before.podUid), ago(now - before.at, say), say),
        tableView(inside, say('look.after') + body(inside.podUid), ago(now - inside.at, say), say),
      ]),
      h('p', { class: same ? 'rows-same' : 'rows-other' }, [say(same ? 'look.same' : 'look.other', { rows: inside.rows.length, volume: inside.volume ?? '' })]),
    );
  } else {
    made.push(tableView(inside, say('look.rows', { n: inside.rows.length }), fault ? say('look.last', { age: ago(now - inside.at, say) }) : ago(now - inside.at, say), say));
  }
  if (inside.query) made.push(h('code', { class: 'rows-query' }, [inside.query]));
  return made;
}
