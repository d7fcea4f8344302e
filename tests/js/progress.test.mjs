// What a reader's browser remembers of the steps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nothingKept, objectives, readKept, startOver, takeIn } from '../../static/js/progress.js';

const step = (state, since) => ({ state, since, at: 0 });

test('a step that is done is ticked once and stays so', () => {
  const first = takeIn(nothingKept(), { a: step('done', 5), b: step('open', 5) }, 'e1');
  assert.deepEqual(first.ticked, ['a']);
  const again = takeIn(first.kept, { a: step('done', 5) }, 'e1');
  assert.deepEqual([again.ticked, again.undone], [[], []]);
});

test('the server takes a tick back; another run of the server does not', () => {
  const { kept } = takeIn(nothingKept(), { a: step('done', 5) }, 'e1');
  const other = takeIn(kept, { a: step('waiting', 0) }, 'e2');
  assert.deepEqual(Object.keys(other.kept.ticks), ['a']);
  const back = takeIn(kept, { a: step('open', 9) }, 'e1');
  assert.deepEqual([back.undone, back.kept.ticks], [['a'], {}]);
});

test('done in the new run, a tick can be taken back there', () => {
  let { kept } = takeIn(nothingKept(), { a: step('done', 5) }, 'e1');
  ({ kept } = takeIn(kept, { a: step('done', 3) }, 'e2'));
  assert.deepEqual(takeIn(kept, { a: step('open', 8) }, 'e2').undone, ['a']);
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
