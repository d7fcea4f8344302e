// @ts-check
/**
 * Owns what one kill did to several workloads side by side: who was there before, who came after, and for how long
 * two Pods held one volume. Pure: takes frames, gives values; touches no page.
 */

import { ASPECTS, compare, factsOf, isWanted, workloadOf } from './facts.js';
import { cardsOf, grip, isOver } from './model.js';

/** @typedef {import('./facts.js').Facts} Facts */
/** @typedef {import('./model.js').Model} Model */

/**
 * @typedef {object} Overlap Two Pods on one volume.
 * @property {string} claim
 * @property {string} leaving
 * @property {string} coming
 * @property {number} from ms since 1970, the cluster's clock.
 * @property {number | null} to Null while it lasts.
 *
 * @typedef {object} Lane
 * @property {string} kind
 * @property {string} name
 * @property {Facts | null} before The Pod that was Ready last, or the one that was killed.
 * @property {boolean} killed
 * @property {Facts | null} after
 * @property {Overlap | null} overlap
 */

const KINDS = /** @type {Record<string, string>} */ ({ deployment: 'Deployment', statefulset: 'StatefulSet' });

/** @param {string[]} names as `deployment/web` @returns {Lane[]} */
export function newLanes(names) {
  return names.map((text) => {
    const [kind, name] = text.split('/');
    return { kind: KINDS[kind] ?? kind, name, before: null, killed: false, after: null, overlap: null };
  });
}

/**
 * Takes a frame in that the model holds by now.
 * @param {Lane[]} lanes Changed in place.
 * @param {string} event
 * @param {any} _data
 * @param {Model} model
 * @returns {Lane[]} the same lanes
 */
export function see(lanes, event, _data, model) {
  for (const lane of lanes) {
    if (event === 'restarted') Object.assign(lane, { before: null, killed: false, after: null, overlap: null });
    else step(lane, model);
  }
  return lanes;
}

/** @param {Lane} lane @param {Model} model */
function step(lane, model) {
  const pods = cardsOf(model, 'Pod').filter((pod) => {
    const workload = workloadOf(model, pod);
    return workload?.kind === lane.kind && workload.name === lane.name;
  });
  const ready = (/** @type {any} */ pod) => pod.isReady && !pod.deleting && !isOver(pod);
  const leaves = (/** @type {Facts} */ facts) => {
    const pod = model.cards.get(facts.uid);
    return (!pod || pod.deleting) && isWanted(model, lane);
  };

  // A second kill begins the comparison anew.
  if (lane.after && leaves(lane.after)) Object.assign(lane, { before: lane.after, killed: false, after: null, overlap: null });
  if (!lane.killed) {
    if (lane.before && leaves(lane.before)) lane.killed = true;
    else {
      const pod = pods.find(ready);
      if (pod) lane.before = keepRows(factsOf(model, pod), lane.before);
      return;
    }
  }
  const next = pods.find((pod) => pod.uid !== lane.before?.uid && ready(pod));
  if (next) lane.after = keepRows(factsOf(model, next), lane.after);
  overlap(lane, pods, model);
}

/** What was seen inside stays seen when a later look fails. @param {Facts} now @param {Facts | null} last @returns {Facts} */
function keepRows(now, last) {
  return !now.rows && last?.uid === now.uid ? { ...now, rows: last.rows } : now;
}

/** @param {Lane} lane @param {any[]} pods @param {Model} model */
function overlap(lane, pods, model) {
  const holds = (/** @type {any} */ pod) => ['reaching', 'plugged'].includes(grip(pod));
  const claim = lane.before?.claim;
  const both = claim ? pods.filter((pod) => holds(pod) && pod.claims.some((/** @type {any} */ use) => use.claim === claim)) : [];
  const leaving = both.find((pod) => pod.uid === lane.before?.uid);
  const coming = both.find((pod) => pod.uid !== lane.before?.uid);
  if (claim && leaving && coming) lane.overlap ??= { claim, leaving: leaving.name, coming: coming.name, from: model.at, to: null };
  else if (lane.overlap && lane.overlap.to === null) lane.overlap.to = model.at;
}

/**
 * What the table says of a lane, by aspect; null where nothing is known yet.
 * @param {Lane} lane
 * @returns {Record<string, import('./facts.js').Compared | null>}
 */
export function cells(lane) {
  const { before, after } = lane;
  return Object.fromEntries(ASPECTS.map((aspect) => [aspect, before && after ? compare(before, after, aspect) : null]));
}
