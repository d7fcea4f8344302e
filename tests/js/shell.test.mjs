// Lines that readers copy: whatever a name holds, the line does what it shows.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describeLine, enterLine, lineOf } from '../../static/js/act.js';
import { speaker, tell } from '../../static/js/model.js';
import { word } from '../../static/js/shell.js';

const fixture = JSON.parse(readFileSync(new URL('../frames/shell.json', import.meta.url), 'utf8'));
const ODD = ['x; touch /tmp/x #', '$(touch /tmp/x)', 'a\nb', "it's", '\u202egnp', '~', ''];
/** What a shell makes of a line: the words of the command. */
const words = (line) => spawnSync('bash', ['-c', `kubectl() { printf '%s\\0' "$@"; }; ${line}`], { encoding: 'utf8' }).stdout.split('\0').slice(0, -1);

test('a word is written as the program writes it', () => {
  assert.ok(fixture.length >= 30);
  for (const [text, written] of fixture) assert.equal(word(text), written);
});

test('no name in any action is more than one word', () => {
  for (const odd of ODD) {
    const acting = { namespace: odd || 'n', folders: [odd], claims: odd || 'c', looks: [{ pods: '', user: odd, database: odd, query: odd }] };
    const n = odd || 'n';
    const psql = ['psql', '-U', odd, '-d', odd, '-c', odd];
    for (const [line, want] of [
      [lineOf({ do: 'apply', folder: odd, file: odd }, acting), ['-n', n, 'apply', '-f', `${odd}/${odd}`]],
      [lineOf({ do: 'delete', kind: 'Pod', name: n, uid: 'u' }, acting), ['-n', n, 'delete', 'pod', n]],
      [lineOf({ do: 'delete', kind: 'Pod', selector: n }, acting), ['-n', n, 'delete', 'pod', '-l', n, '--wait=false']],
      [lineOf({ do: 'scale', kind: 'StatefulSet', name: n, replicas: 2 }, acting), ['-n', n, 'scale', 'statefulset', n, '--replicas=2']],
      [lineOf({ do: 'release', name: n }, acting), ['patch', 'pv', n, '-p', '{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}']],
      [lineOf({ do: 'look', pod: odd }, acting), ['-n', n, 'exec', odd, '--', ...psql]],
      [lineOf({ do: 'query', in: `pod/${odd.replaceAll('/', '')}`, sql: odd }, acting), ['-n', n, 'exec', odd.replaceAll('/', ''), '--', ...psql]],
      [enterLine({ pod: odd, program: 'psql' }, acting), ['-n', n, 'exec', '-it', odd, '--', ...psql.slice(0, -2)]],
      [describeLine('pvc', odd, acting), ['-n', n, 'describe', 'pvc', odd]],
    ]) {
      assert.deepEqual(words(line), want, line);
      assert.ok(!line.includes('\n'), line);
    }
  }
});

test('no value in the line of a story or of a notice is more than one word', () => {
  const stories = { 'pod.gone.seat': { who: '', what: '{claim}', why: '', kubectl: "kubectl get pvc {claim} -o jsonpath='{.spec.volumeName}'" } };
  const say = speaker({ 'fault.x.command': 'kubectl cluster-info --context {context}', 'fault.x.text': '{context}' });
  for (const odd of ODD) {
    const told = tell({ key: 'pod.gone.seat', params: { claim: odd } }, stories);
    assert.deepEqual(words(told.kubectl), ['get', 'pvc', odd, '-o', 'jsonpath={.spec.volumeName}']);
    assert.deepEqual(words(say('fault.x.command', { context: odd })), ['cluster-info', '--context', odd]);
  }
  // In a sentence it is read, not run.
  assert.equal(say('fault.x.text', { context: "it's; x" }), "it's; x");
});

test('every line of the words and stories is filled as one', () => {
  for (const language of ['ja', 'en']) {
    const text = readFileSync(new URL(`../../content/${language}/words.toml`, import.meta.url), 'utf8');
    for (const [, key, value] of text.matchAll(/^"([^"]+)" = "((?:kubectl|export|cargo|curl) [^\n]*)"$/gm)) {
      // A line without a value is a line anywhere.
      if (/\{[a-z]+\}/.test(value)) assert.match(key, /\.command$/, value);
    }
  }
});
