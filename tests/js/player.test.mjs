import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Archive, Gone } from '../../static/js/archive.js';
import { apply, isTold, newModel } from '../../static/js/model.js';
import { BUFFER_MAX, newPlayer } from '../../static/js/player.js';
import { frames } from './frames.mjs';

const all = frames('chapter');
const [snapshot, ...steps] = all;
const told = steps.filter(({ event, data }) => isTold(event, data));

/** Answers as the server does: a keyframe every `every` frames, and at most `most` frames. */
function historyOf(list, { every = 40, most = 2000, first = 0 } = {}) {
  const asked = [];
  return {
    asked,
    list,
    first,
    async read(from, to) {
      asked.push([from, to]);
      if (from < this.first) throw new Gone(this.first);
      const start = list[0].data;
      const at = Math.max(start.seq, Math.floor(from / every) * every, this.first);
      const model = newModel();
      for (const { event, data } of list) if (data.seq <= at) apply(model, event, data);
      const keyframe = { seq: at, at: model.at, cards: [...model.cards.values()], insides: [...model.inside.values()], link: model.link };
      const rest = list.filter(({ event, data }) => event !== 'snapshot' && data.seq > at && data.seq <= to).slice(0, most);
      return { epoch: start.epoch, first: this.first, last: list.at(-1).data.seq, keyframe, frames: rest };
    },
  };
}

/** A player with a clock that a test turns, and all that it hands on. */
function desk(history = historyOf(all)) {
  const said = [];
  let now = 0;
  let timers = [];
  let reopened = 0;
  const clock = {
    now: () => now,
    later: (run, ms) => { const timer = { run, at: now + ms }; timers.push(timer); return timer; },
    cancel: (timer) => { timers = timers.filter((other) => other !== timer); },
  };
  const note = (what) => (...rest) => said.push([what, ...rest]);
  const player = newPlayer({
    archive: new Archive((from, to) => history.read(from, to)), clock, reopen: () => { reopened += 1; },
    view: { frame: ({ event, data }, model, how) => said.push(['frame', data.seq, event, model, how]), snapshot: note('snapshot'), moment: note('moment'), back: note('back'), picture: note('picture'), changed: () => {}, lost: note('lost') },
  });
  return {
    player, said, history,
    get reopened() { return reopened; },
    get waiting() { return timers.length; },
    seen: () => said.filter(([what]) => what === 'frame').map(([, seq]) => seq),
    lost: () => said.filter(([what]) => what === 'lost').map(([, why]) => why),
    /** Lets time pass, timer by timer. */
    async pass(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((other) => other !== next);
        now = Math.max(now, next.at);
        next.run();
      }
      now = end;
      await settle();
    },
    hear(list) { for (const { event, data } of list) player.receive(event, data); },
  };
}
const settle = () => new Promise((resolve) => { setImmediate(resolve); });
const uids = (model) => [...model.cards.keys()].sort();
const modelAt = (seq) => { const model = newModel(); for (const { event, data } of all) if (data.seq <= seq) apply(model, event, data); return model; };
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const start = snapshot.data.seq;

test('what comes at once is shown one by one, each as long as it takes to read', async () => {
  const { player, hear, pass, seen } = desk();
  hear([snapshot, ...steps]);
  const first = seen().length;
  assert.ok(first < steps.length / 4);
  assert.ok(player.behind() > 10);
  await pass(600_000);
  assert.deepEqual(seen(), steps.map(({ data }) => data.seq));
  assert.equal(player.behind(), 0);
});

test('half the speed takes twice as long', async () => {
  const took = async (speed) => {
    const it = desk();
    it.player.setSpeed(speed);
    it.hear([snapshot, ...steps.slice(0, 60)]);
    let ms = 0;
    while (it.player.behind() > 0 || it.waiting) { await it.pass(50); ms += 50; }
    return ms;
  };
  const [whole, half] = [await took(1), await took(0.5)];
  assert.ok(Math.abs(half / whole - 2) < 0.1, `${whole} ${half}`);
});

test('nothing waits and nothing runs when nothing happens', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  assert.equal(it.waiting, 0);
});

