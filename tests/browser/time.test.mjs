// The reader goes back in time and returns: over what the server kept, while things go on happening.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { PHONE, PROJECTOR, launch, openPage, panelIs } from './support/browser.mjs';
import { PATIENCE, recordedObjects, startEizoku, timeline, toldOf } from './support/eizoku.mjs';
import { Kubernetes } from './support/kubernetes.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const podNamed = (name, uid = `uid-${name}`) => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', uid, creationTimestamp: '2026-11-23T00:00:00Z' },
  spec: { containers: [{ name: 'a', image: 'busybox' }] }, status: { phase: 'Pending' },
});

/**
 * A cluster with one StatefulSet at rest in which the Pods `early-0` to `early-2` came and `early-0` went again, all
 * before the page is opened beside it.
 * @param {(all: any) => Promise<void>} body
 */
async function afterSome(body, options = {}, hash = '') {
  const api = await Kubernetes.start();
  for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
  const args = ['--cluster', 'kube', '--kubeconfig', api.kubeconfig()];
  const all = { api, args, eizoku: await startEizoku(args) };
  try {
    await readyOf(all.eizoku);
    for (const n of [0, 1, 2]) {
      api.put('Pod', podNamed(`early-${n}`));
      await toldOf(all.eizoku, n + 1);
    }
    api.remove('Pod', 'early-0');
    await toldOf(all.eizoku, 4);
    Object.assign(all, await openPage(browser, options));
    await all.page.goto(`${all.eizoku.url}/ja/${hash}`);
    await panelIs(all.page, 'live');
    await all.page.waitForSelector('#panel [data-uid]');
    await marked(all.page, 4);
    await body(all);
  } finally {
    await all.close?.();
    await all.eizoku.end();
    await api.end();
  }
}

