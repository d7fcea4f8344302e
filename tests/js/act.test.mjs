import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { REASONS, act, lineOf, may, refusalKey } from '../../static/js/act.js';
import { newModel } from '../../static/js/model.js';
import { offersFor } from '../../static/js/offers.js';
import { card, pod } from './frames.mjs';

const fixture = JSON.parse(readFileSync(new URL('../frames/actions.json', import.meta.url), 'utf8'));
const words = (language) => readFileSync(new URL(`../../content/${language}/words.toml`, import.meta.url), 'utf8');

test('the page makes the same kubectl lines as the program', () => {
  assert.ok(fixture.length >= 15);
  for (const { action, acting, kubectl } of fixture) assert.equal(lineOf(action, acting), kubectl);
});

/** A server that answers with this. */
const answers = (status, body) => async () => ({ status, text: async () => (typeof body === 'string' ? body : JSON.stringify(body)) });

test('what the server says is handed on, done or refused', async () => {
  assert.deepEqual(await act({ do: 'reset' }, { fetch: answers(200, { ok: true, kubectl: 'kubectl delete', said: ['pod "x" deleted'] }) }), { ok: true, kubectl: 'kubectl delete', said: ['pod "x" deleted'] });
  const refused = await act({ do: 'reset' }, { fetch: answers(409, { ok: false, reason: 'Conflict', message: 'the UID in the precondition' }) });
  assert.deepEqual(refused, { ok: false, reason: 'Conflict', message: 'the UID in the precondition' });
  assert.equal(refusalKey(refused), 'act.refused.Conflict');
  assert.equal(refusalKey({ ok: false, reason: 'Teapot', message: '' }), 'act.refused.Internal');
  // The page has the whole sentence itself.
  const keyless = await act({ do: 'reset' }, { fetch: answers(403, { ok: false, reason: 'NoKey', message: 'this needs the key' }) });
  assert.deepEqual(keyless, { ok: false, reason: 'NoKey', message: '' });
  assert.equal(refusalKey(keyless), 'act.off.key');
});

test('it is sent as JSON by POST, and only once', async () => {
  const sent = [];
  await act({ do: 'delete', kind: 'Pod', name: 'p', uid: 'u' }, { fetch: async (url, options) => { sent.push({ url, ...options }); return { status: 503, text: async () => '' }; } });
  assert.equal(sent.length, 1);
  assert.equal(sent[0].url, '/act');
  assert.equal(sent[0].method, 'POST');
  assert.equal(sent[0].headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(sent[0].body), { do: 'delete', kind: 'Pod', name: 'p', uid: 'u' });
});

test('nothing that goes wrong on the way is thrown', async () => {
  const failing = (error) => async () => { throw error; };
  assert.equal((await act({ do: 'reset' }, { fetch: failing(new TypeError('Failed to fetch')) })).reason, 'Gone');
  assert.equal((await act({ do: 'reset' }, { fetch: answers(404, 'no such page') })).reason, 'NotAllowed');
  assert.equal((await act({ do: 'reset' }, { fetch: answers(502, '<html>') })).reason, 'Internal');
  assert.equal((await act({ do: 'reset' }, { fetch: answers(200, 'null') })).reason, 'Internal');
  assert.equal((await act({ do: 'reset' }, { fetch: async () => ({ status: 200, text: failing(new TypeError('cut')) }) })).reason, 'Gone');
});

test('an answer that does not come is given up on', async () => {
  const never = (_url, { signal }) => new Promise((_resolve, reject) => { signal.addEventListener('abort', () => reject(signal.reason)); });
  const alive = setInterval(() => {}, 1000);
  const answer = await act({ do: 'reset' }, { fetch: never, patience: 20 });
  clearInterval(alive);
  assert.equal(answer.reason, 'Timeout');
});

test('whether the page may act, and why not', () => {
  const acting = (allowed, why) => ({ kind: 'kube', label: 'kind-kind', namespace: 'shop', acting: { allowed, why, context: 'kind-kind' } });
  const params = { context: 'kind-kind', namespace: 'shop' };
  assert.deepEqual(may(acting(true, 'allowed'), false), { allowed: true, why: 'allowed', params });
  assert.deepEqual(may(acting(false, 'flag'), false), { allowed: false, why: 'flag', params });
  assert.deepEqual(may(acting(true, 'embedded'), true), { allowed: false, why: 'past', params });
  assert.equal(may({ kind: 'recording', label: 'chapter.jsonl', namespace: 'default' }, false).why, 'recording');
  assert.equal(may(null, false).allowed, false);
  // Without the key nobody acts; where nothing can be acted on that is the reason.
  assert.deepEqual(may(acting(true, 'embedded'), false, 'reader'), { allowed: false, why: 'key', params });
  assert.deepEqual(may(acting(true, 'embedded'), false, 'renewed'), { allowed: false, why: 'newkey', params });
  assert.equal(may(acting(true, 'embedded'), true, 'reader').why, 'past');
  assert.equal(may(acting(false, 'flag'), false, 'reader').why, 'flag');
  assert.equal(may(acting(true, 'embedded'), false, 'owner').allowed, true);
});

