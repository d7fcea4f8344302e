// What a reader does in the page, on the embedded cluster or a real one: menus, the rows inside, the terminal; by keyboard as well.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PHONE, PROJECTOR, launch, openPage, panelIs, storyHas } from './support/browser.mjs';
import { clear, cluster, recordedObjects, startEizoku } from './support/eizoku.mjs';
import { Kubernetes } from './support/kubernetes.mjs';

const WIDE = { width: 1440, height: 900 };
const POD = 'postgres-statefulset-0';
const CLAIM = `postgres-data-${POD}`;

let browser;
let data;
let eizoku;
before(async () => {
  browser = await launch();
  data = mkdtempSync(join(tmpdir(), 'eizoku-hands-'));
  eizoku = await startEizoku(cluster(data));
});
after(async () => {
  await browser?.close();
  if (eizoku) await clear(eizoku);
  await eizoku?.end('SIGTERM');
  if (data) rmSync(data, { recursive: true, force: true });
});

/** @param {(watched: import('./support/browser.mjs').Watched) => Promise<void>} body @param {import('playwright-core').BrowserContextOptions} [options] */
async function onPage(body, options = {}) {
  const watched = await openPage(browser, { viewport: WIDE, ...options });
  try {
    await watched.page.goto(`${eizoku.url}/ja/`);
    await panelIs(watched.page, 'live', 'empty');
    await body(watched);
    // The browser itself notes every refusal as an error of loading.
    assert.deepEqual(watched.errors.filter((text) => !/status of 4\d\d .*\/act\)$/.test(text)), []);
    assert.deepEqual(await watched.page.evaluate(() => window.__watch.violations), []);
  } finally {
    await watched.close();
  }
}

const menu = (page) => page.locator('#panel .menu');
const entry = (page, id) => menu(page).locator(`[data-offer="${id}"]`);
const line = async (page, id) => (await entry(page, id).locator('.command code').innerText()).replace(/^\$ /, '');
const focused = (page) => page.evaluate(() => ({ card: document.activeElement?.getAttribute('data-card'), name: document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '', menu: Boolean(document.activeElement?.closest('.menu')) }));
/** The Pod's uid once it is Ready, and another one than `not`. */
const ready = (page, not = '') => page.waitForFunction(([pod, old]) => {
  const body = document.querySelector(`#panel .item-body[data-pod="${pod}"]`);
  return body && body.getAttribute('data-uid') !== old && body.classList.contains('on-ok') && body.getAttribute('data-uid');
}, [POD, not]).then((handle) => handle.jsonValue());

