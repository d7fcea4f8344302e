// What a step offers becomes what the server can take, or says what is missing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPredicted, resolve } from '../../static/js/deed.js';
import { card, holding, pod } from './frames.mjs';

test('the uid of what is there now goes along', () => {
  const mine = pod('web-0');
  const act = { do: 'delete', kind: 'Pod', name: 'web-0' };
  assert.deepEqual(resolve(act, holding([mine])), { action: { ...act, uid: mine.uid }, missing: null });
  assert.deepEqual(resolve(act, holding([])), { action: act, missing: { say: 'steps.missing', name: 'web-0' } });
});

test('a volume is found through its claim, and a released one after the claim is gone', () => {
  const claim = { namespace: 'default', name: 'data', uid: 'old' };
  const bound = card('PersistentVolume', 'pv-1', { status: 'Bound', reclaim: 'Delete', claim });
  const volumes = [bound, card('PersistentVolume', 'pv-0', { status: 'Released', reclaim: 'Retain', claim })];
  const model = holding([...volumes, card('PersistentVolumeClaim', 'data', { volume: 'pv-1' })]);
  assert.deepEqual(resolve({ do: 'retain', claim: 'data' }, model).action, { do: 'retain', name: 'pv-1', uid: bound.uid });
  assert.deepEqual(resolve({ do: 'release', claim: 'data' }, model).action, { do: 'release', name: 'pv-0', uid: volumes[1].uid });
  assert.deepEqual(resolve({ do: 'release', claim: 'data' }, holding([bound])), { action: { do: 'release' }, missing: { say: 'steps.missing.release', name: 'data' } }, 'a bound volume is not freed');
});

test('what needs nothing is offered as it is', () => {
  for (const act of [{ do: 'apply', folder: 'lanes' }, { do: 'reset' }, { do: 'delete', kind: 'Pod', selector: 'app=x' }]) {
    assert.deepEqual(resolve(act, holding([])), { action: act, missing: null });
  }
  assert.equal(resolve({ do: 'query', in: 'deployment/lane', sql: 'SELECT 1' }, holding([])).missing?.name, 'lane');
});

// The line of a volume that was freed turned into `kubectl patch pv PV`, with a button that copies it.
test('no line ever has a placeholder: a freed volume keeps its name, and one that is gone has no line', () => {
  const claim = { namespace: 'default', name: 'data' };
  const freed = card('PersistentVolume', 'pv-0', { status: 'Available', reclaim: 'Retain', claim });
  const release = resolve({ do: 'release', claim: 'data' }, holding([freed]));
  assert.deepEqual(release, { action: { do: 'release', name: 'pv-0' }, missing: { say: 'steps.missing.release', name: 'data' } });
  for (const deed of ['retain', 'release']) {
    assert.deepEqual(resolve({ do: deed, claim: 'data' }, holding([])), { action: { do: deed }, missing: { say: `steps.missing.${deed}`, name: 'data' } });
  }
});

test('what the text asks to predict is found among the acts of its step', () => {
  const kill = { do: 'delete', kind: 'Pod', name: 'web-0' };
  assert.ok(isPredicted(kill, 'delete Pod web-0'));
  assert.ok(!isPredicted({ ...kill, name: 'web-1' }, 'delete Pod web-0'));
  const scale = (replicas) => ({ do: 'scale', kind: 'StatefulSet', name: 'web', replicas });
  assert.deepEqual([3, 1, 2].map((n) => isPredicted(scale(n), 'scale StatefulSet web 1')), [false, true, false]);
  assert.ok(isPredicted({ do: 'delete', kind: 'Pod', selector: 'app in (a,b)' }, 'delete Pod deployment/a statefulset/b'));
  assert.ok(!isPredicted({ do: 'delete', kind: 'Deployment', name: 'a' }, 'delete Pod deployment/a statefulset/b'));
});
