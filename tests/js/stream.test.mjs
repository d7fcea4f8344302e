import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Numbering, SILENCE_MS, openStream, retryDelay } from '../../static/js/stream.js';

/** A browser's EventSource as far as the stream uses it. */
class FakeSource extends EventTarget {
  static all = [];
  closed = false;
  constructor(url) {
    super();
    this.url = url;
    FakeSource.all.push(this);
  }
  close() {
    this.closed = true;
  }
  send(event, data) {
    this.dispatchEvent(new MessageEvent(event, { data: JSON.stringify(data) }));
  }
}

let got;
let phases;
let stream;
const last = () => FakeSource.all.at(-1);

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeSource.all = [];
  got = [];
  phases = [];
  globalThis.EventSource = FakeSource;
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const windowEvents = new EventTarget();
  for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) globalThis[name] = windowEvents[name].bind(windowEvents);
  stream = openStream('/events', { frame: (event, data) => got.push([event, data.seq]), phase: (phase) => phases.push(phase) });
});
afterEach(() => {
  stream.close();
  mock.timers.reset();
});

test('numbers: repeated frames are dropped, a hole is noticed, a snapshot begins anew', () => {
  const numbering = new Numbering();
  assert.equal(numbering.judge('added', 5), 'drop');
  assert.equal(numbering.judge('snapshot', 5), 'use');
  assert.equal(numbering.judge('added', 5), 'drop');
  assert.equal(numbering.judge('added', 6), 'use');
  assert.equal(numbering.judge('added', 8), 'hole');
  assert.equal(numbering.judge('snapshot', 3), 'use');
  assert.equal(numbering.judge('added', 4), 'use');
});

test('frames come in order, once, from the snapshot on', () => {
  last().send('added', { seq: 7 });
  last().send('snapshot', { seq: 7 });
  last().send('added', { seq: 8 });
  last().send('added', { seq: 8 });
  assert.deepEqual(got, [['snapshot', 7], ['added', 8]]);
  assert.deepEqual(phases, ['opening', 'open']);
});

test('a hole drops the connection and asks for a new one', () => {
  last().send('snapshot', { seq: 1 });
  last().send('added', { seq: 3 });
  assert.equal(FakeSource.all[0].closed, true);
  assert.equal(phases.at(-1), 'lost');
  mock.timers.tick(retryDelay(0));
  assert.equal(FakeSource.all.length, 2);
});

test('silence is noticed, pings are not silence', () => {
  last().send('snapshot', { seq: 1 });
  mock.timers.tick(SILENCE_MS - 1);
  last().send('ping', { at: 1 });
  mock.timers.tick(SILENCE_MS - 1);
  assert.equal(phases.at(-1), 'open');
  mock.timers.tick(1);
  assert.equal(phases.at(-1), 'lost');
});

test('attempts grow apart up to eight seconds and start over after a snapshot', () => {
  for (let attempt = 0; attempt < 7; attempt += 1) {
    last().dispatchEvent(new Event('error'));
    mock.timers.tick(retryDelay(attempt) - 1);
    assert.equal(FakeSource.all.length, attempt + 1);
    mock.timers.tick(1);
    assert.equal(FakeSource.all.length, attempt + 2);
  }
  assert.equal(retryDelay(20), 8000);
  last().send('snapshot', { seq: 1 });
  last().dispatchEvent(new Event('error'));
  mock.timers.tick(retryDelay(0));
  assert.equal(FakeSource.all.length, 9);
});

test('a hidden page holds no connection, and one that is seen again gets a new one', () => {
  document.visibilityState = 'hidden';
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(FakeSource.all[0].closed, true);
  mock.timers.tick(60_000);
  assert.equal(FakeSource.all.length, 1);
  assert.equal(phases.at(-1), 'hidden');
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(FakeSource.all.length, 2);
});

test('what a closed connection still says is not heard', () => {
  const old = last();
  old.send('snapshot', { seq: 1 });
  stream.reopen();
  old.send('added', { seq: 2 });
  last().send('snapshot', { seq: 9 });
  assert.deepEqual(got, [['snapshot', 1], ['snapshot', 9]]);
});

test('a frame that is not JSON is as good as a broken connection', () => {
  last().dispatchEvent(new MessageEvent('snapshot', { data: '{' }));
  assert.equal(phases.at(-1), 'lost');
});
