import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, arrange, newModel } from '../../static/js/model.js';
import { BODIES_MAX, layout, middle, shortVolume, typeSize, wrapName } from '../../static/js/layout.js';
import { clip, widthOf } from '../../static/js/names.js';
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
  // The ordinal is never alone on a line, and never cut from its name.
  assert.deepEqual(wrapName('postgres-statefulset-0', 12, 3), ['postgres-', 'statefu…et-0']);
  assert.deepEqual(wrapName('data-lane-statefulset-11', 16, 3), ['data-lane-', 'statefulset-11']);
  assert.equal(middle('abcdef', 6), 'abcdef');
  assert.equal(shortVolume('pvc-3b0c6809-ad88-4480-8d92-b7ac56741283'), 'pvc-3b0c6809…');
  assert.equal(shortVolume('pv-nfs-10'), 'pv-nfs-10');
});

test('a claim held back bears a lock with the name of the finalizer', () => {
  const of = (more) => scene(holding([card('PersistentVolumeClaim', 'data', { status: 'Terminating', phase: 'Bound', modes: ['RWO'], capacity: '1Gi', ...more })]), room()).items.find((item) => item.type === 'claim');
  assert.equal(of({ deleting: {}, finalizers: ['kubernetes.io/pvc-protection'] }).held, 'pvc-protection');
  assert.ok(!of({ status: 'Bound', finalizers: ['kubernetes.io/pvc-protection'] }).held);
});

test('a claim that is gone leaves its name on the volume, and a new one of that name does not stand on it', () => {
  const all = frames('claim-life');
  const CLAIM = 'postgres-data-postgres-statefulset-0';
  const kept = scene(seen(all, told('pvc.gone.retain', CLAIM)), room());
  const tag = kept.items.find((item) => item.type === 'tag');
  const volume = kept.items.find((item) => item.type === 'volume');
  assert.ok(Math.abs(tag.x + tag.w / 2 - volume.x - volume.w / 2) < 1, 'the tag hangs over its volume');
  assert.equal(kept.items.find((item) => item.type === 'claim'), undefined);

  const again = scene(seen(all, told('pvc.created.again', CLAIM)), room());
  const claim = again.items.find((item) => item.type === 'claim');
  const old = again.items.find((item) => item.type === 'volume');
  assert.ok(old.x >= claim.x + claim.w, 'the old volume stands aside');
  assert.equal(again.items.find((item) => item.type === 'binding'), undefined);
  assert.equal(old.doomed, true);
});

test('a volume that leaves does not move what stays', () => {
  const all = frames('claim-life');
  const model = newModel();
  let before;
  for (const { event, data } of all) {
    apply(model, event, data);
    // Drawn at each step, as the panel does, since places are remembered from one picture to the next.
    const now = scene(model, room()).items.filter((item) => ['claim', 'seat'].includes(item.type)).map(({ id, x, w }) => ({ id, x, w }));
    if (data.story?.key === 'pv.gone.wiped') {
      assert.deepEqual(now, before);
      return;
    }
    before = now;
  }
  assert.fail('no volume was wiped');
});

test('three volumes stand side by side, and the claim comes to the one chosen', () => {
  const model = newModel();
  const where = () => Object.fromEntries(scene(model, room()).items.filter((item) => item.type === 'volume').map((item) => [item.hooks.volume, item.x]));
  let free;
  for (const { event, data } of frames('static-volumes')) {
    apply(model, event, data);
    const at = where();
    if (Object.keys(at).length === 3 && !free) free = Object.keys(at).sort((a, b) => at[a] - at[b]);
    if (data.story?.key === 'pod.ready') break;
  }
  assert.deepEqual(free, ['static-5gi', 'static-10gi', 'static-100gi']);
  const drawn = scene(model, room());
  const at = where();
  assert.deepEqual(Object.keys(at).sort((a, b) => at[a] - at[b]), free, 'the others stay, and so does the chosen one');
  const middleOf = (item) => item.x + item.w / 2;
  const [claim, second] = ['claim-10gi', 'claim-10gi-again'].map((name) => drawn.items.find((item) => item.hooks?.claim === name));
  const disk = (name) => drawn.items.find((item) => item.hooks?.volume === name);
  assert.equal(middleOf(claim), middleOf(disk('static-10gi')));
  assert.equal(middleOf(second), middleOf(disk('static-100gi')));
  const body = drawn.items.find((item) => item.type === 'body');
  assert.ok(Math.abs(middleOf(body) - middleOf(claim)) < 1, 'the Pod sits above the claim that was there before it');
});