test('any moment of the past is the board as it was then', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  for (const seq of [start + 1, 80, 81, 79, 40, 200, 121, start + 2]) {
    it.player.enter(seq);
    await settle();
    assert.equal(it.player.past, true);
    assert.equal(it.player.model.seq, seq);
    assert.deepEqual(uids(it.player.model), uids(modelAt(seq)), `at ${seq}`);
    assert.equal(it.player.behind(), told.filter(({ data }) => data.seq > seq).length);
  }
});

test('events that arrive while one is in the past are counted, move nothing, and are all told on the way back', async () => {
  const it = desk();
  const cut = 150;
  const early = steps.filter(({ data }) => data.seq <= cut);
  const late = steps.filter(({ data }) => data.seq > cut);
  it.hear([snapshot, ...early]);
  await it.pass(600_000);
  it.player.enter(60);
  await settle();
  const before = it.player.behind();
  const picture = JSON.stringify([...it.player.model.cards]);
  const said = it.said.length;
  it.hear(late);
  await it.pass(60_000);
  assert.equal(it.said.length, said, 'nothing was shown');
  assert.equal(JSON.stringify([...it.player.model.cards]), picture);
  assert.equal(it.player.behind(), before + late.filter(({ event, data }) => isTold(event, data)).length);
  it.player.jump();
  assert.equal(it.player.past, false);
  const back = it.said.slice(said);
  assert.equal(back[0][0], 'back', 'first now as it was left');
  assert.deepEqual(back.filter(([what]) => what === 'frame').map(([, seq]) => seq), range(cut + 1, all.at(-1).data.seq));
  assert.deepEqual(uids(it.player.model), uids(modelAt(Infinity)));
  assert.equal(it.player.behind(), 0);
});

test('steps go by told frames, single steps by every frame, to both sides', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  const at = told.findIndex(({ data }) => data.seq > 100);
  it.player.enter(told[at].data.seq);
  await settle();
  it.player.step(-1);
  await settle();
  assert.equal(it.player.model.seq, told[at - 1].data.seq);
  it.player.step(1);
  await settle();
  assert.equal(it.player.model.seq, told[at].data.seq);
  // A step forward is seen to happen: each frame on the way is handed on.
  assert.deepEqual(it.seen().slice(-(told[at].data.seq - told[at - 1].data.seq)), range(told[at - 1].data.seq + 1, told[at].data.seq));
  assert.deepEqual(uids(it.player.model), uids(modelAt(told[at].data.seq)));
  for (const to of [1, 1, -1, -1, -1]) {
    const { seq } = it.player.model;
    it.player.step(to, { single: true });
    await settle();
    assert.equal(it.player.model.seq, seq + to);
  }
});

test('a step past the last told frame is a step back to now', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  it.player.enter(told.at(-2).data.seq);
  await settle();
  it.player.step(1);
  await settle();
  assert.equal(it.player.model.seq, told.at(-1).data.seq);
  assert.equal(it.player.past, true);
  it.player.step(1);
  await settle();
  assert.equal(it.player.past, false);
  assert.equal(it.player.paused, false);
});

test('the first step back takes back what was told last, whatever came silently after it', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  const end = all.at(-1).data;
  it.player.receive('link', { seq: end.seq + 1, at: end.at, link: snapshot.data.link });
  await it.pass(600_000);
  assert.equal(it.player.model.seq, end.seq + 1);
  it.player.step(-1);
  await settle();
  assert.equal(it.player.model.seq, told.at(-2).data.seq);
});

test('paused at now, a step shows the next of those that wait', async () => {
  const it = desk();
  it.hear([snapshot]);
  it.player.setPaused(true);
  it.hear(steps);
  assert.deepEqual(it.seen(), []);
  const waiting = it.player.behind();
  it.player.step(1);
  assert.equal(it.player.model.seq, told[0].data.seq);
  assert.equal(it.player.behind(), waiting - 1);
  assert.equal(it.player.past, false);
  await it.pass(60_000);
  assert.equal(it.player.model.seq, told[0].data.seq, 'and it still stands');
});