/** Waits until the source has listed everything, so that what comes is news. */
async function readyOf(eizoku) {
  const end = Date.now() + PATIENCE;
  while (!(await fetch(`${eizoku.url}/readyz`)).ok) {
    assert.ok(Date.now() < end, 'never ready');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

const panel = (page) => page.locator('#panel').evaluate((it) => ({ ...it.dataset }));
const bodies = (page) => page.locator('#panel [data-uid^="uid-"]').evaluateAll((all) => all.map((it) => it.dataset.uid).sort());
const inPast = (page) => page.waitForSelector('#panel[data-past]');
const atNow = (page) => page.waitForSelector('#panel:not([data-past])[data-behind="0"]');
/** Presses a key on the timeline and waits until the reader is elsewhere. */
async function press(page, key) {
  const before = await page.locator('#panel').getAttribute('data-at');
  await page.keyboard.press(key);
  await page.waitForSelector(`#panel:not([data-at="${before}"])`);
}
/** Waits until the timeline has so many marks; asks from outside, since waiting in the page asks for frames. */
async function marked(page, least) {
  const end = Date.now() + PATIENCE;
  while (Number(await page.locator('#panel .track').getAttribute('aria-valuemax')) < least) {
    assert.ok(Date.now() < end, `fewer than ${least} marks`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

test('one goes back to before the page was opened, step by step, and returns with one key', () =>
  afterSome(async ({ page, errors, shot }) => {
    assert.deepEqual(await bodies(page), ['uid-early-1', 'uid-early-2']);
    await page.locator('#panel .track').focus();
    const seen = [];
    for (let n = 0; n < 3; n += 1) {
      await press(page, 'ArrowLeft');
      seen.push(await bodies(page));
    }
    assert.deepEqual(seen, [['uid-early-0', 'uid-early-1', 'uid-early-2'], ['uid-early-0', 'uid-early-1'], ['uid-early-0']]);
    // Unmistakably: with words, with the time, and not by colour alone.
    assert.match(await page.locator('#panel .panel-state').innerText(), /過去 \d\d:\d\d:\d\d/);
    assert.doesNotMatch(await page.locator('#panel .panel-frame').innerText(), /\bLIVE\b/);
    assert.match(await page.locator('#panel .panel-view').evaluate((it) => getComputedStyle(it, '::after').borderImageSource), /gradient/);
    assert.equal((await panel(page)).behind, '3');
    // The story is that of the moment.
    assert.equal(await page.locator('#panel .story > li').last().getAttribute('data-story'), 'pod.created.bare');
    assert.match(await page.locator('#panel .story > li').last().innerText(), /early-0/);
    await shot('time-past');
    await press(page, 'ArrowRight');
    assert.deepEqual(await bodies(page), ['uid-early-0', 'uid-early-1']);
    await page.keyboard.press('l');
    await atNow(page);
    assert.deepEqual(await bodies(page), ['uid-early-1', 'uid-early-2']);
    assert.doesNotMatch(await page.locator('#panel .panel-state').innerText(), /過去/);
    assert.match(await page.locator('#panel .live-badge').innerText(), /LIVE/);
    assert.deepEqual(errors, []);
  }));

test('what happens meanwhile is counted, moves nothing, and is all there on the way back', () =>
  afterSome(async ({ api, page, eizoku, shot }) => {
    await page.locator('#panel .track').focus();
    await press(page, 'ArrowLeft');
    await press(page, 'ArrowLeft');
    assert.equal((await panel(page)).behind, '2');
    const look = () => page.evaluate(() => ({ scene: document.querySelector('#panel .stage').outerHTML, story: document.querySelector('#panel .story').outerHTML, aloud: document.querySelector('#panel [aria-live]').textContent }));
    const before = await look();
    for (const n of [0, 1, 2, 3]) {
      api.put('Pod', podNamed(`late-${n}`));
      await toldOf(eizoku, 5 + n);
    }
    // On a busy machine the connection may be lost and found meanwhile, which is told as well.
    const { marks } = await timeline(eizoku);
    await marked(page, marks.length);
    assert.ok(Number((await panel(page)).behind) >= marks.length - 2);
    assert.deepEqual(await look(), before);
    await shot('time-past-while-events-arrive');
    await page.locator('#panel .tool-jump').click();
    await atNow(page);
    assert.deepEqual(await bodies(page), ['uid-early-1', 'uid-early-2', 'uid-late-0', 'uid-late-1', 'uid-late-2', 'uid-late-3']);
    // Those from before the page was opened stand in the story, too.
    assert.equal(await page.locator('#panel [data-story="pod.created.bare"]').count(), 3 + 4);
  }));

test('the rest of the page hears when one leaves for the past, and misses nothing when one returns', () =>
  afterSome(async ({ api, page, eizoku }) => {
    await page.evaluate(async () => {
      const address = [...document.querySelectorAll('link[rel=modulepreload]')].map((it) => it.href).find((href) => href.endsWith('/feed.js'));
      const { subscribe } = await import(address);
      window.__heard = [];
      subscribe((event, data, model) => window.__heard.push({ event, name: data?.card?.name, past: document.getElementById('panel').dataset.past ?? null, pods: [...model.cards.values()].filter((card) => card.uid.startsWith('uid-')).length }));
      window.__heard.length = 0;
    });
    await page.locator('#panel .track').focus();
    await press(page, 'ArrowLeft');
    for (const n of [0, 1]) {
      api.put('Pod', podNamed(`late-${n}`));
      await toldOf(eizoku, 5 + n);
    }
    await marked(page, (await timeline(eizoku)).marks.length);
    await page.keyboard.press('l');
    await atNow(page);
    const heard = (await page.evaluate(() => window.__heard)).filter(({ event }) => event === 'snapshot' || event === 'added' || event === 'deleted');
    assert.deepEqual(heard.map(({ event, name, past, pods }) => [event, name ?? '', past, pods]), [
      ['snapshot', '', 'true', 3], ['snapshot', '', null, 2], ['added', 'late-0', null, 3], ['added', 'late-1', null, 4],
    ]);
  }));

test('with the keyboard alone: the slider is found, named, moved, let go on, and left', () =>
  afterSome(async ({ page }) => {
    await page.locator('#panel .panel-scene').focus();
    const track = page.locator('#panel [role="slider"]');
    for (let n = 0; n < 12 && !(await track.evaluate((it) => it === document.activeElement)); n += 1) await page.keyboard.press('Tab');
    assert.ok(await track.evaluate((it) => it === document.activeElement), 'Tab leads to the timeline');
    const value = () => track.evaluate((it) => ({ label: it.getAttribute('aria-label'), now: Number(it.getAttribute('aria-valuenow')), max: Number(it.getAttribute('aria-valuemax')), text: it.getAttribute('aria-valuetext') }));
    const first = await value();
    assert.notEqual(first.label, '');
    assert.equal(first.now, first.max);
    assert.match(first.text, /いま/);
    await press(page, 'ArrowLeft');
    const left = await value();
    assert.equal(left.now, left.max - 1);
    assert.match(left.text, /1件遅れ.*early-2/);
    assert.match(await page.locator('#panel .track-tip').innerText(), /early-2/);
    await press(page, 'Home');
    assert.equal((await value()).now, 1);
    // Every single frame, told or not; then as it was.
    const { at } = await panel(page);
    await press(page, '.');
    await press(page, ',');
    assert.equal((await panel(page)).at, at);
    // It goes on by itself through the past, until it is now.
    await page.keyboard.press(' ');
    await page.waitForSelector('#panel[data-paused="false"]');
    await atNow(page);
    assert.deepEqual(await bodies(page), ['uid-early-1', 'uid-early-2']);
    await press(page, 'PageDown');
    await inPast(page);
    await press(page, 'End');
    await atNow(page);
    assert.equal(await track.evaluate((it) => it === document.activeElement), true, 'the keyboard stays where it was');
  }));

test('a link to a moment leads there, in another page too; one that is gone is said to be', () =>
  afterSome(async ({ page, eizoku, errors, shot }) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.locator('#panel .track').focus();
    await press(page, 'ArrowLeft');
    await press(page, 'ArrowLeft');
    const { at } = await panel(page);
    const shown = await bodies(page);
    await page.locator('#panel .tool-link').click();
    await page.waitForFunction(() => document.querySelector('#panel [aria-live]').textContent.includes('コピー'));
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(link, `${eizoku.url}/ja/#at=${at}`);

    const other = await openPage(browser);
    try {
      const lost = other.page.locator('#panel .panel-lost');
      await other.page.goto(link);
      await inPast(other.page);
      assert.equal((await panel(other.page)).at, at);
      assert.deepEqual(await bodies(other.page), shown);
      assert.equal(await lost.isVisible(), false);
      // Nothing has the keyboard yet: the key works all the same, and the address no longer says the past.
      await other.page.keyboard.press('l');
      await atNow(other.page);
      assert.equal(new URL(other.page.url()).hash, '');

      for (const [hash, say] of [['#at=another-run-3', /前に動いていた/], [`#at=${at.replace(/\d+$/, '999999')}`, /残っていません/]]) {
        await other.page.goto('about:blank');
        await other.page.goto(`${eizoku.url}/ja/${hash}`);
        await lost.waitFor();
        assert.match(await lost.innerText(), say);
        assert.equal((await panel(other.page)).past, undefined);
        assert.equal((await panel(other.page)).state, 'live');
      }
      await other.shot('time-link-gone');
      await lost.getByRole('button').click();
      assert.equal(await lost.isVisible(), false);
      // A link followed inside the page, without loading it anew.
      await other.page.evaluate((hash) => { location.hash = hash; }, new URL(link).hash);
      await inPast(other.page);
      assert.deepEqual(other.errors, []);
    } finally {
      await other.close();
    }
    assert.deepEqual(errors, []);
  }));

test('the program ends and begins anew while one is in the past: that run is said to be gone', () =>
  afterSome(async (all) => {
    const { page, args } = all;
    await page.locator('#panel .track').focus();
    await press(page, 'ArrowLeft');
    await all.eizoku.end();
    await panelIs(page, 'gone');
    assert.equal((await panel(page)).past, 'true', 'what was read can still be looked at');
    all.eizoku = await startEizoku(args, { port: all.eizoku.port });
    await page.locator('#panel .panel-lost').waitFor();
    assert.match(await page.locator('#panel .panel-lost').innerText(), /前に動いていた/);
    assert.equal((await panel(page)).past, undefined);
    await panelIs(page, 'live');
  }));

test('the pointer drags through time, names what it points at, and leaves the past at the end', () =>
  afterSome(async ({ page, shot }) => {
    const box = await page.locator('#panel .track').boundingBox();
    const marks = await page.locator('#panel .track .moment-pod').evaluate((it) => { const { left, right } = it.getBoundingClientRect(); return { left, right }; });
    const middle = box.y + box.height / 2;
    await page.mouse.move(marks.left + 4, middle);
    await page.waitForFunction(() => !document.querySelector('#panel .track-tip').hidden);
    assert.match(await page.locator('#panel .track-tip').innerText(), /\d\d:\d\d:\d\d Pod early-0/);
    await page.mouse.down();
    await inPast(page);
    assert.deepEqual(await bodies(page), ['uid-early-0']);
    await page.mouse.move((marks.left + marks.right) / 2, middle, { steps: 5 });
    await page.waitForFunction(() => document.querySelectorAll('#panel [data-uid^="uid-"]').length > 1);
    await shot('time-drag');
    await page.mouse.move(box.x + box.width - 3, middle, { steps: 5 });
    await atNow(page);
    await page.mouse.up();
    assert.deepEqual(await bodies(page), ['uid-early-1', 'uid-early-2']);
  }, { viewport: PROJECTOR }));

test('with reduced motion one goes through time without any, and standing there costs nothing', () =>
  afterSome(async ({ page, shot }) => {
    await page.locator('#panel .track').focus();
    for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowRight', 'Home']) await press(page, key);
    await shot('time-reduced-motion-dark');
    await press(page, 'l');
    await atNow(page);
    assert.equal(await page.evaluate(() => window.__watch.frames), 0);
    assert.equal(await page.evaluate(() => document.getAnimations().filter((it) => it.playState === 'running').length), 0);
  }, { reducedMotion: 'reduce', colorScheme: 'dark' }));

test('in the past nothing runs: no frame is asked for and no timer is set', () =>
  afterSome(async ({ page }) => {
    await page.locator('#panel .track').focus();
    await press(page, 'ArrowLeft');
    // What is in motion comes to rest first.
    await page.waitForFunction(async () => {
      const frames = window.__watch.frames;
      await new Promise((resolve) => { setTimeout(resolve, 400); });
      return window.__watch.frames === frames;
    });
    const set = await page.evaluate(async () => {
      const real = window.setTimeout;
      let count = 0;
      window.setTimeout = (...rest) => { count += 1; return real(...rest); };
      const frames = window.__watch.frames;
      await new Promise((resolve) => { real(resolve, 1500); });
      window.setTimeout = real;
      return count + window.__watch.frames - frames;
    });
    // A ping of the stream may fall into this while and starts its watchdog anew.
    assert.ok(set <= 1, `${set}`);
  }));

test('on a phone a tap leads into the past, and nothing is wider than the screen', () =>
  afterSome(async ({ page, shot }) => {
    const track = page.locator('#panel .track');
    await track.scrollIntoViewIfNeeded();
    const box = await track.boundingBox();
    assert.ok(box.width > 250 && box.height >= 44, `${box.width} × ${box.height}`);
    const mark = await page.locator('#panel .track .moment-pod').boundingBox();
    await page.touchscreen.tap(mark.x + 4, box.y + box.height / 2);
    await inPast(page);
    assert.match(await page.locator('#panel .panel-state').innerText(), /過去/);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    await shot('time-phone');
    await page.locator('#panel .tool-jump').tap();
    await atNow(page);
  }, { viewport: PHONE, hasTouch: true }));

test('the run so far is saved as a file', () =>
  afterSome(async ({ page }) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#panel .tool-save').click()]);
    const lines = readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.ok(lines.some((line) => line.object?.metadata?.name === 'early-0'), `${lines.length} lines`);
    assert.match(download.suggestedFilename(), /\.jsonl$/);
  }));

test('a trouble that comes again and again is one line, which counts', () =>
  afterSome(async ({ api, page, shot }) => {
    const container = (restartCount, state) => ({ ...podNamed('early-1'), spec: { nodeName: 'n', containers: [{ name: 'a', image: 'busybox' }] }, status: { phase: 'Running', containerStatuses: [{ name: 'a', image: 'busybox', ready: false, restartCount, state }] } });
    for (let n = 1; n <= 3; n += 1) {
      api.put('Pod', container(n - 1, { running: { startedAt: '2026-11-23T00:00:00Z' } }));
      api.put('Pod', container(n - 1, { terminated: { exitCode: 1, reason: 'Error' } }));
      api.put('Pod', container(n - 1, { waiting: { reason: 'CrashLoopBackOff' } }));
    }
    for (const key of ['pod.crashed', 'pod.backoff']) {
      const line = await page.waitForSelector(`#panel .story > [data-story="${key}"][data-times="3"]`);
      assert.match(await line.innerText(), /3回/);
      assert.equal(await page.locator(`#panel .story > [data-story="${key}"]`).count(), 1);
    }
    await shot('time-trouble-again');
  }));

test('a recording has the same timeline, and is never called live', async () => {
  const eizoku = await startEizoku(['--cluster', 'recording', '--speed', '8']);
  const { page, close, errors, shot } = await openPage(browser);
  try {
    await toldOf(eizoku, 25);
    await page.goto(`${eizoku.url}/ja/`);
    await panelIs(page, 'live');
    await marked(page, 25);
    await page.locator('#panel .track').focus();
    await press(page, 'Home');
    await inPast(page);
    const { at } = await panel(page);
    assert.ok(Number((await panel(page)).behind) >= 20);
    await press(page, 'ArrowRight');
    await press(page, 'ArrowRight');
    await press(page, 'ArrowLeft');
    await press(page, 'ArrowLeft');
    assert.equal((await panel(page)).at, at);
    assert.match(await page.locator('#panel .chip-source').innerText(), /RECORDED/);
    assert.doesNotMatch(await page.locator('#panel .panel-frame').innerText(), /\bLIVE\b/);
    await shot('time-recording');
    assert.deepEqual(errors, []);
  } finally {
    await close();
    await eizoku.end();
  }
});

test('five thousand marks stay fluid under the pointer', () =>
  afterSome(async ({ page, eizoku }) => {
    const told = await timeline(eizoku);
    const kinds = ['Pod', 'PersistentVolumeClaim', 'PersistentVolume', 'StatefulSet'];
    const marks = Array.from({ length: 5000 }, (_, n) => [n + 1, 1_000_000 + n * 900, 'modified', kinds[n % 4], 'pod.ready', `web-${n}`]);
    // Only the list is long: what a test cluster can't make within its time.
    await page.route('**/timeline', (route) => route.fulfill({ json: { ...told, first: 1, last: 5000, marks } }));
    await page.reload();
    await marked(page, 5000);
    await page.waitForSelector('#panel .track .moment-pod');
    assert.ok((await page.locator('#panel .track path').count()) < 20, 'a path for each shape, not for each mark');
    const usual = await page.evaluate(async () => {
      const track = document.querySelector('#panel .track');
      const { left, top, width } = track.getBoundingClientRect();
      const took = [];
      for (let n = 0; n < 200; n += 1) {
        const begun = performance.now();
        track.dispatchEvent(new PointerEvent('pointermove', { clientX: left + (width * n) / 200, clientY: top + 10, bubbles: true }));
        // Reading a measure makes the browser do now what it would do for the next picture.
        track.getBoundingClientRect();
        took.push(performance.now() - begun);
      }
      return took.sort((a, b) => a - b)[took.length / 2];
    });
    // The median, since other work on this machine must not count; a picture of the screen is due every 16 ms.
    assert.ok(usual < 8, `${usual} ms for one move`);
  }));

test('a chosen theme is there before anything else has run', async () => {
  const eizoku = await startEizoku(['--cluster', 'recording']);
  const { page, close } = await openPage(browser);
  try {
    await page.goto(`${eizoku.url}/ja/`);
    await page.evaluate(() => localStorage.setItem('eizoku.theme', 'dark'));
    await page.route('**/js/chapter.js', (route) => route.abort());
    await page.goto(`${eizoku.url}/en/`, { waitUntil: 'commit' });
    await page.waitForSelector('body', { state: 'attached' });
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  } finally {
    await close();
    await eizoku.end();
  }
});
