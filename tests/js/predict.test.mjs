// What the watch said is held against what the reader guessed: on the recordings of a real cluster, and where they hold no such case, on cards.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, newModel } from '../../static/js/model.js';
import { newWatch, see, verdict } from '../../static/js/predict.js';
import { card, frames, holding, pod } from './frames.mjs';

/** Plays a fixture up to a frame, with a watch on it; `each` sees every step. */
function play(name, act, until = Infinity, from = 0, each = () => {}) {
  const watch = newWatch(act);
  const model = newModel();
  for (const { event, data } of frames(name)) {
    if (data.seq > until) break;
    apply(model, event, data);
    if (data.seq >= from) see(watch, event, data, model);
    each(watch, data.seq);
  }
  return watch;
}
const truths = (watch) => Object.fromEntries(Object.entries(watch.truth).map(([guess, said]) => [guess, said.is]));

test('a killed Pod of a set: same name, claim, volume and rows, another uid and address', () => {
  const phases = new Map();
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 66, 0, ({ phase }, seq) => phases.set(phase, phases.get(phase) ?? seq));
  assert.deepEqual(truths(watch), { name: 'same', uid: 'changes', ip: 'changes', claim: 'same', volume: 'same', rows: 'same' });
  assert.deepEqual(Object.fromEntries(phases), { ready: 0, running: 45, settled: 63 });
  assert.equal(watch.truth.rows.after, 2);
  assert.equal(watch.truth.name.after, 'postgres-statefulset-0');
});

test('the rows are not known before somebody has looked through the new Pod', () => {
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 64);
  assert.equal(watch.phase, 'settled');
  assert.equal(watch.truth.rows.is, null);
  assert.equal(verdict('same', watch.truth.rows), 'unseen');
});

test('what was seen stays when the next kill comes', () => {
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 190);
  assert.deepEqual(truths(watch), { name: 'same', uid: 'changes', ip: 'changes', claim: 'same', volume: 'same', rows: 'same' });
});

test('a forced deletion counts as well', () => {
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 86, 64);
  assert.equal(watch.phase, 'settled');
  assert.equal(watch.truth.uid.is, 'changes');
  assert.equal(watch.truth.rows.is, 'same');
});

test('deleting the whole set is no kill', () => {
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 202, 190);
  assert.equal(watch.phase, 'ready');
});

test('scaling down takes the highest first and leaves claims and volumes', () => {
  const watch = play('chapter', 'scale StatefulSet postgres-statefulset 1', 163, 80);
  assert.equal(watch.phase, 'settled');
  assert.deepEqual(truths(watch), { first: 'highest', pods: '1', claims: 'same', volumes: 'same' });
  assert.equal(watch.truth.claims.after, 3);
});

test('a scale to another number is not the one that was asked about', () => {
  assert.equal(play('chapter', 'scale StatefulSet postgres-statefulset 2', 163, 80).phase, 'ready');
});

test('a claim deleted in use is held: Terminating to look at, Bound in its phase, its Pod and volume untouched', () => {
  const watch = play('chapter', 'delete PersistentVolumeClaim postgres-data-postgres-statefulset-1');
  assert.deepEqual(truths(watch), { status: 'Terminating', phase: 'Bound', pod: 'same', volume: 'Bound' });
});

test('a claim that nobody uses is not the claim in use', () => {
  const watch = play('chapter', 'delete PersistentVolumeClaim postgres-data-postgres-statefulset-2');
  assert.equal(watch.phase, 'ready');
});

test('three lanes are compared each by itself', () => {
  const watch = play('lanes', 'delete Pod deployment/lane-emptydir deployment/lane-deployment statefulset/lane-statefulset', 219);
  assert.equal(watch.phase, 'settled');
  assert.equal(watch.truth['rows/lane-deployment'].is, 'same');
  assert.equal(watch.truth['rows/lane-statefulset'].is, 'same');
  assert.equal(watch.truth['name/lane-deployment'].is, 'changes');
  assert.equal(watch.truth['name/lane-statefulset'].is, 'same');
});

test('a look that the database refuses is not known, one that finds no table is', () => {
  const set = card('StatefulSet', 'web', { replicas: 1 });
  const owner = { kind: 'StatefulSet', name: 'web', uid: set.uid };
  const claim = card('PersistentVolumeClaim', 'data-web-0', { status: 'Bound', volume: 'v' });
  const use = [{ volume: 'data', claim: 'data-web-0' }];
  const old = pod('web-0', { owner, ip: '1', claims: use });
  const model = holding([set, claim, old]);
  const watch = newWatch('delete Pod web-0');
  const step = (event, data) => see(watch, event, data, apply(model, event, { seq: model.seq + 1, at: 2000, ...data }));
  const look = (uid, more) => step('inside', { inside: { claim: 'data-web-0', key: 'data-web-0', podUid: uid, columns: ['id'], rows: [['1']], ...more } });
  look(old.uid, {});
  step('deleted', { card: old });
  const next = pod('web-0', { owner, ip: '2', claims: use });
  step('added', { card: next });
  assert.equal(watch.truth.rows.is, null, 'rows seen through the old Pod say nothing of the new one');
  look(next.uid, { rows: [], columns: [], fault: { cause: 'refused' } });
  assert.equal(watch.truth.rows.is, null);
  look(next.uid, { rows: [], columns: [], fault: { cause: 'no-table' } });
  assert.equal(watch.truth.rows.is, 'changes');
});

test('a guess is right, wrong, open, or waits', () => {
  const said = { is: 'same', before: 'a', after: 'a' };
  assert.equal(verdict('same', said), 'right');
  assert.equal(verdict('changes', said), 'wrong');
  assert.equal(verdict(undefined, said), 'open');
  assert.equal(verdict('same', undefined), 'unseen');
});

test('a recording that begins again begins the prediction again', () => {
  const watch = play('chapter', 'delete Pod postgres-statefulset-0', 66);
  see(watch, 'restarted', {}, newModel());
  assert.equal(watch.phase, 'ready');
  assert.deepEqual(watch.truth, {});
});
