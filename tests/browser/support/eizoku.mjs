// The real binary, started on a free port and ended with the test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** So long a condition may take to come true on a slow and busy machine; nothing waits for it to pass. */
export const PATIENCE = 120_000;
/** The repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const binary = process.env.EIZOKU_BIN ?? join(root, 'target/debug/eizoku');
/** The cookies of the owner, of all programs that were started; a page is opened with them. @type {{name: string, value: string, url: string, httpOnly: true, sameSite: 'Strict'}[]} */
export const keys = [];
/** The recording that is in the binary. */
const chapter = join(root, 'content/recordings/chapter.jsonl');

/**
 * Starts the binary away from the settings of this machine and waits until it says where it listens.
 * @param {string[]} args Put after `--port 0`, so that another `--port` may not be among them; see `port`.
 * @param {{port?: number}} [options] `port` other than 0 takes just that one.
 * @returns {Promise<{url: string, port: number, address: string, cookie: string, end: (signal?: NodeJS.Signals) => Promise<void>}>}
 */
export async function startEizoku(args, { port = 0 } = {}) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('EIZOKU_')));
  const child = spawn(binary, ['--port', String(port), ...args], { env: { ...env, KUBECONFIG: '/nonexistent/kubeconfig' }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let warned = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { warned += text; });
  const url = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
      const found = /http:\/\/[\d.]+:(\d+)\/\S+\s/.exec(said);
      if (found) resolve(new URL(found[0].trim()));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the binary ended with ${code} before it listened: ${warned}`)));
  });
  const cookie = (await fetch(url, { redirect: 'manual' })).headers.get('set-cookie')?.split(';')[0] ?? '';
  const [name, value] = cookie.split('=');
  keys.push({ name, value, url: url.origin, httpOnly: true, sameSite: 'Strict' });
  return {
    url: url.origin,
    port: Number(url.port),
    address: url.href,
    cookie,
    async end(signal = 'SIGKILL') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

/** What the server lists of the run so far. @param {{url: string}} eizoku */
export const timeline = async (eizoku) => (await fetch(`${eizoku.url}/timeline`)).json();

/** Waits until the server has told of `count` things, and gives them. @param {{url: string}} eizoku @param {number} count */
export async function toldOf(eizoku, count) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const { marks } = await timeline(eizoku);
    if (marks.length >= count) return marks;
    if (Date.now() > end) throw new Error(`${marks.length} of ${count} told`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** The kubeconfig of a real cluster that the tests are to be run against instead of the embedded one. */
export const REAL = process.env.EIZOKU_TEST_KUBECONFIG || null;

/** What shows a cluster that the page may act on: the embedded one in this folder, or the real one. @param {string} folder */
export function cluster(folder) {
  return REAL ? ['--cluster', 'kube', '--kubeconfig', REAL, '--allow-actions'] : ['--cluster', 'embedded', '--data', folder];
}

/** Takes away what the lesson made; a real cluster is there for the next test, too. @param {{url: string, cookie: string}} eizoku */
export async function clear(eizoku) {
  const answer = await fetch(`${eizoku.url}/act`, { method: 'POST', headers: { 'content-type': 'application/json', cookie: eizoku.cookie }, body: '{"do":"reset"}' });
  if (!answer.ok) throw new Error(`the lesson is not cleared away: ${await answer.text()}`);
}

/** The lines of the recording that ships. */
const lines = () => readFileSync(chapter, 'utf8').split('\n').filter(Boolean).map((text) => ({ text, line: JSON.parse(text) }));

/**
 * Writes the part of the shipped recording before the first caption for which `isEnd` is true: its last
 * picture then stands for a good while before it begins again.
 * @param {string} file
 * @param {(caption: string) => boolean} isEnd
 */
export function cutRecording(file, isEnd) {
  const all = lines();
  const end = all.findIndex(({ line }) => line.say !== undefined && isEnd(line.say));
  if (end < 0) throw new Error('no such caption in the recording');
  writeFileSync(file, `${all.slice(0, end).map(({ text }) => text).join('\n')}\n`);
}

/** The newest state of each object in the recording when the caption `before` was shown, by kind. */
export function recordedObjects(before) {
  const objects = new Map();
  for (const { line } of lines()) {
    if (line.say?.startsWith(before)) break;
    if (!line.object) continue;
    const key = line.object.metadata.uid;
    if (line.type === 'DELETED') objects.delete(key);
    else objects.set(key, { kind: line.kind, object: line.object });
  }
  return [...objects.values()];
}
