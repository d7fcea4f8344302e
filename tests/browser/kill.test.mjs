// The picture the product is: a Pod dies and another body takes the same seat, beside a claim that never moved.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PHONE, PROJECTOR, launch, openPage, panelIs, storyHas } from './support/browser.mjs';
import { cutRecording, startEizoku } from './support/eizoku.mjs';

const POD = 'postgres-statefulset-0';
const SEAT = `default/${POD}`;
const CLAIM = `postgres-data-${POD}`;
const CABLE = `${POD}→${CLAIM}`;
/** What a kill tells, in this order; other lines may stand between. */
const STORY = ['pod.killing', 'pod.stopped', 'pod.gone.seat', 'pod.recreated', 'pod.scheduled', 'pod.mounting', 'pod.running', 'pod.ready.same'];

let browser;
let folder;
let recording;
before(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), 'eizoku-kill-'));
  recording = join(folder, 'kill.jsonl');
  // Up to the rows seen again after the first kill.
  cutRecording(recording, (caption) => caption.includes('--force'));
});
after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/**
 * Opens the page on the recording and waits until the kill in it is over and the rows were looked at again.
 * @param {import('playwright-core').BrowserContextOptions} options
 * @param {(watched: import('./support/browser.mjs').Watched) => Promise<void>} body
 */
async function seeKill(options, body) {
  const watched = await openPage(browser, options);
  const eizoku = await startEizoku(['--cluster', 'recording', recording, '--speed', '2']);
  try {
    await watched.page.goto(`${eizoku.url}/ja/`);
    await panelIs(watched.page, 'live');
    await storyHas(watched.page, 'pod.ready.same');
    await body(watched);
  } finally {
    await eizoku.end();
    await watched.close();
  }
}

/** The scenes from the last one before the kill to the one in which the new body is proven to be on the same disk. */
function killOf(scenes) {
  const end = scenes.findIndex((scene) => scene.last === 'pod.ready.same');
  const start = scenes.slice(0, end).findLastIndex((scene) => scene.last === 'pod.killing');
  assert.ok(start > 0 && end > start, 'the kill was not seen from its beginning');
  const first = scenes.slice(0, start).findLastIndex((scene) => scene.last !== 'pod.killing');
  return scenes.slice(first, end + 1);
}

/** Those values that differ from the one before them. */
const steps = (values) => values.filter((value, n) => n === 0 || JSON.stringify(value) !== JSON.stringify(values[n - 1]));

function assertKill(scenes) {
  const kill = killOf(scenes);

  // One seat, the same element from before to after.
  assert.equal(new Set(kill.map((scene) => scene.seats[SEAT])).size, 1);
  assert.notEqual(kill[0].seats[SEAT], undefined);

  // One body, then none, then another one of the same name.
  const bodies = steps(kill.map((scene) => Object.keys(scene.bodies).join()));
  assert.equal(bodies.length, 3, bodies.join(' | '));
  assert.equal(bodies[1], '');
  assert.notEqual(bodies[0], bodies[2]);
  assert.equal(kill.at(-1).bodies[bodies[2]], POD);
  assert.equal(kill[0].bodies[bodies[0]], POD);

  // One claim and one volume, the same elements throughout, bound to each other all the time.
  assert.equal(new Set(kill.map((scene) => scene.claims[CLAIM])).size, 1);
  assert.notEqual(kill[0].claims[CLAIM], undefined);
  const [[volume, { element }]] = Object.entries(kill[0].volumes);
  for (const scene of kill) {
    assert.deepEqual(Object.keys(scene.volumes), [volume]);
    assert.equal(scene.volumes[volume].element, element);
    assert.deepEqual(scene.bindings, [`${CLAIM}↔${volume}`]);
    assert.match(scene.volumes[volume].text, /Bound/);
    // The rows that were written before stand in the volume all the while.
    assert.match(scene.volumes[volume].text, /apple/);
    assert.match(scene.volumes[volume].text, /orange/);
  }

  // The plug is pulled, gone with the body, offered by the new one, and in again.
  assert.deepEqual(steps(kill.map((scene) => scene.cables[CABLE] ?? 'none')), ['plugged', 'pulled', 'none', 'names', 'reaching', 'plugged']);
  return kill;
}

/** The keys of STORY among the story's lines since the kill, in the order they were told. */
function toldOf(kill) {
  return steps(kill.map((scene) => scene.last)).filter((key) => STORY.includes(key));
}

test('the kill: same seat, another body, same claim, same volume, same rows', () =>
  seeKill({ viewport: PROJECTOR }, async ({ page, errors, scenes, shot }) => {
    const kill = assertKill(await scenes());
    assert.deepEqual(toldOf(kill), STORY);
    // Each line was also said to those who listen: the live region held the words of the line last added.
    const spoken = await page.evaluate((keys) => Object.fromEntries(keys.map((key) => [key, [...document.querySelectorAll(`#panel [data-story="${key}"] strong`)].map((it) => it.textContent)])), STORY);
    for (const key of STORY) {
      const scene = kill.find((it) => it.last === key);
      assert.ok(spoken[key].includes(scene.aloud), `${key}: ${scene.aloud}`);
      assert.match(scene.aloud, new RegExp(POD), key);
    }
    // The proof that it is the same disk, in the picture.
    await page.waitForSelector(`#panel [data-volume] .badge`);
    // It was seen to happen, not only to have happened, and comes to rest.
    assert.ok((await page.evaluate(() => window.__watch.frames)) > 30);
    await page.waitForFunction(async () => {
      const before = window.__watch.frames;
      await new Promise((resolve) => { setTimeout(resolve, 500); });
      return window.__watch.frames === before;
    });
    assert.deepEqual(errors, []);
    await shot('kill-over-projector');
  }));

test('with reduced motion the same happens and nothing moves', () =>
  seeKill({ reducedMotion: 'reduce', colorScheme: 'dark' }, async ({ page, scenes, shot }) => {
    const kill = assertKill(await scenes());
    assert.deepEqual(toldOf(kill), STORY);
    assert.equal(await page.evaluate(() => window.__watch.frames), 0);
    assert.equal(await page.evaluate(() => document.getAnimations().filter((it) => it.playState === 'running').length), 0);
    await shot('kill-over-reduced-motion-dark');
  }));

test('on a phone the kill is the same', () =>
  seeKill({ viewport: PHONE, hasTouch: true }, async ({ page, scenes, shot }) => {
    assertKill(await scenes());
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    await shot('kill-over-phone');
  }));