test('an empty cluster is filled from the page, and the picture comes from the cluster', () =>
  onPage(async ({ page, shot }) => {
    await panelIs(page, 'empty');
    const begin = page.locator('#panel .notice [data-act="apply"]');
    assert.equal((await begin.locator('.command code').innerText()).replace(/^\$ /, ''), 'kubectl apply -f stateful-app/');
    await shot('hands-apply');
    const asked = page.waitForRequest((request) => request.url().endsWith('/act'));
    await begin.locator('.step-do').click();
    const request = await asked;
    assert.equal(request.method(), 'POST');
    assert.deepEqual(request.postDataJSON(), { do: 'apply', folder: 'stateful-app' });
    await ready(page);
    await page.waitForSelector(`#panel [data-claim="${CLAIM}"]`);
    assert.equal(await menu(page).isVisible(), false);
    assert.match(await page.locator('#panel .panel-terminal').innerText(), /kubectl apply -f stateful-app\//);
  }));

test('a Pod is found, opened and deleted with the keyboard alone, which is never lost', () =>
  onPage(async ({ page, shot }) => {
    const old = await ready(page);
    await page.locator('#panel .panel-scene').focus();
    await page.keyboard.press('Tab');
    assert.match((await focused(page)).name, /^StatefulSet postgres-statefulset/);
    await page.keyboard.press('ArrowDown');
    assert.match((await focused(page)).name, new RegExp(`^Pod ${POD}`));
    assert.equal(await page.locator('#panel .item[tabindex="0"]').count(), 1);
    await page.keyboard.press('ArrowDown');
    assert.match((await focused(page)).name, /^PersistentVolumeClaim/);
    await page.keyboard.press('ArrowDown');
    assert.match((await focused(page)).name, /^PersistentVolume /);
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    assert.equal(await page.locator('#panel .panel-keys').isVisible(), true);
    await page.keyboard.press('Enter');
    assert.ok((await focused(page)).menu);
    assert.equal(await line(page, 'pod.delete'), `kubectl delete pod ${POD}`);
    await shot('hands-menu-pod');
    // Arrow keys stay inside, Escape leads back.
    await page.keyboard.press('ArrowUp');
    assert.ok((await focused(page)).menu);
    await page.keyboard.press('Escape');
    assert.equal(await menu(page).isVisible(), false);
    assert.equal((await focused(page)).card, old);
    await page.keyboard.press('Shift+F10');
    assert.equal(await menu(page).isVisible(), true);
    await entry(page, 'pod.delete').locator('.menu-do').focus();
    await page.keyboard.press('Enter');
    await menu(page).waitFor({ state: 'hidden' });
    assert.equal((await focused(page)).card, old);
    await storyHas(page, 'pod.gone.seat');
    const next = await ready(page, old);
    assert.notEqual(next, old);
    // The body that had the keyboard is gone; something in the scene has it now.
    const at = (await focused(page)).card;
    assert.ok(at && at !== old, `${at}`);
  }));

test('what a pointer did leaves no frame and no light, whatever key comes after it', () =>
  onPage(async ({ page, shot }) => {
    const old = await ready(page);
    await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
    await entry(page, 'pod.delete').locator('.menu-do').click();
    await menu(page).waitFor({ state: 'hidden' });
    await ready(page, old);
    await page.keyboard.press('.');
    await shot('hands-after-menu');
    const marks = () => page.evaluate(() => ({
      lit: document.querySelectorAll('#panel [data-lit]').length,
      framed: [...document.querySelectorAll('#panel .panel-scene, #panel .item')].filter((it) => getComputedStyle(it).outlineStyle !== 'none').length,
    }));
    assert.deepEqual(await marks(), { lit: 0, framed: 0 });
    await page.locator('#panel .panel-scene').click({ position: { x: 4, y: 4 } });
    await page.keyboard.press('.');
    assert.deepEqual(await marks(), { lit: 0, framed: 0 });
    // The keyboard takes over with Tab, and is seen.
    await page.keyboard.press('Tab');
    assert.equal((await marks()).framed, 1);
  }));

test('on the wall the keys work wherever they are pressed, and Space after the button does not undo it', () =>
  onPage(async ({ page, shot }) => {
    await ready(page);
    const panel = page.locator('#panel');
    const is = (/** @type {Record<string, string>} */ data) => page.waitForFunction((wanted) => Object.entries(wanted).every(([name, value]) => (document.getElementById('panel')?.dataset[name] ?? '') === value), data);
    await page.locator('[data-control="projector"]').click();
    await page.keyboard.press('Space');
    await is({ paused: 'true' });
    await page.keyboard.press('Space');
    await is({ paused: 'false' });
    assert.equal(await page.evaluate(() => document.documentElement.hasAttribute('data-projector')), true);
    await page.keyboard.press('PageUp');
    await is({ past: 'true' });
    const first = await panel.getAttribute('data-at');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction((at) => document.getElementById('panel')?.dataset.at !== at, first);
    await page.keyboard.press('PageDown');
    await is({ at: first ?? '' });
    await shot('hands-wall-past');
    await page.keyboard.press('l');
    await is({ past: '' });
    await page.keyboard.press('p');
    assert.equal(await page.evaluate(() => document.documentElement.hasAttribute('data-projector')), false);
    // Beside the text the page keeps Space and the arrows; P leads to the wall from anywhere.
    await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
    await page.keyboard.press('Space');
    assert.equal(await panel.getAttribute('data-paused'), 'false');
    await page.keyboard.press('p');
    assert.equal(await page.evaluate(() => document.documentElement.hasAttribute('data-projector')), true);
  }));

test('what the API refuses is told in the language of the reader and in the words of the API', () =>
  onPage(async ({ page, shot }) => {
    const uid = await ready(page);
    // The object that the reader saw is another one by now: same name, other uid.
    await page.route('**/act', (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), uid: '00000000-0000-4000-8000-000000000000' }) }));
    await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
    await entry(page, 'pod.delete').locator('.menu-do').click();
    const refused = entry(page, 'pod.delete').locator('.menu-answer');
    await refused.locator('.menu-refused').waitFor();
    assert.match(await refused.innerText(), /変わっていました|もうありません/);
    assert.match(await refused.locator('.menu-words').innerText(), /uid|UID/);
    assert.equal(await menu(page).isVisible(), true);
    await shot('hands-refused');
    assert.equal(await ready(page), uid);
  }));