test('only a claim that waits for its first consumer reaches for a Pod', () => {
  const model = seen(frames('binding'), told('pvc.created.waiting'));
  const waits = scene(model, room()).items.filter((item) => item.type === 'wait');
  assert.deepEqual(waits.map((item) => item.hooks.awaits), ['claim-when-used']);
  const used = seen(frames('binding'), told('pod.created.bare'));
  assert.deepEqual(scene(used, room()).items.filter((item) => item.type === 'wait'), []);
});

test('a Pod that was forced out leaves a shade until the next one serves', () => {
  const all = frames('workloads');
  const shades = (when) => scene(seen(all, when), room()).items.filter((item) => item.type === 'shade');
  const [shade] = shades(told('pod.gone.forced.seat', POD));
  assert.ok(shade.wire, 'its plug may still be in the claim');
  assert.equal(shades(told('pod.recreated', POD)).length, 1);
  assert.equal(shades(told('pod.ready.same', POD)).length, 0);
});

test('two Pods on one claim are seen on its volume', () => {
  const badge = (when) => scene(seen(frames('two-pods'), when), room(1600)).items.filter((item) => item.type === 'volume').map((item) => item.badge).filter(Boolean);
  assert.deepEqual(badge(told('pod.mounting.shared', 'lane-claim')), ['scene.shared']);
});

test('what the badge says of the disk is what was proven', () => {
  const all = frames('claim-life');
  const badge = (key) => scene(seen(all, told(key)), room()).items.filter((item) => item.type === 'volume').map(({ badge, badgeTone }) => `${badge} ${badgeTone}`);
  assert.deepEqual(badge('pod.ready.other'), ['scene.other.volume busy']);
  assert.deepEqual(badge('pod.ready.rebound'), ['scene.rebound.volume ok']);
  assert.deepEqual(badge('pod.ready.same'), ['scene.same.volume ok']);
});

test('nothing of the claims\' lives is cut off or covers its neighbour', () => {
  for (const [name, where] of [...ROOMS, ['projector of 720 lines', room(880, 540, { projector: true })]]) {
    for (const fixture of ['claim-life', 'static-volumes', 'binding', 'workloads', 'two-pods', 'trouble']) {
      const model = newModel();
      for (const { event, data } of frames(fixture)) {
        apply(model, event, data);
        const drawn = scene(model, where);
        for (const type of ['seat', 'body', 'claim', 'volume', 'controller', 'tag']) {
          const all = drawn.items.filter((item) => item.type === type).sort((a, b) => a.x - b.x);
          all.forEach((item, i) => {
            assert.ok(item.x >= 0 && item.x + item.w <= drawn.width + 0.5 && item.y >= -1 && item.y + item.h <= drawn.height + 0.5, `${name} ${fixture} ${data.seq}: ${item.id} is inside`);
            if (i) assert.ok(all[i - 1].x + all[i - 1].w <= item.x + 0.5, `${name} ${fixture} ${data.seq}: ${all[i - 1].id} and ${item.id}`);
          });
        }
      }
    }
  }
});

test('twelve replicas fit on a projector', () => {
  const sts = card('StatefulSet', 'db', { replicas: 12, existing: 12, ready: 12, claimTemplates: [] });
  const cards = [sts, ...Array.from({ length: 12 }, (_, i) => pod(`db-${i}`, { ordinal: i, owner: { kind: 'StatefulSet', name: 'db', uid: sts.uid } }))];
  const where = room(1330, 930, { projector: true });
  assert.ok(scene(holding(cards), where).width <= where.width);
});

test('under the rows stands their age; what stood in the way of the last look stands beside them', () => {
  const claim = card('PersistentVolumeClaim', 'data', { status: 'Bound', volume: 'pv-1', capacity: '1Gi', modes: ['RWO'] });
  const volume = card('PersistentVolume', 'pv-1', { status: 'Bound', phase: 'Bound', capacity: '1Gi', reclaim: 'Delete', claim: { namespace: 'default', name: 'data', uid: claim.uid } });
  for (const [name, where] of ROOMS) {
    const model = holding([claim, volume]);
    const look = (inside) => apply(model, 'inside', { seq: model.seq + 1, at: model.at + 1000, inside: { key: 'data', claim: 'data', query: 'q', ...inside } });
    const drawn = () => find(scene(model, where), `volume:${volume.uid}`);
    look({ columns: [], rows: [], fault: { cause: 'no-table', detail: '' } });
    assert.equal(drawn().table.age, null, name);
    assert.ok(drawn().table.lines.some((line) => line.t === 'look.fault.no-table'), name);
    look({ podUid: 'a', columns: ['id', 'name'], rows: [['1', 'apple'], ['2', 'orange']] });
    assert.equal(drawn().table.age.at, model.at, name);
    assert.equal(drawn().table.stale, false);
    look({ columns: [], rows: [], fault: { cause: 'not-ready', detail: '' } });
    const { table, h } = drawn();
    assert.equal(table.age.at, model.at - 1000, name);
    assert.ok(table.stale);
    assert.ok(table.lines.some((line) => line.t === 'apple'), name);
    for (const y of [...table.lines.map((line) => line.y), table.age.y]) assert.ok(y > 0 && y < h, `${name}: ${y} of ${h}`);
  }
});

