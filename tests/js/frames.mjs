// Reads the fixtures that the server's tests write: JSON arrays of {event, data}, as sent over /events.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { apply, newModel } from '../../static/js/model.js';

/** @param {string} name @returns {{event: string, data: any}[]} */
export function frames(name) {
  return JSON.parse(readFileSync(fileURLToPath(new URL(`../frames/${name}.json`, import.meta.url)), 'utf8'));
}

/**
 * A model that has seen the frames up to and with the first one for which `until` holds; fails when none does.
 * @param {{event: string, data: any}[]} all
 * @param {(event: string, data: any) => boolean} until
 */
export function seen(all, until) {
  const model = newModel();
  for (const { event, data } of all) {
    apply(model, event, data);
    if (until(event, data)) return model;
  }
  throw new Error('no frame of the fixture answers to the condition');
}

/** Whether a frame tells this story, of the Pod, claim or owner named, if one is. */
export const told = (key, about) => (_event, data) =>
  data.story?.key === key && (about === undefined || Object.values(data.story.params).includes(about));

/** A room of a given size, with keys for words. */
export const room = (width = 1000, height = 700, more = {}) => ({ width, height, projector: false, mono: 0.6, say: (key) => key, ...more });

let uids = 0;
/** Cards built by hand, for what no recording holds. */
export const card = (kind, name, more = {}) => ({ kind, name, uid: `uid-${(uids += 1)}`, namespace: 'default', created: uids, ...more });
export const pod = (name, more = {}) => card('Pod', name, { status: 'Running', phase: 'Running', ready: [1, 1], isReady: true, restarts: 0, node: 'n', claims: [], scratch: [], containers: [{ name: 'c', image: 'i', state: 'running' }], ...more });

/** A model holding these cards. */
export function holding(cards) {
  return apply(newModel(), 'snapshot', { epoch: 'e', seq: 1, at: 1000, source: { kind: 'kube', label: 'kind-kind', namespace: 'default' }, link: { state: 'live', since: 0, kinds: {} }, insides: [], cards });
}
