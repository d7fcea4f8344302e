import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bondsOf, isCaption } from '../../static/js/story.js';
import { frames } from './frames.mjs';

const story = (key, params, card) => ['modified', { story: { key, params }, card }];

test('troubles that come again are one line for each Pod, whatever the reason says this time', () => {
  const first = bondsOf(...story('pod.image', { pod: 'web-0', reason: 'ErrImagePull' }));
  const again = bondsOf(...story('pod.image', { pod: 'web-0', reason: 'ImagePullBackOff' }));
  const other = bondsOf(...story('pod.image', { pod: 'web-1', reason: 'ErrImagePull' }));
  assert.notEqual(first.again, '');
  assert.equal(again.again, first.again);
  assert.notEqual(other.again, first.again);
  assert.equal(bondsOf(...story('pod.killing', { pod: 'web-0' })).again, '', 'a second kill is news');
});

test('a bargain between claim and volume is one line, for each volume its own', () => {
  const bargains = new Map();
  for (const { event, data } of frames('chapter')) {
    const { bargain } = bondsOf(event, data);
    if (bargain) bargains.set(bargain, [...(bargains.get(bargain) ?? []), data.story.key]);
  }
  assert.ok(bargains.size >= 1);
  for (const keys of bargains.values()) for (const key of ['pv.bound', 'pvc.named', 'pvc.bound']) assert.ok(keys.includes(key), keys.join());
});

test('a command is a line and never the caption: the lesson told last stays', () => {
  const all = frames('chapter').filter(({ event, data }) => data.story || event === 'said');
  const captions = all.filter(({ event }) => isCaption(event));
  assert.ok(all.some(({ event }) => event === 'said'));
  assert.ok(captions.length > 0 && captions.every(({ data }) => data.story));
});
