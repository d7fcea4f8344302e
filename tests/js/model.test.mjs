import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageOf, apply, arrange, claimHealth, fill, graceLeft, grip, holdOf, isEmpty, isTold, lookKey, newModel, placesSince, podHealth, tell } from '../../static/js/model.js';
import { card, frames, holding, pod, seen, told } from './frames.mjs';

const CLAIM = 'postgres-data-postgres-statefulset-0';
const POD = 'postgres-statefulset-0';
const seatOf = (model, name) => arrange(model).groups.flatMap((group) => group.columns).find((column) => column.seat === name);

test('the seat and its claim outlive the body, and another body sits down', () => {
  const all = frames('chapter');
  const before = seatOf(seen(all, told('pod.killing', POD)), POD);
  const empty = seatOf(seen(all, told('pod.gone.seat', POD)), POD);
  const after = seatOf(seen(all, told('pod.ready.same', POD)), POD);
  assert.equal(empty.pod, null);
  assert.equal(empty.wanted, true);
  assert.notEqual(after.pod.uid, before.pod.uid);
  for (const column of [empty, after]) {
    assert.equal(column.shelves[0].claim.uid, before.shelves[0].claim.uid);
    assert.equal(column.shelves[0].volumes[0].uid, before.shelves[0].volumes[0].uid);
  }
});

test('taking every frame twice leaves the same board', () => {
  for (const name of ['chapter', 'lanes']) {
    const once = newModel();
    const twice = newModel();
    for (const { event, data } of frames(name)) {
      apply(once, event, data);
      apply(twice, event, data);
      apply(twice, event, data);
    }
    assert.deepEqual([...twice.cards], [...once.cards]);
    assert.deepEqual([...twice.same], [...once.same]);
  }
});

test('a claim that lost its seat to a scale-down stays where it was', () => {
  const all = frames('chapter');
  const wide = seen(all, told('sts.scaled.down'));
  const at = (model, claim) => arrange(model).groups.map((group) => group.columns.findIndex((column) => column.shelves.some((shelf) => shelf.name === claim))).find((slot) => slot >= 0);
  const claim = 'postgres-data-postgres-statefulset-2';
  assert.equal(at(wide, claim), 2);
  const model = newModel();
  let checked = 0;
  for (const { event, data } of all) {
    apply(model, event, data);
    const slot = at(model, claim);
    if (slot === undefined) continue;
    assert.equal(slot, 2);
    checked += 1;
  }
  assert.ok(checked > 20);
});

test('in a Deployment the successor sits beside the one who leaves, and stays when he is gone', () => {
  const model = newModel();
  const history = new Set();
  for (const { event, data } of frames('lanes')) {
    apply(model, event, data);
    const columns = arrange(model).groups.find((group) => group.name === 'lane-deployment')?.columns ?? [];
    history.add(JSON.stringify(columns.map((column) => column.pod?.name.slice(-5) ?? null)));
  }
  assert.deepEqual([...history].slice(1), ['[null]', '["hph4v"]', '["hph4v",null]', '["hph4v","p4vvk"]', '[null,"p4vvk"]', '[null,null]']);
});

test('a Pod heard of before its ReplicaSet sits under the Deployment that is there, in no column of its own', () => {
  const owner = { kind: 'ReplicaSet', name: 'web-abc', uid: 'r' };
  const deployment = card('Deployment', 'web', { replicas: 1, ready: 0 });
  assert.deepEqual(arrange(holding([deployment, pod('web-abc-xyz', { owner })])).groups.map((group) => group.key), ['Deployment/web']);
});

test('a ReplicaSet heard of after its Pods still brings them under its Deployment', () => {
  const rs = card('ReplicaSet', 'web-abc', { replicas: 1, existing: 1, ready: 0, owner: { kind: 'Deployment', name: 'web', uid: 'd' } });
  const model = holding([pod('web-abc-xyz', { owner: { kind: 'ReplicaSet', name: 'web-abc', uid: rs.uid } })]);
  assert.deepEqual(arrange(model).groups.map((group) => group.key), ['ReplicaSet/web-abc']);
  apply(model, 'added', { seq: 2, at: 2, card: rs });
  assert.deepEqual(arrange(model).groups.map((group) => group.key), ['Deployment/web']);
});

