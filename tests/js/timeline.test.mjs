import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARKS_MAX, Marks, hashOf, markOf, momentOf, paths, shapeOf } from '../../static/js/timeline.js';
import { nameOf } from '../../static/js/transport.js';
import { frames } from './frames.mjs';

const mark = (seq, at, more = {}) => [seq, at, more.event ?? 'modified', more.kind ?? 'Pod', more.story ?? 'pod.ready', more.name ?? 'web-0'];
const filled = (list, first = 0) => {
  const marks = new Marks();
  marks.merge(list, first);
  return marks;
};

test('every told frame of the recordings has a mark with a name and a shape, and no other frame has one', () => {
  for (const fixture of ['chapter', 'lanes']) {
    for (const { event, data } of frames(fixture).filter(({ event }) => event !== 'snapshot')) {
      const made = markOf(event, data);
      if (!data.story && !['said', 'inside', 'restarted'].includes(event)) {
        assert.equal(made, null);
        continue;
      }
      assert.equal(made[0], data.seq);
      if (event !== 'restarted' && !data.story?.key.startsWith('link.')) assert.ok(made[5], JSON.stringify(made));
      if (data.card && data.card.kind !== 'Event') assert.notEqual(shapeOf(made), 'warning', data.card.kind);
    }
  }
});

test('a probe that fails is a warning, but not while its Pod is still starting', () => {
  const event = (/** @type {string} */ key) => shapeOf([1, 0, 'added', 'Event', key, 'postgres-statefulset-0']);
  assert.equal(event('event.Unhealthy'), 'warning');
  assert.equal(event('event.Unhealthy.starting'), 'pod');
});

test('marks stand in the order of their frames, apart from each other, and no silence is longer than another', () => {
  const marks = filled([mark(1, 1000), mark(2, 1010), mark(3, 4010), mark(9, 3_600_000), mark(10, 9_000_000)]);
  const gaps = marks.places.slice(1).map((place, n) => place - marks.places[n]);
  assert.ok(gaps.every((gap) => gap > 0));
  assert.ok(gaps[0] < gaps[1] && gaps[1] < gaps[2]);
  assert.ok(Math.abs(gaps[2] - gaps[3]) < 1e-9, 'an hour and an hour and a half are both simply long');
});

test('a recording that begins again goes on to the right', () => {
  const marks = filled([mark(1, 50_000), mark(2, 60_000), mark(3, 1000, { event: 'restarted' }), mark(4, 2000)]);
  assert.deepEqual([...marks.places].sort((a, b) => a - b), marks.places);
  assert.equal(new Set(marks.places).size, 4);
});

test('what the server lists and what the page heard become one list without doubles', () => {
  const marks = new Marks();
  marks.add([7, 700, 'modified', 'Pod', 'pod.ready', 'web-0', 'web-0 is ready']);
  marks.add([8, 800, 'modified', 'Pod', 'pod.ready', 'web-1', 'web-1 is ready']);
  marks.merge([mark(3, 300), mark(5, 500), mark(7, 700)], 2);
  assert.deepEqual(marks.list.map(([seq]) => seq), [3, 5, 7, 8]);
  assert.equal(marks.list[2][6], 'web-0 is ready', 'what was heard knows more');
  assert.equal(marks.first, 2);
  // A frame that was listed already does not come a second time over the stream.
  marks.add(mark(8, 800));
  assert.equal(marks.list.length, 4);
  // What the server has forgotten goes.
  marks.merge([], 6);
  assert.deepEqual(marks.list.map(([seq]) => seq), [7, 8]);
});

test('steps go from mark to mark, from between two of them to the next one, and end at both ends', () => {
  const marks = filled([mark(10, 1), mark(20, 2), mark(30, 3)], 5);
  for (const [seq, steps, want] of [
    [20, -1, 10], [20, 1, 30], [25, -1, 20], [25, 1, 30], [25, -2, 10], [30, 1, null], [31, 1, null], [31, -1, 30],
    [10, -1, 5], [7, -1, 5], [5, -1, 5], [7, 1, 10], [10, 2, 30], [10, 3, null], [30, -9, 5],
  ]) assert.equal(marks.step(seq, steps), want, `${seq} ${steps}`);
  for (const [seq, ahead] of [[5, 3], [10, 2], [15, 2], [30, 0], [99, 0]]) assert.equal(marks.ahead(seq), ahead);
});

