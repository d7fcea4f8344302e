// @ts-check
/**
 * Owns one prediction: what was there before the act, and what the watch said after it, in the same terms in which
 * the reader guessed. Pure: takes frames, gives values; never decides before the cluster has.
 */

import { ASPECTS, compare, factsOf, isWanted, workloadOf } from './facts.js';
import * as lanes from './lanes.js';
import { cardsOf, isOver } from './model.js';

/** @typedef {import('./facts.js').Compared} Compared */
/** @typedef {import('./model.js').Model} Model */

/**
 * @typedef {object} Watch
 * @property {string[]} act As in the text: `delete Pod web-0`.
 * @property {'ready' | 'running' | 'settled'} phase `ready`: the act has not been seen.
 * @property {any} before
 * @property {Record<string, Compared>} truth By guess, as far as it is known.
 * @property {import('./lanes.js').Lane[]} lanes
 * @property {string} [next] The uid of the Pod that took the place.
 */

/** @param {string} act @returns {Watch} */
export function newWatch(act) {
  const words = act.split(/\s+/).filter(Boolean);
  const lanesOf = words[1] === 'Pod' && words[2]?.includes('/') ? lanes.newLanes(words.slice(2)) : [];
  return { act: words, phase: 'ready', before: null, truth: {}, lanes: lanesOf };
}

/**
 * Takes a frame in that the model holds by now.
 * @param {Watch} watch Changed in place.
 * @param {string} event
 * @param {any} data
 * @param {Model} model
 * @returns {Watch} the same watch
 */
export function see(watch, event, data, model) {
  if (event === 'restarted') return Object.assign(watch, newWatch(watch.act.join(' ')));
  const [verb, kind] = watch.act;
  if (watch.lanes.length > 0) laneKill(watch, event, data, model);
  else if (verb === 'delete' && kind === 'Pod') kill(watch, model);
  else if (verb === 'delete') unclaim(watch, model);
  else if (verb === 'scale') scale(watch, model);
  return watch;
}

/** @param {Watch} watch @param {Model} model */
function kill(watch, model) {
  const name = watch.act[2];
  const ready = (/** @type {any} */ pod) => pod.isReady && !pod.deleting && !isOver(pod);
  if (watch.phase === 'ready') {
    const known = watch.before;
    const pod = known && model.cards.get(known.facts.uid);
    if (known && (!pod || pod.deleting)) {
      // Without anybody who wants it back this is no kill but a clean-up.
      if (isWanted(model, known.workload)) watch.phase = 'running';
      else watch.before = null;
    } else {
      const now = cardsOf(model, 'Pod').find((it) => it.name === name && ready(it));
      if (now) {
        const facts = factsOf(model, now);
        watch.before = { workload: workloadOf(model, now), facts: facts.rows ? facts : { ...facts, rows: known?.facts.uid === facts.uid ? known.facts.rows : null } };
      }
      return;
    }
  }
  if (!watch.before) return;
  const { workload, facts } = watch.before;
  const next = cardsOf(model, 'Pod').find((pod) => {
    const its = workloadOf(model, pod);
    return pod.uid !== facts.uid && its?.kind === workload?.kind && its?.name === workload?.name && ready(pod) && (watch.next ? pod.uid === watch.next : (workload?.kind !== 'StatefulSet' || pod.name === name));
  });
  if (!next) return;
  watch.next = next.uid;
  const after = factsOf(model, next);
  for (const aspect of ASPECTS) {
    const said = compare(facts, after, aspect);
    // Once seen, rows stay seen, whatever happens to the new Pod.
    if (said.is !== null || !watch.truth[aspect]) watch.truth[aspect] = said;
  }
  watch.phase = 'settled';
}

/** @param {Watch} watch @param {string} event @param {any} data @param {Model} model */
function laneKill(watch, event, data, model) {
  lanes.see(watch.lanes, event, data, model);
  for (const lane of watch.lanes) {
    for (const [aspect, said] of Object.entries(lanes.cells(lane))) if (said) watch.truth[`${aspect}/${lane.name}`] = said;
  }
  if (watch.phase === 'ready' && watch.lanes.some((lane) => lane.killed)) watch.phase = 'running';
  if (watch.phase === 'running' && watch.lanes.every((lane) => lane.after)) watch.phase = 'settled';
}

