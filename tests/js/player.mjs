// Plays a fixture of frames to a page, so that the panel can be looked at without a cluster or the program:
//   node tests/js/player.mjs --port 8150 [--words page.json] [--frames tests/frames]
// then open http://127.0.0.1:8150/?frames=chapter&speed=1&from=32, `speed` 0 meaning as fast as can be and
// `from` how many frames the snapshot already holds. `state=` shows one of the states of the connection.
// Loopback only; serves the files of static/ as they are.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { apply, newModel } from '../../static/js/model.js';

const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '../..'));
const { values: args } = parseArgs({ options: { port: { type: 'string', default: '8150' }, words: { type: 'string' }, frames: { type: 'string', default: join(root, 'tests/frames') } } });
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.json': 'application/json' };

const KINDS = ['Pod', 'PersistentVolumeClaim', 'PersistentVolume', 'StorageClass', 'StatefulSet', 'Deployment', 'ReplicaSet', 'Node', 'Event'];
const kube = { kind: 'kube', label: 'kind-kind', namespace: 'default' };

/** The states a connection can be in, each as (source, link) of a snapshot. */
function stateOf(name, at) {
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, 'synced']));
  const fault = (cause, more = {}) => ({ source: kube, link: { state: 'misconfigured', since: at, kinds: {}, fault: { cause, detail: 'the machine said so', context: 'kind-kind', contexts: ['kind-kind', 'docker-desktop'], path: '/home/user/.kube/config', ...more } } });
  const states = {
    connecting: { source: kube, link: { state: 'connecting', since: at, kinds: Object.fromEntries(KINDS.map((kind) => [kind, 'waiting'])) } },
    live: { source: kube, link: { state: 'live', since: at, kinds } },
    embedded: { source: { kind: 'embedded', label: 'embedded', namespace: 'default' }, link: { state: 'live', since: at, kinds } },
    interrupted: { source: kube, link: { state: 'interrupted', since: at, kinds, fault: { cause: 'unreachable', detail: 'connection refused (127.0.0.1:6443)', context: 'kind-kind' } } },
    forbidden: { source: kube, link: { state: 'live', since: at, kinds: { ...kinds, PersistentVolume: 'forbidden', Node: 'forbidden' } } },
    failing: { source: kube, link: { state: 'live', since: at, kinds: { ...kinds, Event: 'failing' } } },
    fallback: { source: { kind: 'recording', label: 'chapter.jsonl', namespace: 'default', recorded: at, speed: 1, fallback: { cause: 'unreachable', detail: 'connection refused (127.0.0.1:6443)', context: 'kind-kind' } }, link: { state: 'live', since: at, kinds } },
  };
  return states[name] ?? fault(name);
}

function page(query) {
  const words = args.words ? readFileSync(args.words, 'utf8') : '{"words":{},"stories":{}}';
  const attributes = ['theme', 'projector'].filter((name) => query.has(name)).map((name) => `data-${name}="${query.get(name).replace(/\W/g, '')}"`).join(' ');
  const rest = encodeURI(query.toString()).replaceAll('"', '');
  return `<!doctype html><html lang="ja" ${attributes}><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>panel</title>
${['base', 'chapter', 'panel', 'menu', 'print'].map((name) => `<link rel="stylesheet" href="/static/css/${name}.css">`).join('')}<link rel="stylesheet" href="/player.css?column=${Number(query.get('column') ?? 0)}">
<aside id="panel" class="panel" data-events="/events?${rest}"></aside>
<script type="application/json" id="words">${words.replaceAll('<', '\\u003c')}</script><script type="module" src="/static/js/panel.js"></script><script type="module" src="/static/js/menu.js"></script>`;
}

/** The panel fills the window, or stands as a column at its right, as beside the chapter. */
function playerCss(column) {
  return `body{margin:0}@media(min-width:1100px){#panel{block-size:100dvh;${column ? `inline-size:${column}px;margin-inline-start:auto` : ''}}}`;
}

/** Sends a fixture as the server would: a snapshot after `from` frames, then the rest at their own pace. */
function play(query, request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const name = (query.get('frames') ?? 'chapter').replace(/[^\w-]/g, '');
  const frames = JSON.parse(readFileSync(join(args.frames, `${name}.json`), 'utf8'));
  const from = Math.min(frames.length, Math.max(1, Number(query.get('from') ?? 1)));
  const to = Math.min(frames.length, Number(query.get('to') ?? frames.length));
  const speed = Number(query.get('speed') ?? 1);
  const send = (event, data) => response.write(`event: ${event}\n${event === 'ping' ? '' : `id: 4f2a-${data.seq}\n`}data: ${JSON.stringify(data)}\n\n`);
  const model = newModel();
  for (const { event, data } of frames.slice(0, from)) apply(model, event, data);
  const state = query.has('state') ? stateOf(query.get('state'), model.at) : {};
  const cards = query.get('cards') === 'none' ? [] : [...model.cards.values()];
  send('snapshot', { epoch: '4f2a', seq: model.seq, at: model.at, source: model.source, link: model.link, ...state, cards, insides: [...model.inside.values()] });
  const timers = new Set();
  let last = model.at;
  let wait = 0;
  for (const { event, data } of frames.slice(from, to)) {
    wait += speed > 0 ? Math.max(0, data.at - last) / speed : 0;
    last = data.at;
    const timer = setTimeout(() => send(event, data), wait);
    timers.add(timer);
  }
  const ping = setInterval(() => send('ping', { at: last }), 10_000);
  request.on('close', () => {
    for (const timer of timers) clearTimeout(timer);
    clearInterval(ping);
  });
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:";
  try {
    if (pathname === '/') return void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy }).end(page(searchParams));
    if (pathname === '/events') return play(searchParams, request, response);
    if (pathname === '/player.css') return void response.writeHead(200, { 'content-type': 'text/css' }).end(playerCss(Number(searchParams.get('column'))));
    const file = normalize(join(root, pathname));
    if (!file.startsWith(join(root, 'static'))) throw new Error('outside');
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(readFileSync(file));
  } catch {
    response.writeHead(404).end();
  }
}).listen(Number(args.port), '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${args.port}/\n`));