test('the nearest mark is found wherever one points', () => {
  const marks = filled(Array.from({ length: 300 }, (_, n) => mark(n * 3, n * n * 40)));
  for (let place = -2; place < marks.length; place += 0.37) {
    const found = marks.nearest(place);
    const best = Math.min(...marks.places.map((it) => Math.abs(it - place)));
    assert.equal(Math.abs(marks.places[found] - place), best);
  }
  assert.equal(new Marks().nearest(3), -1);
});

test('the axis seldom gives way: not at every arrival', () => {
  const marks = new Marks();
  const lengths = new Set();
  for (let n = 0; n < 1000; n += 1) {
    marks.add(mark(n, n * 1000));
    lengths.add(marks.length);
    assert.ok(marks.places.at(-1) < marks.length);
  }
  assert.ok(lengths.size < 16, `${lengths.size} times`);
});

test('five thousand marks are a few short paths, quickly made, and not more are kept', () => {
  const kinds = ['Pod', 'PersistentVolumeClaim', 'PersistentVolume', 'StatefulSet', 'Deployment'];
  const marks = filled(Array.from({ length: MARKS_MAX }, (_, n) => mark(n, n * 700, { kind: kinds[n % 5] })));
  const begun = performance.now();
  const made = paths(marks, { width: 600, height: 44, length: marks.length });
  const took = performance.now() - begun;
  assert.equal(Object.keys(made).length, kinds.length);
  assert.ok(Object.values(made).join('').length < 200_000, 'what falls on the same place is drawn once');
  // A picture of the screen is due every 16 ms; this leaves room for a slow machine under load.
  assert.ok(took < 100, `${took} ms`);
  for (let n = 0; n < 600; n += 1) marks.add(mark(MARKS_MAX + n, 10_000_000 + n));
  assert.ok(marks.list.length <= MARKS_MAX + 250);
  assert.equal(marks.list.at(-1)[0], MARKS_MAX + 599);
});

test('a link names a run and a frame, whatever the run is called', () => {
  assert.deepEqual(momentOf(hashOf('19a3c-7f', 42)), { epoch: '19a3c-7f', seq: 42 });
  assert.deepEqual(momentOf('#at=abc-0'), { epoch: 'abc', seq: 0 });
  for (const hash of ['', '#text', '#at=', '#at=abc', '#at=abc-', '#at=-', '#at=abc-1x', '#at=a/b-1']) assert.equal(momentOf(hash), null, hash);
});

test('a mark has a name even where only the server heard its frame', () => {
  const words = { say: (key) => key, clock: (ms) => `${ms}`, stories: { 'pod.running': { what: '{pod} runs at {ip}' } } };
  const heard = [1, 5, 'modified', 'Pod', 'pod.running', 'web-0', 'web-0 runs at 10.0.0.1'];
  assert.equal(nameOf(heard, words), '5 Pod web-0 runs at 10.0.0.1');
  assert.equal(nameOf(heard.slice(0, 6), words), '5 Pod web-0 runs at …');
  const told = (/** @type {string} */ what) => nameOf([1, 5, 'modified', 'Pod', 'pod.running', 'web-0'], { ...words, stories: { 'pod.running': { what } } });
  assert.equal(told('{pod} が動き始めた。IP は {ip}'), '5 Pod web-0 が動き始めた。');
  assert.equal(told('Pod {pod} is complete ({ready}/{replicas})'), '5 Pod web-0 is complete');
  assert.equal(told('{pod} の Pod がそろった（{ready}/{replicas}）'), '5 web-0 の Pod がそろった');
  assert.equal(nameOf([1, 5, 'added', 'Event', 'event.Odd', 'web-0'], words), '5 Event web-0 Odd');
  assert.equal(nameOf([1, 5, 'said', null, null, 'kubectl get pod'], words), '5 $ kubectl get pod');
});