const looks = [{ pods: 'db-', user: 'user', database: 'app_db', query: 'SELECT 1' }];
/** A model that holds these cards. */
function holding(...cards) {
  const model = newModel();
  model.source = { acting: { looks } };
  for (const it of cards) model.cards.set(it.uid, it);
  return model;
}
const ids = (model, of) => offersFor(model, of).map((offer) => offer.id);
const running = (name, more = {}) => pod(name, { containers: [{ name: 'postgres', image: 'postgres:18', state: 'running' }], ...more });

test('a Pod offers what can be done with it as it is', () => {
  const it = running('db-0');
  assert.deepEqual(ids(holding(it), it), ['pod.delete', 'pod.force', 'pod.look', 'pod.psql', 'pod.sh', 'describe']);
  const leaving = running('db-0', { deleting: { at: 1, grace: 30, deadline: 2 } });
  assert.ok(!ids(holding(leaving), leaving).includes('pod.delete'));
  const waiting = pod('db-0', { containers: [{ name: 'postgres', image: 'postgres:18', state: 'waiting' }] });
  assert.deepEqual(ids(holding(waiting), waiting), ['pod.delete', 'pod.force', 'describe']);
  const other = running('web-0', { containers: [{ name: 'web', image: 'busybox', state: 'running' }] });
  assert.deepEqual(ids(holding(other), other), ['pod.delete', 'pod.force', 'pod.sh', 'describe']);
});

test('a volume offers Retain, and its claimRef only when it is released and kept', () => {
  const volume = (more) => card('PersistentVolume', 'pv-1', { status: more.phase, claim: { namespace: 'default', name: 'data' }, ...more });
  const of = (more) => ids(holding(volume(more)), volume(more));
  assert.deepEqual(of({ phase: 'Bound', reclaim: 'Delete' }), ['volume.retain', 'describe']);
  assert.deepEqual(of({ phase: 'Bound', reclaim: 'Retain' }), ['describe']);
  assert.deepEqual(of({ phase: 'Released', reclaim: 'Retain' }), ['volume.release', 'describe']);
  assert.deepEqual(of({ phase: 'Released', reclaim: 'Delete' }), ['volume.retain', 'describe']);
});

test('what cannot be undone is asked about once more, and carries the uid it was meant for', () => {
  const set = card('StatefulSet', 'db', { replicas: 1 });
  const claim = card('PersistentVolumeClaim', 'data-db-0', {});
  for (const it of [running('db-0'), set, claim]) {
    for (const offer of offersFor(holding(it), it)) {
      if (offer.action && offer.action.do !== 'look') assert.equal(offer.action.uid, it.uid);
      if (['claim.delete', 'statefulset.delete', 'pod.force'].includes(offer.id)) assert.equal(offer.twice, true, offer.id);
    }
  }
});

test('every offer and every refusal has its words in both languages', () => {
  const kinds = [running('db-0'), card('PersistentVolumeClaim', 'c', {}), card('PersistentVolume', 'v', { phase: 'Released', status: 'Released', reclaim: 'Retain', claim: { name: 'c' } }), card('PersistentVolume', 'w', { phase: 'Bound', status: 'Bound', reclaim: 'Delete', claim: { name: 'data' } }), card('StatefulSet', 's', { replicas: 1 }), card('Deployment', 'd', { replicas: 1 })];
  for (const language of ['ja', 'en']) {
    const text = words(language);
    const has = (key) => assert.ok(text.includes(`"${key}" = `), `${language}: ${key}`);
    for (const reason of REASONS) has(refusalKey({ ok: false, reason, message: '' }));
    for (const why of ['key', 'newkey', 'flag', 'recording', 'past', 'embedded', 'allowed']) has(`act.off.${why}`);
    for (const it of kinds) {
      for (const { id, action, enter, twice } of offersFor(holding(...kinds), it)) {
        for (const part of ['', '.means', ...(action || enter ? ['.do'] : []), ...(twice ? ['.asks', '.sure'] : [])]) has(`menu.${id}${part}`);
      }
    }
  }
});
