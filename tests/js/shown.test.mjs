// Data as text: nothing in it is out of sight, and nothing turns the words around it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill, tell } from '../../static/js/model.js';
import { widthOf } from '../../static/js/names.js';
import { shown, shownLines } from '../../static/js/shown.js';

test('signs that nobody sees are shown', () => {
  for (const [text, want] of [
    ['postgres-statefulset-0', 'postgres-statefulset-0'],
    ['りんご（赤）', 'りんご（赤）'],
    ['é ＡＢ — “x” 한국어', 'é ＡＢ — “x” 한국어'],
    ['apple\u200b', 'apple⟨U+200B⟩'],
    ['\u202egnp.exe', '⟨U+202E⟩gnp.exe'],
    ['a\u2066b\u2069', 'a⟨U+2066⟩b⟨U+2069⟩'],
    ['soft\u00adhyphen', 'soft⟨U+00AD⟩hyphen'],
    ['\ufeffx', '⟨U+FEFF⟩x'],
    ['\u3164', '⟨U+3164⟩'],
    ['\u{e0041}', '⟨U+E0041⟩'],
    ['a\nb\tc', 'a␊b␉c'],
    ['\u001b[2J\u007f', '␛[2J␡'],
    ['\u0085', '⟨U+0085⟩'],
    ['\u2028', '⟨U+2028⟩'],
    ['\ud800', '⟨U+D800⟩'],
    // Between letters it hides; in these it is how the sign is written.
    ['a\u200db', 'a⟨U+200D⟩b'],
    ['👩\u200d👩\u200d👧', '👩\u200d👩\u200d👧'],
    ['❤\ufe0f', '❤\ufe0f'],
    ['1\ufe0f\u20e3', '1\ufe0f\u20e3'],
    ['a\ufe0f', 'a⟨U+FE0F⟩'],
    ['葛\u{e0100}城', '葛\u{e0100}城'],
  ]) assert.equal(shown(text), want);
});

test('what is written from right to left stays within itself', () => {
  assert.equal(shown('שלום'), '\u2068שלום\u2069');
  assert.equal(shown('a مرحبا 1'), '\u2068a مرحبا 1\u2069');
  // A value cannot end its own isolation and go on outside.
  assert.equal(shown('א\u2069ב'), '\u2068א⟨U+2069⟩ב\u2069');
  assert.equal(shown('\u2068\u200bא\u2069'), '\u2068⟨U+2068⟩⟨U+200B⟩א⟨U+2069⟩\u2069');
  assert.equal(shown('\u2068abc\u2069'), '⟨U+2068⟩abc⟨U+2069⟩');
});

test('what was shown is not changed again', () => {
  for (const text of ['apple\u200b', 'שלום', 'a\nb', '❤\ufe0f', 'א\u2069ב']) assert.equal(shown(shown(text)), shown(text));
  const sentence = fill('the Pod {pod} and its claim {claim}', { pod: 'שלום', claim: 'x\u200b' });
  assert.equal(sentence, 'the Pod \u2068שלום\u2069 and its claim x⟨U+200B⟩');
  assert.equal(shown(sentence), sentence);
  assert.equal(shownLines(sentence), sentence);
});

test('lines stay lines', () => {
  assert.equal(shownLines(' id |\tname\n 1 | שלום\n'), ' id |\tname\n\u2068 1 | שלום\u2069\n');
});

test('a story shows what it is told', () => {
  const told = tell({ key: 'event.Odd', params: { from: 'x\u200b', object: 'pod/שלום', message: 'a\u202eb\nc' } }, {});
  assert.deepEqual([told.who, told.what, told.why], ['x⟨U+200B⟩', 'Odd \u2068pod/שלום\u2069', 'a⟨U+202E⟩b\nc']);
  // A key that every object has is no value.
  assert.equal(fill('{constructor}', {}), '{constructor}');
});

test('what is shown is what is measured', () => {
  assert.equal(widthOf('a\u200b', 10, 0.5), widthOf('a⟨U+200B⟩', 10, 0.5));
  assert.equal(widthOf('שלום', 10, 0.5), 4 * 5);
});