test('the past plays on from where one is, through what came meanwhile, until it is now', async () => {
  const it = desk();
  it.hear([snapshot, ...steps.slice(0, 120)]);
  await it.pass(600_000);
  const from = told[5].data.seq;
  it.player.enter(from);
  await settle();
  const seen = it.seen().length;
  it.player.setPaused(false);
  await it.pass(3000);
  assert.equal(it.player.past, true);
  assert.ok(it.player.model.seq > from);
  it.hear(steps.slice(120));
  await it.pass(900_000);
  assert.equal(it.player.past, false);
  assert.equal(it.player.behind(), 0);
  const played = new Set(it.seen().slice(seen));
  for (const seq of range(from + 1, all.at(-1).data.seq)) assert.ok(played.has(seq), `${seq}`);
});

test('of a drag over many moments the last one counts, and a moment read once is not read again', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  for (let seq = 200; seq > 70; seq -= 1) it.player.go(seq);
  await settle();
  assert.equal(it.player.model.seq, 71);
  assert.ok(it.history.asked.length <= 3, `${it.history.asked.length} requests`);
  const asked = it.history.asked.length;
  it.player.go(75);
  await settle();
  assert.equal(it.history.asked.length, asked);
});

test('back to now while a moment is still being read stays at now', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  it.player.go(100);
  it.player.jump();
  await settle();
  assert.equal(it.player.past, false);
  assert.equal(it.player.model, it.player.now);
});

test('a moment that is not kept any more is said to be gone, and one stays where one is', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  it.history.first = 120;
  it.player.enter(60);
  await settle();
  assert.deepEqual(it.lost(), ['moment']);
  assert.equal(it.player.past, false);
  assert.equal(it.player.marks.first, 120);
  it.history.read = async () => { throw new Error('cut'); };
  it.player.enter(150);
  await settle();
  assert.deepEqual(it.lost(), ['moment', 'unread']);
});

test('the same run seen anew does not end the past; another run does, and says so', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  it.player.enter(100);
  await settle();
  const model = it.player.model;
  it.player.receive('snapshot', { ...snapshot.data, seq: all.at(-1).data.seq });
  assert.equal(it.player.past, true);
  assert.equal(it.player.model, model);
  it.player.receive('snapshot', { ...snapshot.data, epoch: 'another' });
  assert.equal(it.player.past, false);
  assert.deepEqual(it.lost(), ['run']);
  assert.equal(it.player.marks.list.length, 0);
  assert.equal(it.player.model.epoch, 'another');
});

test('a buffer that ran over is replaced by a new snapshot, from the past as from a pause', async () => {
  for (const past of [true, false]) {
    const it = desk();
    it.hear([snapshot, ...steps]);
    await it.pass(600_000);
    if (past) it.player.enter(100);
    else it.player.setPaused(true);
    await settle();
    const end = all.at(-1).data.seq;
    for (let n = 1; n <= BUFFER_MAX + 10; n += 1) it.player.receive('said', { seq: end + n, at: 1, text: 'x' });
    assert.equal(it.reopened, 0);
    assert.equal(it.player.overflown, true);
    it.player.jump();
    assert.equal(it.reopened, 1);
    assert.equal(it.player.past, false);
  }
});

test('who was put where stays there while one looks back', async () => {
  const it = desk();
  it.hear([snapshot, ...steps]);
  await it.pass(600_000);
  it.player.now.memory.pods.set('uid', { group: 'g/h', slot: 3 });
  it.player.enter(100);
  await settle();
  assert.deepEqual(it.player.model.memory.pods.get('uid'), { group: 'g/h', slot: 3 });
  assert.notEqual(it.player.model.memory.pods, it.player.now.memory.pods);
});

test('what only this page knows is told in its turn, counted while it waits, and no part of the history', async () => {
  const at = desk();
  at.player.receive('snapshot', snapshot.data);
  for (const { event, data } of told.slice(0, 2)) at.player.receive(event, data);
  const { last } = at.player;
  const marks = at.player.marks.list.length;
  at.player.add('said', { text: 'kubectl exec web', answer: 'ERROR' });
  assert.equal(at.player.behind(), 2);
  await at.pass(60_000);
  assert.equal(at.player.behind(), 0);
  assert.deepEqual(at.said.filter(([what]) => what === 'frame').map(([, , event]) => event).slice(-1), ['said']);
  assert.equal(at.player.last, last);
  assert.equal(at.player.model.seq, last);
  assert.equal(at.player.marks.list.length, marks);
});
