// @ts-check
/**
 * What a reader may do with one thing of the scene, in the order in which it is offered. Pure: a card and the model
 * in, a list out; says nothing about whether the page may act at all.
 */

import { describeLine, enterLine, lookOf } from './act.js';
import { cardsOf, isOver, lookKey } from './model.js';

/** @typedef {import('./model.js').Card} Card */
/** @typedef {import('./model.js').Model} Model */

/**
 * @typedef {object} Offer
 * @property {string} id Its words begin with `menu.` and this.
 * @property {import('./act.js').Action} [action] What is done; a `scale` gets its number from the reader.
 * @property {string} [line] The kubectl line, where there is no action to make it of.
 * @property {{pod: string, uid: string, program: 'psql' | 'sh'}} [enter] The terminal it opens.
 * @property {string} [look] The key under which the rows are known.
 * @property {string} [of] What tells it from another of the same id.
 * @property {boolean} [twice] Whether it asks once more.
 */

/** Whether a Pod holds a database that can be asked. @param {Card} pod */
export function isDatabase(pod) {
  return (pod.containers ?? []).some((/** @type {any} */ it) => /(^|\/)postgres(:|@|$)/.test(it.image ?? ''));
}

/** Whether a program could be started in it: a container runs. @param {Card} pod */
export function isRunning(pod) {
  return !isOver(pod) && (pod.containers ?? []).some((/** @type {any} */ it) => it.state === 'running');
}

/** The Pods that have a claim mounted, or are about to. @param {Model} model @param {string} claim */
export function usersOf(model, claim) {
  return cardsOf(model, 'Pod').filter((pod) => (pod.claims ?? []).some((/** @type {any} */ use) => use.claim === claim));
}

/**
 * @param {Model} model
 * @param {Card} card
 * @returns {Offer[]}
 */
export function offersFor(model, card) {
  const { kind, name, uid } = card;
  /** @param {string} id @param {Record<string, unknown>} [more] @returns {Offer} */
  const removal = (id, more = {}) => ({ id, action: { do: 'delete', kind, name, uid, ...more } });
  const acting = model.source?.acting ?? {};
  const describe = (/** @type {string} */ word) => ({ id: 'describe', line: describeLine(word, name, acting) });
  /** @param {'psql' | 'sh'} program @returns {Offer} */
  const entrance = (program) => ({ id: `pod.${program}`, line: enterLine({ pod: name, program }, acting), enter: { pod: name, uid, program } });
  switch (kind) {
    case 'Pod': {
      const inside = isRunning(card);
      const database = isDatabase(card);
      return [
        ...(card.deleting ? [] : [removal('pod.delete')]),
        { ...removal('pod.force', { force: true }), twice: true },
        ...(inside && database && lookOf(acting, name) ? [{ id: 'pod.look', action: { do: 'look', pod: name }, look: lookKey(model, card) }] : []),
        ...(inside && database ? [entrance('psql')] : []),
        ...(inside ? [entrance('sh')] : []),
        describe('pod'),
      ];
    }
    case 'PersistentVolumeClaim':
      return [...(card.deleting ? [] : [{ ...removal('claim.delete'), twice: true }]), ...looks(model, name), describe('pvc')];
    case 'PersistentVolume':
      return [
        ...(card.claim && card.status === 'Bound' ? looks(model, card.claim.name) : []),
        ...(card.reclaim === 'Retain' ? [] : [{ id: 'volume.retain', action: { do: 'retain', name, uid } }]),
        ...(card.reclaim === 'Retain' && card.phase === 'Released' ? [{ id: 'volume.release', action: { do: 'release', name, uid } }] : []),
        describe('pv'),
      ];
    case 'StatefulSet':
    case 'Deployment': {
      const word = kind.toLowerCase();
      return [
        { id: 'workload.scale', action: { do: 'scale', kind, name, uid, replicas: card.replicas ?? 0 } },
        ...(card.deleting ? [] : [{ ...removal(`${word}.delete`), twice: true }]),
        describe(word),
      ];
    }
    default:
      return [];
  }
}

/** A look into a claim's volume: where a database has it mounted, or had, so that a refusal can say why not now. @param {Model} model @param {string} claim @returns {Offer[]} */
function looks(model, claim) {
  const acting = model.source?.acting;
  if (!model.inside.has(claim) && !usersOf(model, claim).some((pod) => isDatabase(pod) && lookOf(acting, pod.name))) return [];
  return [{ id: 'volume.look', action: { do: 'look', claim }, look: claim }];
}
