import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, arrange, newModel } from '../../static/js/model.js';
import { BODIES_MAX, layout, middle, shortVolume, typeSize, wrapName } from '../../static/js/layout.js';
import { card, frames, holding, pod, room, seen, told } from './frames.mjs';

const POD = 'postgres-statefulset-0';
const scene = (model, where) => layout(arrange(model), model, where);
const find = (drawn, id) => drawn.items.find((item) => item.id === id);

const ROOMS = [
  ['phone', room(390, 520)], ['small column', room(691, 400)], ['column', room(900, 640)], ['wide', room(1216, 960)],
  ['projector', room(1330, 930, { projector: true })],
];

test('no text is smaller than a reader can read', () => {
  for (const [name, where] of ROOMS) {
    const least = where.projector ? 18 : 12;
    assert.ok(typeSize(where) >= least, name);
    for (const fixture of ['chapter', 'lanes']) {
      const model = newModel();
      for (const { event, data } of frames(fixture)) {
        apply(model, event, data);
        for (const item of scene(model, where).items) {
          for (const line of [...(item.lines ?? []), ...(item.table?.lines ?? [])]) assert.ok(line.size >= least, `${name}: ${line.t} at ${line.size}`);
          if (item.badge) assert.ok(item.badgeSize >= least * 0.92, item.badge);
        }
      }
    }
  }
});

test('nothing that sits in a band covers its neighbour, and all of it is inside the scene', () => {
  for (const [name, where] of ROOMS) {
    for (const fixture of ['chapter', 'lanes']) {
      const model = newModel();
      for (const { event, data } of frames(fixture)) {
        apply(model, event, data);
        const drawn = scene(model, where);
        for (const type of ['seat', 'body', 'claim', 'volume', 'controller']) {
          const all = drawn.items.filter((item) => item.type === type).sort((a, b) => a.x - b.x);
          all.forEach((item, i) => {
            assert.ok(item.x >= 0 && item.x + item.w <= drawn.width + 0.5 && item.y >= -1 && item.y + item.h <= drawn.height + 0.5, `${name}: ${item.id} is inside`);
            if (i) assert.ok(all[i - 1].x + all[i - 1].w <= item.x + 0.5, `${name}: ${all[i - 1].id} and ${item.id}`);
          });
        }
      }
    }
  }
});

test('a body comes and goes without moving seat, claim or volume', () => {
  const all = frames('chapter');
  const where = room(900, 640);
  const places = [told('pod.killing', POD), told('pod.gone.seat', POD), told('pod.ready.same', POD)].map((when) => {
    const drawn = scene(seen(all, when), where);
    return ['seat', 'claim', 'volume'].map((type) => drawn.items.find((item) => item.type === type)).map(({ id, x, y, w, h }) => ({ id, x, y, w, h }));
  });
  assert.deepEqual(places[1], places[0]);
  assert.deepEqual(places[2], places[0]);
});

test('the badge tells the rows after they were looked at again', () => {
  const all = frames('chapter');
  const badge = (model) => scene(model, room()).items.find((item) => item.type === 'volume').badge;
  assert.equal(badge(seen(all, told('pod.killing', POD))), '');
  assert.equal(badge(seen(all, told('pod.ready.same', POD))), 'scene.same.volume');
  let looks = 0;
  assert.equal(badge(seen(all, (event) => event === 'inside' && (looks += 1) === 2)), 'scene.same.rows');
});

test('a claim bound to a volume that may not be seen shows its name and no more', () => {
  const model = holding([card('PersistentVolumeClaim', 'data', { status: 'Bound', volume: 'pvc-3b0c6809-ad88-4480-8d92-b7ac56741283', capacity: '1Gi', modes: ['RWO'] })]);
  const hidden = scene(model, room()).items.find((item) => item.type === 'volume');
  assert.equal(hidden.hidden, true);
  assert.deepEqual(hidden.lines.map((line) => line.t), ['pvc-3b0c6809…']);
});

