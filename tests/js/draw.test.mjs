import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pattern } from '../../static/js/draw.js';
import { frames } from './frames.mjs';

const key = (uid) => JSON.stringify(pattern(uid));

test('a uid always has the same face, and the next body in a seat has another', () => {
  for (const fixture of ['chapter', 'lanes']) {
    const seats = new Map();
    for (const { event, data } of frames(fixture)) {
      if (event !== 'added' || data.card.kind !== 'Pod') continue;
      const { uid, name } = data.card;
      assert.equal(key(uid), key(uid));
      if (seats.has(name)) assert.notEqual(key(uid), key(seats.get(name)));
      seats.set(name, uid);
    }
  }
});

test('faces mirror themselves, are neither empty nor full, and rarely repeat', () => {
  const seen = new Set();
  for (let i = 0; i < 2000; i += 1) {
    const uid = `${(i * 2654435761).toString(16).padStart(8, '0').slice(-8)}-8b52-428b-baaa-${String(i).padStart(12, '0')}`;
    const { cells } = pattern(uid);
    const on = cells.flat().filter(Boolean).length;
    assert.ok(on >= 8 && on <= 21, `${on} cells`);
    for (const row of cells) assert.deepEqual([...row].reverse(), row);
    seen.add(key(uid));
  }
  assert.ok(seen.size > 1900, `${seen.size} of 2000`);
});