test('what cannot be undone asks once more, and Enter pressed twice does not do it', () =>
  onPage(async ({ page, shot }) => {
    await ready(page);
    const sent = [];
    page.on('request', (request) => { if (request.url().endsWith('/act')) sent.push(request.postDataJSON()); });
    await page.locator(`#panel [data-claim="${CLAIM}"]`).focus();
    await page.keyboard.press('Enter');
    assert.equal(await line(page, 'claim.delete'), `kubectl delete pvc ${CLAIM} --wait=false`);
    await entry(page, 'claim.delete').locator('.menu-do').focus();
    await page.keyboard.press('Enter');
    await entry(page, 'claim.delete').locator('.is-sure').waitFor();
    await shot('hands-sure');
    await page.keyboard.press('Enter');
    assert.equal(await entry(page, 'claim.delete').locator('.is-sure').count(), 0);
    await page.keyboard.press('Escape');
    assert.deepEqual(sent, []);
    assert.ok((await page.locator(`#panel [data-claim="${CLAIM}"]`).textContent()).includes('Bound'));
  }));

// -----------------------------------------------------------------------------------------------------------
// The terminal and the rows

const dock = (page) => page.locator('#panel .dock');
/** Waits until the terminal shows this. @param {string | RegExp} text */
const screenHas = (page, text) => page.waitForFunction(([source, flags]) => new RegExp(source, flags).test([...document.querySelectorAll('#panel .dock .xterm-rows > div')].map((row) => row.textContent?.replaceAll('\u00a0', ' ').trimEnd()).join('\n')), [text.source, text.flags]);
/** Types a line and waits for what comes of it. */
async function type(page, text, comes) {
  await page.keyboard.insertText(text);
  await page.keyboard.press('Enter');
  await screenHas(page, comes);
}
async function openProgram(page, id) {
  await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
  await entry(page, id).locator('.menu-do').click();
  await page.waitForSelector('#panel .dock[data-phase="open"] .xterm-rows');
}