test('a group that left is a gap until another one comes', () => {
  const sts = card('StatefulSet', 'a', { replicas: 1, ready: 0, claimTemplates: [] });
  const bare = pod('b');
  const model = holding([sts, bare]);
  arrange(model);
  apply(model, 'deleted', { seq: 2, at: 2, card: sts });
  assert.deepEqual(arrange(model).groups.map((group) => group.kind), ['Gap', 'Pod']);
  apply(model, 'added', { seq: 3, at: 3, card: card('Deployment', 'c', { replicas: 1, ready: 0 }) });
  assert.deepEqual(arrange(model).groups.map((group) => group.kind), ['Pod', 'Deployment']);
});

test('volumes of other namespaces are not ours', () => {
  const model = holding([card('PersistentVolume', 'far', { namespace: undefined, status: 'Bound', claim: { namespace: 'other', name: 'x' } })]);
  assert.equal(isEmpty(model), true);
  assert.deepEqual(arrange(model).groups, []);
});

test('a start ordinal shifts names, not places', () => {
  const model = holding([card('StatefulSet', 'db', { replicas: 2, start: 5, ready: 0, claimTemplates: ['data'] }), card('PersistentVolumeClaim', 'data-db-6', { status: 'Pending' })]);
  const [group] = arrange(model).groups;
  assert.deepEqual(group.columns.map((column) => column.seat), ['db-5', 'db-6']);
  assert.equal(group.columns[1].shelves[0].name, 'data-db-6');
});

