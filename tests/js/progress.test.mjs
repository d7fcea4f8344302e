// What a reader's browser remembers of the steps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joins, nothingKept, objectives, readKept, startOver, takeIn } from '../../static/js/progress.js';

const step = (state, since) => ({ state, since, at: 0 });

test('a step that is done is ticked once and stays so', () => {
  const first = takeIn(nothingKept(), { a: step('done', 5), b: step('open', 5) }, 'e1');
  assert.deepEqual(first.ticked, ['a']);
  assert.deepEqual(takeIn(first.kept, { a: step('done', 5) }, 'e1').ticked, []);
});

test('what is cleared away after it was done stays ticked, in this run of the server and in the next', () => {
  const { kept } = takeIn(nothingKept(), { a: step('done', 5) }, 'e1');
  for (const [state, epoch] of [['open', 'e1'], ['waiting', 'e1'], ['open', 'e2']]) {
    const after = takeIn(kept, { a: step(state, 9) }, epoch);
    assert.deepEqual([Object.keys(after.kept.ticks), after.ticked], [['a'], []]);
  }
});

test('who finds a run that has ended begins with the next one; who was in it keeps it', () => {
  const all = { a: step('done', 5), end: step('done', 9) };
  const newcomer = joins(nothingKept(), true, 'e1', 12);
  assert.deepEqual(takeIn(newcomer, all, 'e1').ticked, []);
  assert.deepEqual(takeIn(newcomer, { a: step('done', 15) }, 'e1').ticked, ['a']);
  // In the middle of a run a latecomer stands where the class stands.
  assert.deepEqual(takeIn(joins(nothingKept(), false, 'e1', 12), all, 'e1').ticked, ['a', 'end']);
  // Away while the last step was done.
  const { kept } = takeIn(nothingKept(), { a: step('done', 5) }, 'e1');
  assert.deepEqual(takeIn(joins(kept, true, 'e1', 12), all, 'e1').ticked, ['end']);
  // Ticks of an earlier run of the server are no part in this one.
  assert.deepEqual(takeIn(joins(kept, true, 'e2', 12), all, 'e2').ticked, []);
});

test('who starts over is not ticked for what was done before, and is for what is done after', () => {
  const kept = startOver('e1', 10);
  assert.deepEqual(takeIn(kept, { a: step('done', 5) }, 'e1').ticked, []);
  assert.deepEqual(takeIn(kept, { a: step('done', 15) }, 'e1').ticked, ['a']);
  assert.deepEqual(takeIn(kept, { a: step('done', 5) }, 'e2').ticked, ['a']);
});

test('what was kept by an older page, or broken, is read as far as it goes', () => {
  for (const text of [null, '', 'x', '[]', '{"ticks":{"a":1},"fresh":7}', 'null']) assert.deepEqual(readKept(text), nothingKept(), String(text));
  const { kept } = takeIn(nothingKept(), { a: step('done', 5) }, 'e1');
  assert.deepEqual(readKept(JSON.stringify(kept)), kept);
});

test('an objective counts the steps and questions that name it', () => {
  const found = objectives([{ goals: ['x'], done: true }, { goals: ['x', 'y'], done: false }, { goals: [], done: true }]);
  assert.deepEqual([...found], [['x', { done: 1, total: 2 }], ['y', { done: 0, total: 1 }]]);
});
