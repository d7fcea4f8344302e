// @ts-check
/**
 * What can be said of a Pod so that it can be held against the one that comes after it: name, uid, address, claim,
 * volume, rows. Pure; takes everything from the model and adds nothing of its own.
 */

import { cardsOf } from './model.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Card} Card */

/**
 * @typedef {object} Facts
 * @property {string} name
 * @property {string} uid
 * @property {string} ip
 * @property {string} claim The claim's name, empty without one.
 * @property {string} claimUid
 * @property {string} volume
 * @property {string} key Where a look inside is kept.
 * @property {string[][] | null} rows Null while nobody has looked.
 *
 * @typedef {object} Compared
 * @property {string | null} is `same`, `changes`, another answer, or null for what nobody has seen.
 * @property {string | number} before
 * @property {string | number} after
 */

/** The aspects in which two Pods can be alike. */
export const ASPECTS = ['name', 'uid', 'ip', 'claim', 'volume', 'rows'];

/** What a look says when there is nothing left to look at. */
const EMPTY = ['no-table', 'no-database'];

/**
 * The workload a Pod belongs to: its StatefulSet, or the Deployment above its ReplicaSet.
 * @param {Model} model
 * @param {Card} pod
 * @returns {{kind: string, name: string} | null}
 */
export function workloadOf(model, pod) {
  const owner = pod.owner;
  if (!owner) return null;
  if (owner.kind !== 'ReplicaSet') return { kind: owner.kind, name: owner.name };
  const set = cardsOf(model, 'ReplicaSet').find((card) => card.name === owner.name);
  if (set?.owner) return { kind: set.owner.kind, name: set.owner.name };
  const parent = model.memory.parents.get(owner.name);
  return parent ? { kind: 'Deployment', name: parent } : { kind: owner.kind, name: owner.name };
}

/** Whether whoever wants the Pod still does: its end is then a replacement, and no clean-up. @param {Model} model @param {{kind: string, name: string} | null} workload */
export function isWanted(model, workload) {
  const card = workload && cardsOf(model, workload.kind).find((it) => it.name === workload.name);
  return Boolean(card && !card.deleting && (card.replicas ?? 0) > 0);
}

/** @param {Model} model @param {Card} pod @returns {Facts} */
export function factsOf(model, pod) {
  const use = pod.claims?.[0]?.claim ?? '';
  const claim = use ? cardsOf(model, 'PersistentVolumeClaim').find((card) => card.name === use) : undefined;
  const key = use || workloadOf(model, pod)?.name || pod.name;
  return {
    name: pod.name,
    uid: pod.uid,
    ip: pod.ip ?? '',
    claim: use,
    claimUid: claim?.uid ?? '',
    volume: claim?.volume ?? '',
    key,
    rows: rowsOf(model.inside.get(key), pod),
  };
}

/** The rows that were seen through this very Pod; none, when the table is not there. @param {any} inside @param {Card} pod @returns {string[][] | null} */
function rowsOf(inside, pod) {
  if (!inside) return null;
  const since = pod.created ?? 0;
  // A look that failed leaves the rows of the one before; that there is no table is an answer as well.
  if (inside.fault && (inside.fault.at ?? 0) >= since && EMPTY.includes(inside.fault.cause)) return [];
  // A look that does not say through whom counts when it came after the Pod.
  const mine = inside.podUid ? inside.podUid === pod.uid : (inside.at ?? 0) >= since;
  return mine && inside.columns?.length ? inside.rows : null;
}

/**
 * Holds one aspect of a Pod against the next.
 * @param {Facts} before
 * @param {Facts} after
 * @param {string} aspect
 * @returns {Compared}
 */
export function compare(before, after, aspect) {
  const verdict = (/** @type {boolean} */ same) => (same ? 'same' : 'changes');
  switch (aspect) {
    case 'claim':
      return { is: before.claim ? verdict(before.claim === after.claim && before.claimUid === after.claimUid) : null, before: before.claim, after: after.claim };
    case 'volume':
      return { is: before.volume ? verdict(before.volume === after.volume) : null, before: before.volume, after: after.volume };
    case 'rows':
      if (!before.rows || !after.rows) return { is: null, before: before.rows?.length ?? '', after: after.rows?.length ?? '' };
      return { is: verdict(JSON.stringify(before.rows) === JSON.stringify(after.rows)), before: before.rows.length, after: after.rows.length };
    default: {
      const [was, now] = [/** @type {any} */ (before)[aspect], /** @type {any} */ (after)[aspect]];
      return { is: was && now ? verdict(was === now) : null, before: was, after: now };
    }
  }
}
