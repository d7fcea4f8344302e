// Which key means what, by where the keyboard is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deedOf } from '../../static/js/keys.js';

const nowhere = { writing: false, presses: false, walks: false, panel: false, projected: false };
const KEYS = [' ', 'ArrowLeft', 'ArrowRight', 'PageUp', 'PageDown', 'p', 'P', 'l', 'L', ',', '.'];
const deeds = (where) => KEYS.map((key) => deedOf(key, { ...nowhere, ...where }));

test('on the wall every key works wherever the keyboard is', () => {
  assert.deepEqual(deeds({ projected: true }), ['pause', 'back', 'on', 'back', 'on', 'projector', 'projector', 'now', 'now', 'one-back', 'one-on']);
  assert.equal(deedOf('Enter', { ...nowhere, projected: true }), null);
});

test('beside the text the page keeps its own keys; the way into the projector is one everywhere', () => {
  assert.deepEqual(deeds({}), [null, null, null, null, null, 'projector', 'projector', null, null, null, null]);
  assert.deepEqual(deeds({ panel: true }), ['pause', 'back', 'on', null, null, 'projector', 'projector', 'now', 'now', 'one-back', 'one-on']);
});

test('what is typed is never taken, nor Space from a button, nor the arrows from the scene', () => {
  for (const projected of [false, true]) assert.deepEqual(deeds({ writing: true, panel: true, projected }), KEYS.map(() => null));
  const pressed = deeds({ presses: true, projected: true });
  assert.deepEqual([pressed[0], pressed[1], pressed[4]], [null, 'back', 'on']);
  const walked = deeds({ walks: true, presses: true, panel: true, projected: true });
  assert.deepEqual(walked.slice(0, 5), [null, null, null, 'back', 'on']);
});