test('both ends of a binding are told apart: volumeName down, claimRef up', () => {
  const claim = card('PersistentVolumeClaim', 'data', { status: 'Bound', volume: 'v', modes: ['RWO'], capacity: '1Gi' });
  const volume = (ref) => card('PersistentVolume', 'v', { status: 'Bound', capacity: '1Gi', reclaim: 'Retain', modes: ['RWO'], claim: { namespace: 'default', name: 'data', uid: ref } });
  const of = (cards) => { const { down, up } = scene(holding(cards), room()).items.find((item) => item.type === 'binding') ?? {}; return { down, up }; };
  assert.deepEqual(of([claim, volume(claim.uid)]), { down: true, up: true });
  assert.deepEqual(of([{ ...claim, volume: undefined }, volume(claim.uid)]), { down: false, up: true });
  assert.deepEqual(of([volume('another')]), { down: undefined, up: undefined });
});

test('ten thousand Pods draw a bounded number of bodies and count the rest', () => {
  const rs = card('ReplicaSet', 'web-1', { replicas: 10_000, existing: 10_000, ready: 10_000, owner: { kind: 'Deployment', name: 'web', uid: 'd' } });
  const many = Array.from({ length: 10_000 }, (_, i) => pod(`web-1-${i}`, { owner: { kind: 'ReplicaSet', name: 'web-1', uid: rs.uid } }));
  const model = holding([card('Deployment', 'web', { replicas: 10_000, existing: 10_000, ready: 10_000 }), rs, ...many]);
  for (const [name, where] of ROOMS) {
    const start = performance.now();
    const drawn = scene(model, where);
    const ms = performance.now() - start;
    const bodies = drawn.items.filter((item) => item.type === 'mini' || item.type === 'body').length;
    assert.ok(bodies >= 8 && bodies <= BODIES_MAX, `${name}: ${bodies}`);
    assert.equal(drawn.items.find((item) => item.type === 'more').hooks.more, 10_000 - bodies);
    assert.ok(ms < 400, `${name}: ${ms} ms`);
  }
});

test('forty seats become a crowd, and their claims a pile', () => {
  const sts = card('StatefulSet', 'db', { replicas: 40, existing: 40, ready: 40, claimTemplates: ['data'] });
  const cards = [sts];
  for (let i = 0; i < 40; i += 1) {
    cards.push(pod(`db-${i}`, { ordinal: i, owner: { kind: 'StatefulSet', name: 'db', uid: sts.uid }, claims: [{ volume: 'data', claim: `data-db-${i}` }] }));
    cards.push(card('PersistentVolumeClaim', `data-db-${i}`, { status: i ? 'Bound' : 'Pending' }));
  }
  const drawn = scene(holding(cards), room(1216, 900));
  assert.equal(drawn.items.filter((item) => item.type === 'mini').length, 40);
  assert.deepEqual(find(drawn, 'pile:PVC/StatefulSet/db').lines.map((line) => line.t), ['PVC × 40', 'Pending 1 · Bound 39']);
});

test('names break at hyphens, keep head and tail, and never grow past the line', () => {
  assert.deepEqual(wrapName('postgres-data-postgres-statefulset-0', 22, 3), ['postgres-data-', 'postgres-statefulset-0']);
  assert.deepEqual(wrapName('postgres-statefulset-0', 30, 1), ['postgres-statefulset-0']);
  for (const chars of [6, 9, 14, 40]) {
    for (const most of [1, 2, 3]) {
      const lines = wrapName('a-very-long-name-of-a-thing-without-an-end-17', chars, most);
      assert.ok(lines.length <= most && lines.every((line) => line.length <= chars), JSON.stringify(lines));
      assert.ok(lines.at(-1).endsWith('7'));
    }
  }
  assert.equal(middle('abcdef', 6), 'abcdef');
  assert.equal(shortVolume('pvc-3b0c6809-ad88-4480-8d92-b7ac56741283'), 'pvc-3b0c6809…');
  assert.equal(shortVolume('pv-nfs-10'), 'pv-nfs-10');
});