/** @param {Watch} watch @param {Model} model */
function unclaim(watch, model) {
  if (watch.phase === 'settled') return;
  const name = watch.act[2];
  const claim = cardsOf(model, 'PersistentVolumeClaim').find((card) => card.name === name);
  const user = cardsOf(model, 'Pod').find((pod) => !pod.deleting && !isOver(pod) && pod.claims?.some((/** @type {any} */ use) => use.claim === name));
  if (claim && !claim.deleting) {
    watch.before = user ? { claim: claim.uid, status: claim.status, phase: claim.phase, pod: user, volume: claim.volume } : null;
    return;
  }
  const before = watch.before;
  if (!before) return;
  const mine = model.cards.get(before.claim);
  const pod = model.cards.get(before.pod.uid);
  const volume = cardsOf(model, 'PersistentVolume').find((card) => card.name === before.volume);
  watch.truth = {
    status: { is: mine?.status ?? 'gone', before: before.status, after: mine?.status ?? '' },
    phase: { is: mine?.phase ?? 'gone', before: before.phase, after: mine?.phase ?? '' },
    pod: { is: pod && !pod.deleting ? 'same' : 'changes', before: before.pod.uid, after: pod?.uid ?? '' },
    volume: { is: volume?.status ?? 'gone', before: 'Bound', after: volume?.status ?? '' },
  };
  watch.phase = 'settled';
}

/** @param {Watch} watch @param {Model} model */
function scale(watch, model) {
  if (watch.phase === 'settled') return;
  const [, kind, name, text] = watch.act;
  const wanted = Number(text);
  const owner = cardsOf(model, kind).find((card) => card.name === name);
  const pods = cardsOf(model, 'Pod').filter((pod) => {
    const its = workloadOf(model, pod);
    return its?.kind === kind && its.name === name;
  });
  if (watch.phase === 'ready') {
    if (owner && owner.replicas > wanted) {
      // Until the set is whole there is nothing to guess about.
      if (pods.length !== owner.replicas || pods.some((pod) => !pod.isReady || pod.deleting)) return;
      const names = new Set(pods.flatMap((pod) => (pod.claims ?? []).map((/** @type {any} */ use) => use.claim)));
      const claims = cardsOf(model, 'PersistentVolumeClaim').filter((card) => names.has(card.name));
      watch.before = { ordinals: pods.map(ordinalOf), claims: claims.map((card) => card.uid), volumes: claims.map((card) => card.volume) };
      return;
    }
    if (!watch.before || !owner || owner.deleting || owner.replicas !== wanted) {
      watch.before = null;
      return;
    }
    watch.phase = 'running';
  }
  const before = watch.before;
  const there = new Set(pods.filter((pod) => !pod.deleting && !isOver(pod)).map(ordinalOf));
  const left = before.ordinals.filter((/** @type {number} */ ordinal) => !there.has(ordinal));
  if (!watch.truth.first && left.length === 1) {
    const highest = Math.max(...before.ordinals);
    watch.truth.first = { is: left[0] === highest ? 'highest' : 'lowest', before: '', after: `${name}-${left[0]}` };
  }
  if (pods.length !== wanted || there.size !== wanted) return;
  const claims = before.claims.filter((/** @type {string} */ uid) => model.cards.has(uid) && !model.cards.get(uid)?.deleting);
  const names = new Set(cardsOf(model, 'PersistentVolume').map((card) => card.name));
  const volumes = before.volumes.filter((/** @type {string} */ volume) => names.has(volume));
  const count = (/** @type {any[]} */ was, /** @type {any[]} */ now) => ({ is: was.length === now.length ? 'same' : 'changes', before: was.length, after: now.length });
  Object.assign(watch.truth, {
    pods: { is: String(pods.length), before: before.ordinals.length, after: pods.length },
    claims: count(before.claims, claims),
    volumes: count(before.volumes, volumes),
  });
  watch.phase = 'settled';
}

/** @param {any} pod */
const ordinalOf = (pod) => Number(pod.ordinal ?? /-(\d+)$/.exec(pod.name)?.[1] ?? 0);

/**
 * Whether a guess was right.
 * @param {string | undefined} guess
 * @param {Compared | undefined} said
 * @returns {'right' | 'wrong' | 'open' | 'unseen'} `open`: nothing was guessed.
 */
export function verdict(guess, said) {
  if (!said || said.is === null) return 'unseen';
  if (!guess) return 'open';
  return guess === said.is ? 'right' : 'wrong';
}
