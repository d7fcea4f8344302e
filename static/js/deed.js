// @ts-check
/**
 * What a step offers to do, as the server can take it: the uid of what is there now, and the volume behind a claim.
 * Pure; says what is missing instead of offering what would be refused.
 */

import { cardsOf } from './model.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {Record<string, any> & {do: string}} Act As the lesson says it. */
/** @typedef {{say: string, name: string}} Missing What the act needs and is not there: a key of the words, and what they name. */

/** @param {string} name @returns {Missing} */
const gone = (name) => ({ say: 'steps.missing', name });

/**
 * @param {Act} act
 * @param {Model} model
 * @returns {{action: Act, missing: Missing | null}} An act of which a name is missing has no line.
 */
export function resolve(act, model) {
  const find = (/** @type {string} */ kind, /** @type {string} */ name) => cardsOf(model, kind).find((card) => card.name === name);
  switch (act.do) {
    case 'delete':
    case 'scale': {
      if (!act.name) return { action: act, missing: null };
      const card = find(act.kind, act.name);
      return card ? { action: { ...act, uid: card.uid }, missing: null } : { action: act, missing: gone(act.name) };
    }
    case 'retain':
    case 'release': {
      const { claim, ...rest } = act;
      const card = act.name ? find('PersistentVolume', act.name) : volumeOf(model, claim, act.do);
      if (card && isFor(card, act.do)) return { action: { ...rest, name: card.name, uid: card.uid }, missing: null };
      const missing = act.name ? gone(act.name) : { say: `steps.missing.${act.do}`, name: claim };
      // A volume that was freed already keeps its line; on one that is in use the line would do harm.
      const line = act.name ?? (card?.status === 'Available' ? card.name : undefined);
      return { action: line ? { ...rest, name: line } : rest, missing };
    }
    case 'query': {
      const [kind, name] = String(act.in).split('/');
      const there = find(/** @type {Record<string, string>} */ ({ pod: 'Pod', deployment: 'Deployment', statefulset: 'StatefulSet' })[kind] ?? kind, name);
      return { action: act, missing: there ? null : gone(name) };
    }
    case 'look': {
      const there = act.pod ? find('Pod', act.pod) : find('PersistentVolumeClaim', act.claim);
      return { action: act, missing: there ? null : gone(act.pod ?? act.claim) };
    }
    default:
      return { action: act, missing: null };
  }
}

/** The volume a claim has, or had: of several, the one that the act is about. @param {Model} model @param {string} claim @param {string} deed */
function volumeOf(model, claim, deed) {
  const own = cardsOf(model, 'PersistentVolumeClaim').find((card) => card.name === claim)?.volume;
  const volumes = cardsOf(model, 'PersistentVolume');
  const had = volumes.filter((card) => card.claim?.name === claim && card.claim?.namespace === (model.source?.namespace ?? card.claim?.namespace));
  if (deed === 'release') return had.find((card) => isFor(card, deed)) ?? had.find((card) => card.status === 'Available') ?? had[0];
  return volumes.find((card) => card.name === own) ?? had[0];
}

/** Whether an act on a volume is for it as it stands. @param {import('./model.js').Card} volume @param {string} deed */
function isFor(volume, deed) {
  return deed !== 'release' || (volume.status === 'Released' && volume.reclaim === 'Retain');
}

/** Whether an act is the one that the text asks to predict: `delete Pod web-0`. @param {Act} act @param {string} predicted */
export function isPredicted(act, predicted) {
  const [verb, kind, name, number] = predicted.split(/\s+/);
  if (act.do !== verb || act.kind !== kind) return false;
  // Pods of several workloads are told by those, and taken by their labels.
  if (name.includes('/')) return !act.name;
  return act.name === name && (number === undefined || String(act.replicas) === number);
}