test('psql beside the scene: rows are written in Japanese too, the Pod dies, the terminal says so and leads into the next', () =>
  onPage(async ({ page, shot, requests }) => {
    const old = await ready(page);
    const emulator = () => requests.filter(({ url }) => url.includes('/vendor/')).length;
    assert.equal(emulator(), 0, 'the emulator was fetched before it was asked for');
    await openProgram(page, 'pod.psql');
    assert.ok(emulator() > 0);
    await screenHas(page, /^app_db=# *$/m);
    await type(page, 'CREATE TABLE inventory (id serial PRIMARY KEY, name varchar(50));', /^CREATE TABLE$/m);
    await type(page, "INSERT INTO inventory (name) VALUES ('apple'), ('みかん');", /^INSERT 0 2$/m);
    await type(page, 'SELECT * FROM inventory;', /^ +1 \| apple$\n^ +2 \| みかん$/m);
    // A wide sign is two columns wide: what psql put under each other stands under each other.
    const widths = await page.evaluate(() => {
      const rows = [...document.querySelectorAll('#panel .dock .xterm-rows > div')];
      const right = (row) => Math.max(...[...row.querySelectorAll('span')].map((it) => it.getBoundingClientRect().right)) - row.getBoundingClientRect().left;
      const cell = (text) => right(rows.find((row) => row.textContent?.trimEnd().endsWith(text)));
      return { apple: cell('| apple'), mikan: cell('| みかん') };
    });
    const letter = widths.apple / ' 1 | apple'.length;
    assert.ok(Math.abs(widths.mikan - widths.apple) < letter * 1.6, JSON.stringify(widths));
    // What was typed is seen where it is kept, without asking for it.
    await page.locator('#panel .item-volume', { hasText: /apple.*みかん/ }).waitFor();
    await shot('hands-terminal');

    // The keyboard is not trapped.
    await page.keyboard.press('Control+Shift+E');
    assert.equal(await page.evaluate(() => Boolean(document.activeElement?.closest('.dock-head'))), true);

    await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
    await entry(page, 'pod.delete').locator('.menu-do').click();
    await page.waitForSelector('#panel .dock[data-phase="ended"]');
    await dock(page).getByText(old.slice(0, 5)).first().waitFor();
    assert.match(await dock(page).locator('.dock-ended').innerText(), new RegExp(`${old.slice(0, 5)}.*もういません`));
    const next = await ready(page, old);
    const enter = dock(page).getByRole('button', { name: next.slice(0, 5) });
    await enter.waitFor();
    await shot('hands-terminal-gone');
    await enter.click();
    await page.waitForSelector('#panel .dock[data-phase="open"]');
    await page.waitForFunction(() => document.activeElement?.closest('.dock-screen'));
    await screenHas(page, /─\n(.*\n)*app_db=# *$/m);
    await type(page, 'SELECT name FROM inventory ORDER BY id DESC;', /^ みかん$\n^ apple$/m);
    await shot('hands-terminal-again');
    await page.keyboard.insertText('\\q');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#panel .dock[data-phase="ended"]');
    assert.match(await dock(page).locator('.dock-ended').innerText(), /psql が終わりました/);
    await dock(page).locator('.dock-close').click();
    assert.equal(await dock(page).count(), 0);
    assert.equal(await page.evaluate(() => document.adoptedStyleSheets.length), 0);
    assert.equal(await page.evaluate(() => Object.hasOwn(document, 'createElement')), false);
  }));

test('what is selected in the terminal is copied, and what is pasted is typed', () =>
  onPage(async ({ page }) => {
    await ready(page);
    await openProgram(page, 'pod.sh');
    await type(page, 'echo うみ$((40+2))', /^うみ42$/m);
    const row = page.locator('#panel .dock .xterm-rows > div', { hasText: /^うみ42\s*$/ });
    const box = await row.boundingBox();
    await page.mouse.dblclick(box.x + 8, box.y + box.height / 2);
    await page.keyboard.press('Control+Shift+C');
    await page.waitForFunction(async () => (await navigator.clipboard.readText()) === 'うみ42');
    await page.evaluate(() => navigator.clipboard.writeText('echo paste-$((1+1))'));
    await page.keyboard.press('Control+Shift+V');
    await screenHas(page, /echo paste-\$/);
    await page.keyboard.press('Enter');
    await screenHas(page, /^paste-2$/m);
    // The program is told how wide the window is.
    await page.keyboard.press('Control+Shift+E');
    await page.keyboard.press('Escape');
    assert.equal(await dock(page).count(), 0);
    assert.ok((await focused(page)).card);
  }, { permissions: ['clipboard-read', 'clipboard-write'] }));

test('the volume shows its rows, and those before and after a kill side by side', () =>
  onPage(async ({ page, shot }) => {
    const old = await ready(page);
    const volume = page.locator('#panel .item-volume', { hasText: /Bound/ }).first();
    await page.locator(`#panel [data-claim="${CLAIM}"]`).click();
    await entry(page, 'volume.look').locator('.menu-do').click();
    await entry(page, 'volume.look').locator('.rows-table td', { hasText: 'みかん' }).first().waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => [...document.querySelectorAll('#panel .item-volume')].some((it) => /みかん/.test(it.textContent ?? '')));
    assert.notEqual(await volume.locator('[data-part="age"]').first().textContent(), '');
    await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
    await entry(page, 'pod.delete').locator('.menu-do').click();
    await ready(page, old);
    await storyHas(page, 'pod.ready.same');
    await page.locator('#panel .item-volume .badge', { hasText: /2行/ }).waitFor();
    await shot('hands-rows');
    await page.locator(`#panel [data-claim="${CLAIM}"]`).click();
    const pair = entry(page, 'volume.look').locator('.rows-pair');
    await pair.waitFor();
    const [before, now] = await pair.locator('.rows').evaluateAll((all) => all.map((it) => [...it.querySelectorAll('td')].map((cell) => cell.textContent).join()));
    assert.equal(before, '1,apple,2,みかん');
    assert.equal(now, before);
    assert.match(await entry(page, 'volume.look').locator('.rows-same').innerText(), /2行/);
    await shot('hands-rows-menu');
  }));

test('a terminal fills a phone, and the way out is there', () =>
  onPage(async ({ page, shot }) => {
    await ready(page);
    await page.locator(`#panel .item-body[data-pod="${POD}"]`).tap();
    await entry(page, 'pod.psql').locator('.menu-do').tap();
    await page.waitForSelector('#panel .dock[data-phase="open"] .xterm-rows');
    await screenHas(page, /^app_db=# *$/m);
    const box = await dock(page).boundingBox();
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, PHONE.width, PHONE.height]);
    await shot('hands-terminal-phone');
    await dock(page).locator('.dock-close').tap();
    assert.equal(await dock(page).count(), 0);
  }, { viewport: PHONE, hasTouch: true }));