test('rows of a Pod without a claim are on its scratch, and another body does not have them', () => {
  const set = card('StatefulSet', 'lane', { replicas: 1, claimTemplates: [] });
  const body = (uid) => pod('lane-0', { uid, owner: { kind: 'StatefulSet', name: 'lane' }, scratch: [{ volume: 'data', type: 'emptyDir', mount: '/data' }] });
  const model = holding([set, body('a')]);
  apply(model, 'inside', { seq: 2, at: 2000, inside: { key: 'lane', pod: 'lane-0', podUid: 'a', query: 'q', columns: ['id'], rows: [['1']] } });
  const text = (uid) => find(scene(model, room(900, 640)), `body:${uid}`).scratch[0].text;
  assert.match(text('a'), /look\.scratch/);
  apply(model, 'deleted', { seq: 3, at: 3000, card: body('a') });
  apply(model, 'added', { seq: 4, at: 4000, card: body('b') });
  assert.doesNotMatch(text('b'), /look\.scratch/);
});

test('what is too wide ends in an ellipsis, fits, and is never longer than it was', () => {
  for (const text of ['quantity', 'りんご', 'a', '10']) {
    for (const w of [9, 10, 20, 40, 80]) {
      const cut = clip(text, w, 14, 0.6);
      if (widthOf(text, 14, 0.6) <= w) assert.equal(cut, text);
      else assert.ok(cut.endsWith('…') && cut.length <= text.length && widthOf(cut, 14, 0.6) <= w, `${text} in ${w}: ${cut}`);
    }
  }
});

test('the rows of the lesson are whole wherever they are shown', () => {
  for (const [name, where] of ROOMS) {
    for (const seats of [1, 2, 3]) {
      const cards = [card('StatefulSet', 'db', { replicas: seats, ready: seats, start: 0, claimTemplates: ['d'] })];
      for (let n = 0; n < seats; n += 1) {
        cards.push(pod(`db-${n}`, { ordinal: n, owner: { kind: 'StatefulSet', name: 'db' }, claims: [{ claim: `d-db-${n}`, path: '/d' }] }));
        cards.push(card('PersistentVolumeClaim', `d-db-${n}`, { phase: 'Bound', status: 'Bound', volume: `v-${n}`, capacity: '1Gi' }));
        cards.push(card('PersistentVolume', `v-${n}`, { phase: 'Bound', status: 'Bound', claim: { namespace: 'default', name: `d-db-${n}` }, capacity: '1Gi' }));
      }
      const model = holding(cards);
      apply(model, 'inside', { seq: 2, at: 2, inside: { key: 'd-db-0', claim: 'd-db-0', columns: ['id', 'name'], rows: [['1', 'apple'], ['2', 'orange']], query: '', pod: 'db-0' } });
      const drawn = scene(model, where).items.find((item) => item.table);
      const texts = drawn?.table.lines.map((line) => line.t) ?? [];
      assert.deepEqual(texts.filter((text) => text !== 'id' && text !== 'name'), ['1', 'apple', '2', 'orange'], `${name}, ${seats}`);
    }
  }
});

test('seats are a StatefulSet\'s: where a Deployment wants a Pod more, one is missing', () => {
  const model = holding([
    card('StatefulSet', 'web', { replicas: 1, ready: 0, existing: 0 }),
    card('Deployment', 'app', { replicas: 1, ready: 0, existing: 0 }),
  ]);
  const { items } = layout(arrange(model), model, room());
  const said = (group) => items.filter((it) => it.id.startsWith(`vacant:${group}`)).flatMap((it) => it.lines.map(({ t }) => t));
  assert.deepEqual(said('StatefulSet/web'), ['scene.seat.empty']);
  assert.deepEqual(said('Deployment/app'), ['scene.pod.missing']);
  assert.equal(items.find((it) => it.id.startsWith('place:Deployment/app'))?.label, 'scene.pod.missing');
});