test('a claim that waits is calm, one that is to go is not, and only trouble is bad', () => {
  assert.deepEqual(claimHealth({ status: 'Pending' }), { tone: 'calm', mark: 'clock' });
  assert.deepEqual(claimHealth({ status: 'Terminating', deleting: {}, finalizers: ['kubernetes.io/pvc-protection'] }), { tone: 'busy', mark: 'hourglass' });
  assert.equal(podHealth(pod('p', { status: 'CrashLoopBackOff', isReady: false })).tone, 'bad');
  assert.equal(podHealth(pod('p', { status: 'Pending', isReady: false, node: undefined })).tone, 'calm');
  const waits = { status: 'Pending', isReady: false, node: undefined };
  assert.deepEqual(podHealth(pod('p', { ...waits, message: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." })), { tone: 'busy', mark: 'bang' });
  assert.equal(podHealth(pod('p', { ...waits, message: 'persistentvolumeclaim "data" not found' })).tone, 'calm');
  assert.equal(podHealth(pod('p', { status: 'Completed', phase: 'Succeeded', isReady: false, deleting: { deadline: 1 } })).tone, 'gone');
});

test('a Pod holds its claim only after a container ran on it', () => {
  const waiting = [{ name: 'c', image: 'i', state: 'waiting' }];
  assert.equal(grip(pod('p', { node: undefined, containers: waiting })), 'names');
  assert.equal(grip(pod('p', { containers: waiting })), 'reaching');
  assert.equal(grip(pod('p')), 'plugged');
  assert.equal(grip(pod('p', { containers: waiting, restarts: 2 })), 'plugged');
  assert.equal(grip(pod('p', { phase: 'Succeeded' })), 'pulled');
});

test('the grace that is left is counted on the clock of the cluster', () => {
  const dying = pod('p', { deleting: { deadline: 31_400, grace: 30 } });
  assert.deepEqual(graceLeft(dying, 1_000), { seconds: 30, share: 1 });
  assert.deepEqual(graceLeft(dying, 16_400), { seconds: 15, share: 0.5 });
  assert.deepEqual(graceLeft(dying, 99_000), { seconds: 0, share: 0 });
  assert.equal(graceLeft(pod('p'), 0), null);
});

test('the rows are proven to be the same only by a look after the new body was Ready', () => {
  const all = frames('chapter');
  const ready = seen(all, told('pod.ready.same', POD));
  assert.ok(ready.inside.get(CLAIM).at < ready.same.get(CLAIM).at);
  let looks = 0;
  const looked = seen(all, (event) => event === 'inside' && (looks += 1) === 2);
  assert.ok(looked.inside.get(CLAIM).at >= looked.same.get(CLAIM).at);
});

test('a recording that begins again clears the board and keeps the source', () => {
  const model = seen(frames('chapter'), told('pod.ready', POD));
  apply(model, 'restarted', { seq: 999, at: 5 });
  assert.equal(model.cards.size, 0);
  assert.equal(model.inside.size, 0);
  assert.ok(model.source);
});

test('words: values are filled in, a jsonpath is left alone, an unknown event speaks for itself', () => {
  assert.equal(fill("kubectl get pod {pod} -o jsonpath='{.status.phase}'", { pod: 'a' }), "kubectl get pod a -o jsonpath='{.status.phase}'");
  assert.equal(fill('{pod} {other}', { pod: '$&' }), '$& {other}');
  assert.deepEqual(tell({ key: 'event.FailedMount', params: { object: 'Pod a', message: 'no disk', from: 'kubelet' } }, {}), { key: 'event.FailedMount', who: 'kubelet', what: 'FailedMount Pod a', why: 'no disk', field: '', kubectl: '' });
});

test('pace: a story is held long enough to read, a crowd of them less, silence not at all', () => {
  const killing = { story: { key: 'pod.killing', params: {} } };
  assert.equal(holdOf('modified', killing, 0, 1), 1600);
  assert.equal(holdOf('modified', killing, 0, 0.25), 6400);
  assert.ok(holdOf('modified', killing, 40, 1) < 500);
  assert.equal(holdOf('modified', {}, 0, 1), 0);
  assert.ok(holdOf('modified', { story: { key: 'pod.ready.same', params: {} } }, 0, 1) > holdOf('modified', { story: { key: 'pod.ready', params: {} } }, 0, 1));
  assert.equal(isTold('added', {}), false);
  assert.equal(isTold('said', { text: 'x' }), true);
});

test('a kill of two seconds is told within twenty', () => {
  const all = frames('chapter');
  const from = all.findIndex(({ data }) => data.text === 'kubectl delete pod postgres-statefulset-0');
  const to = all.findIndex(({ data }, i) => i > from && data.story?.key === 'sts.ready');
  const beats = all.slice(from, to + 1).filter(({ event, data }) => isTold(event, data));
  const ms = beats.reduce((sum, { event, data }, i) => sum + holdOf(event, data, beats.length - 1 - i, 1), 0);
  assert.ok(beats.length >= 9, `${beats.length} beats`);
  assert.ok(ms > 8_000 && ms < 20_000, `${ms} ms`);
});

test('a page opened late has the rows of the last look', () => {
  const look = { claim: 'c', query: 'SELECT 1;', columns: ['a'], rows: [['1']], at: 900 };
  const model = apply(newModel(), 'snapshot', { epoch: 'e', seq: 1, at: 1000, source: {}, link: { kinds: {} }, cards: [], insides: [look] });
  assert.deepEqual(model.inside.get('c'), { ...look, key: 'c' });
});

/** A model with a claim on a volume, which has heard these looks. */
function looked(...looks) {
  const claim = card('PersistentVolumeClaim', 'data', { volume: 'pv-1', status: 'Bound' });
  const model = holding([claim]);
  looks.forEach((inside, i) => apply(model, 'inside', { seq: i + 2, at: 2000 + i * 1000, inside: { key: 'data', claim: 'data', query: 'SELECT 1', columns: ['id'], rows: [], ...inside } }));
  return { model, inside: model.inside.get('data') };
}

test('rows seen through a new body stand beside those seen through the old one, on the same volume', () => {
  const { model, inside } = looked({ podUid: 'a', rows: [['1']] }, { podUid: 'a', rows: [['1'], ['2']] }, { podUid: 'b', rows: [['1'], ['2']] });
  assert.deepEqual(inside.rows, [['1'], ['2']]);
  assert.deepEqual(inside.before, { columns: ['id'], rows: [['1'], ['2']], at: 3000, pod: undefined, podUid: 'a', volume: 'pv-1' });
  assert.equal(inside.volume, inside.before.volume);
  // Heard twice, it is still the body before that stands there.
  apply(model, 'inside', { seq: 5, at: 5000, inside: { key: 'data', claim: 'data', podUid: 'b', query: 'SELECT 1', columns: ['id'], rows: [['1'], ['2'], ['3']] } });
  assert.equal(model.inside.get('data').before.podUid, 'a');
});

test('a look that failed says why beside the rows last known, with their own age', () => {
  const fault = { cause: 'not-ready', detail: 'no container runs' };
  const { model, inside } = looked({ podUid: 'a', rows: [['1']] }, { columns: [], rows: [], fault });
  assert.deepEqual(inside.rows, [['1']]);
  assert.equal(inside.at, 2000);
  assert.deepEqual(inside.fault, { ...fault, at: 3000 });
  apply(model, 'inside', { seq: 4, at: 4000, inside: { key: 'data', claim: 'data', podUid: 'a', query: 'SELECT 1', columns: ['id'], rows: [['1']] } });
  assert.equal(model.inside.get('data').fault, undefined);
  const first = looked({ columns: [], rows: [], fault }).inside;
  assert.deepEqual(first.columns, []);
  assert.equal(first.fault.cause, 'not-ready');
});

test('rows on no claim are known by the workload, and gone with it', () => {
  const deployment = card('Deployment', 'lane-emptydir', { replicas: 1 });
  const set = card('ReplicaSet', 'lane-emptydir-77', { replicas: 1, existing: 1, owner: { kind: 'Deployment', name: 'lane-emptydir' } });
  const body = pod('lane-emptydir-77-x', { owner: { kind: 'ReplicaSet', name: 'lane-emptydir-77' } });
  const model = holding([deployment, set, body]);
  arrange(model);
  assert.equal(lookKey(model, body), 'lane-emptydir');
  apply(model, 'inside', { seq: 2, at: 2000, inside: { key: 'lane-emptydir', pod: body.name, podUid: body.uid, query: 'q', columns: ['id'], rows: [['1']] } });
  assert.equal(model.inside.get(lookKey(model, body)).rows.length, 1);
  apply(model, 'deleted', { seq: 3, at: 3000, card: deployment });
  assert.equal(model.inside.size, 0);
});

test('ages are told no finer than is worth it', () => {
  for (const [ms, want] of [[-5, 'now 0'], [4999, 'now 0'], [7000, 'seconds 7'], [19_999, 'seconds 10'], [59_000, 'seconds 50'], [60_000, 'minutes 1'], [3_600_000, 'hours 1']]) {
    const { key, n } = ageOf(ms);
    assert.equal(`${key} ${n}`, want, `${ms}`);
  }
});

test('trouble in an init container is trouble', () => {
  for (const status of ['Init:CrashLoopBackOff', 'Init:ExitCode:1', 'ErrImageNeverPull', 'OutOfcpu', 'Signal:9']) {
    assert.equal(podHealth(pod('p', { status, isReady: false })).tone, 'bad', status);
  }
  assert.equal(podHealth(pod('p', { status: 'Init:0/1', phase: 'Pending', isReady: false })).tone, 'busy');
});

// After a reload the workloads stood in another order than before it.
test('a page that is loaded anew puts things where they were', () => {
  const all = frames('lanes');
  const open = newModel();
  for (const { event, data } of all) {
    apply(open, event, data);
    arrange(open);
  }
  const [{ data: keyframe }, ...rest] = all;
  const anew = apply(newModel(), 'snapshot', { ...keyframe, seq: open.seq, at: open.at, cards: [...open.cards.values()], insides: [] });
  anew.memory = placesSince({ keyframe, frames: rest }, anew);
  assert.deepEqual(arrange(anew).groups.map(({ key }) => key), arrange(open).groups.map(({ key }) => key));
});

test('workloads that are met all at once stand in the order in which they were made', () => {
  const model = holding([card('Deployment', 'first', { replicas: 1, created: 1 }), card('StatefulSet', 'second', { replicas: 1, created: 2 })]);
  assert.deepEqual(arrange(model).groups.map(({ key }) => key), ['Deployment/first', 'StatefulSet/second']);
});