test('a StatefulSet is scaled up and down again; the claim stays', () =>
  onPage(async ({ page, shot }) => {
    await ready(page);
    const set = page.locator('#panel [data-controller="StatefulSet/postgres-statefulset"]');
    await set.click();
    assert.equal(await entry(page, 'workload.scale').locator('.menu-do').isDisabled(), true);
    await entry(page, 'workload.scale').getByRole('button', { name: '1つ増やす' }).click();
    assert.equal(await line(page, 'workload.scale'), 'kubectl scale statefulset postgres-statefulset --replicas=2');
    await shot('hands-scale');
    await entry(page, 'workload.scale').locator('.menu-do').click();
    await page.waitForSelector('#panel .item-body.on-ok[data-pod="postgres-statefulset-1"]');
    await set.click();
    await entry(page, 'workload.scale').getByRole('button', { name: '1つ減らす' }).click();
    await entry(page, 'workload.scale').locator('.menu-do').click();
    await page.waitForSelector('#panel .item-body[data-pod="postgres-statefulset-1"]', { state: 'detached' });
    await page.waitForSelector('#panel [data-claim="postgres-data-postgres-statefulset-1"]');
  }));

test('in the past nothing is done, and the menu says why', () =>
  onPage(async ({ page }) => {
    await ready(page);
    await page.evaluate(() => { document.getElementById('panel').dataset.past = 'true'; });
    await page.locator(`#panel .item-body[data-pod="${POD}"]`).click();
    assert.equal(await menu(page).locator('.menu-why').getAttribute('data-why'), 'past');
    assert.equal(await menu(page).locator('.menu-do:not([disabled])').count(), 0);
    await page.evaluate(() => { delete document.getElementById('panel').dataset.past; });
    await entry(page, 'pod.delete').locator('.menu-do:not([disabled])').waitFor();
  }));

