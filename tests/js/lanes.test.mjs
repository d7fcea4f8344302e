// Three lanes on the recording of a real cluster: one kill hits all three, and each loses something else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cells, newLanes, see } from '../../static/js/lanes.js';
import { apply, newModel } from '../../static/js/model.js';
import { frames } from './frames.mjs';

const NAMES = ['deployment/lane-emptydir', 'deployment/lane-deployment', 'statefulset/lane-statefulset'];

function play(until = Infinity) {
  const lanes = newLanes(NAMES);
  const model = newModel();
  for (const { event, data } of frames('lanes')) {
    if (data.seq > until) break;
    see(lanes, event, data, apply(model, event, data));
  }
  return lanes;
}
const column = (lane) => Object.fromEntries(Object.entries(cells(lane)).map(([aspect, said]) => [aspect, said?.is ?? null]));

test('nothing is filled in before the kill, and nothing half way', () => {
  for (const until of [0, 152]) for (const lane of play(until)) assert.deepEqual(Object.values(cells(lane)), Array(6).fill(null));
  const half = play(182);
  assert.ok(half.every((lane) => lane.killed && !lane.after));
});

test('what survives in each lane', () => {
  const [emptydir, deployment, statefulset] = play(219).map(column);
  assert.deepEqual(emptydir, { name: 'changes', uid: 'changes', ip: 'changes', claim: null, volume: null, rows: null });
  assert.deepEqual(deployment, { name: 'changes', uid: 'changes', ip: 'changes', claim: 'same', volume: 'same', rows: 'same' });
  assert.deepEqual(statefulset, { name: 'same', uid: 'changes', ip: 'changes', claim: 'same', volume: 'same', rows: 'same' });
});

test('only the Deployment with a claim had two Pods on one volume, and for how long', () => {
  const [emptydir, deployment, statefulset] = play(219);
  assert.equal(emptydir.overlap, null);
  assert.equal(statefulset.overlap, null);
  assert.deepEqual(deployment.overlap, {
    claim: 'lane-claim',
    leaving: 'lane-deployment-7c5967df46-hph4v',
    coming: 'lane-deployment-7c5967df46-p4vvk',
    from: 1795427898172,
    to: 1795427898529,
  });
});

test('clearing up afterwards changes nothing in the table', () => {
  assert.deepEqual(play().map(column), play(219).map(column));
});