for (const [name, options] of Object.entries({ phone: { viewport: PHONE, hasTouch: true }, dark: { colorScheme: 'dark' }, projector: { viewport: PROJECTOR } })) {
  test(`a menu fits its window: ${name}`, () =>
    onPage(async ({ page, shot }) => {
      await ready(page);
      if (name === 'projector') await page.keyboard.press('p').then(() => page.evaluate(() => document.documentElement.setAttribute('data-projector', '')));
      const body = page.locator(`#panel .item-body[data-pod="${POD}"]`);
      if (name === 'phone') await body.tap();
      else await body.click();
      await menu(page).waitFor();
      const { box, wide } = await menu(page).evaluate((it) => ({ box: it.getBoundingClientRect().toJSON(), wide: it.scrollWidth - it.clientWidth }));
      const room = await page.evaluate(() => ({ width: innerWidth, height: innerHeight }));
      assert.ok(box.left >= 0 && box.top >= 0 && box.right <= room.width && box.bottom <= room.height + 1, JSON.stringify({ box, room }));
      assert.ok(wide <= 0, `${wide} px hang over`);
      await shot(`hands-menu-${name}`);
    }, options));
}

test('without leave to act the lines are there to copy, with the reason and what would be hit', async () => {
  const api = await Kubernetes.start();
  const other = await startEizoku(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()]);
  const watched = await openPage(browser, { viewport: WIDE, permissions: ['clipboard-read', 'clipboard-write'] });
  try {
    for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
    const { page, shot } = watched;
    await page.goto(`${other.url}/ja/`);
    await page.locator('#panel .item-body').first().click();
    const why = menu(page).locator('.menu-why');
    assert.equal(await why.getAttribute('data-why'), 'flag');
    assert.match(await why.innerText(), /kind-test/);
    assert.match(await why.innerText(), /--allow-actions/);
    assert.equal(await menu(page).locator('.menu-do:not([disabled])').count(), 0);
    await entry(page, 'pod.delete').locator('.copy').click();
    await page.waitForFunction(async (text) => (await navigator.clipboard.readText()) === text, `kubectl delete pod ${POD}`);
    await shot('hands-off');
    assert.equal(await page.locator('#panel .tool-lesson').isVisible(), false);
    assert.equal(await page.locator('#panel .panel-context').isVisible(), false);
    const refused = await page.evaluate(async () => (await fetch('/act', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"do":"reset"}' })).json());
    assert.equal(refused.ok, false);
  } finally {
    await watched.close();
    await other.end();
    await api.end();
  }
});

test('with leave to act on a cluster of the reader, the page always says which one', async () => {
  const api = await Kubernetes.start();
  const other = await startEizoku(['--cluster', 'kube', '--kubeconfig', api.kubeconfig(), '--allow-actions']);
  const watched = await openPage(browser, { viewport: WIDE });
  try {
    for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
    const { page, shot } = watched;
    await page.goto(`${other.url}/ja/`);
    await page.locator('#panel .item-body').first().waitFor();
    const where = page.locator('#panel .panel-context');
    assert.match(await where.innerText(), /kind-test.*default/s);
    await shot('hands-context');
    assert.deepEqual(watched.errors, []);
  } finally {
    await watched.close();
    await other.end();
    await api.end();
  }
});

test('a recording has nothing to act on, and says so', async () => {
  const other = await startEizoku(['--cluster', 'recording']);
  const watched = await openPage(browser, { viewport: WIDE });
  try {
    await watched.page.goto(`${other.url}/ja/`);
    await watched.page.locator('#panel .item-claim').first().waitFor();
    await watched.page.locator('#panel .item-claim').first().click();
    assert.equal(await menu(watched.page).locator('.menu-why').getAttribute('data-why'), 'recording');
  } finally {
    await watched.close();
    await other.end();
  }
});
