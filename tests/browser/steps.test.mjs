// The lesson in the text, on the embedded cluster or a real one: a newcomer does section 4 with only the page; with kubectl beside
// it, the page keeps up; what was predicted is held against what happened; by keyboard, aloud, small and dark.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LAPTOP, PHONE, launch, openPage, panelIs } from './support/browser.mjs';
import { REAL, clear, cluster, root, startEizoku } from './support/eizoku.mjs';

const run = promisify(execFile);
const axe = readFileSync(fileURLToPath(new URL('./node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8');

let browser;
let eizoku;
let data;
before(async () => {
  browser = await launch();
  data = mkdtempSync(join(tmpdir(), 'eizoku-steps-'));
  eizoku = await startEizoku(cluster(data));
});
after(async () => {
  if (eizoku) await clear(eizoku);
  await eizoku?.end();
  await browser?.close();
  if (data) rmSync(data, { recursive: true, force: true });
});

/** @param {(watched: import('./support/browser.mjs').Watched) => Promise<void>} body @param {import('playwright-core').BrowserContextOptions & {language?: string}} [options] */
async function onPage(body, { language = 'ja', ...options } = {}) {
  const watched = await openPage(browser, { viewport: LAPTOP, ...options });
  try {
    await watched.page.goto(`${eizoku.url}/${language}/`);
    await panelIs(watched.page, 'live', 'empty');
    await watched.page.waitForSelector('[data-step]:not([hidden])');
    await body(watched);
    assert.deepEqual(watched.errors, []);
    assert.deepEqual(await watched.page.evaluate(() => window.__watch.violations), []);
  } finally {
    await watched.close();
  }
}

/** Waits until a step is in a state. */
const stepIs = (page, id, state) => page.waitForSelector(`[data-step="${id}"][data-state="${state}"]`);

/** Presses the button of an act, as soon as what it needs is there, and waits for the answer. */
async function press(page, id, nth) {
  // What is predicted, and what comes after it, stands in a box of its own below the prediction.
  const entry = page.locator(`:is([data-step="${id}"], [data-rest="${id}"]) [data-act]`).nth(nth);
  const fold = entry.locator('xpath=ancestor::details');
  if (!(await fold.evaluate((it) => it.open))) await fold.locator('summary').click();
  await entry.locator('.step-do[aria-disabled="false"]').click();
  await entry.locator('.step-said, .step-refused').waitFor();
  assert.equal(await entry.locator('.step-refused').count(), 0, `${id} ${nth}: ${await entry.innerText()}`);
  return entry.locator('.step-said').innerText();
}

const guess = (page, id, name, option) => page.locator(`#${id} input[name="${id}.${name}"][value="${option}"]`).check();
const verdicts = (page, id) => page.locator(`#${id} [data-guess]`).evaluateAll((all) => Object.fromEntries(all.map((it) => [it.dataset.guess, it.dataset.verdict ?? ''])));


test('a newcomer does the heart of section 4 with only the page, predicts, and is told what came of it', () =>
  onPage(async ({ page, shot }) => {
    await stepIs(page, 'step-apply', 'open');
    assert.match(await page.locator('[data-step="step-apply"] .command').first().innerText(), /kubectl .*apply -f stateful-app\//);
    await press(page, 'step-apply', 0);
    await stepIs(page, 'step-apply', 'done');
    await stepIs(page, 'step-look', 'done');
    await shot('steps-look-done');

    await press(page, 'step-kill', 0);
    for (const [name, option] of [['name', 'same'], ['uid', 'changes'], ['ip', 'same'], ['claim', 'same'], ['volume', 'same'], ['rows', 'same']]) await guess(page, 'guess-kill', name, option);
    const kill = page.locator('[data-rest="step-kill"] [data-act="delete"]');
    await kill.locator('.step-do[aria-disabled="false"]').click();
    await kill.locator('.step-said').waitFor();
    await page.waitForSelector('#guess-kill[data-phase="settled"]');
    await stepIs(page, 'step-kill', 'done');
    await page.waitForFunction(() => document.querySelector('#guess-kill [data-guess="rows"]')?.getAttribute('data-verdict') === 'right');
    assert.deepEqual(await verdicts(page, 'guess-kill'), { name: 'right', uid: 'right', ip: 'wrong', claim: 'right', volume: 'right', rows: 'right' });
    await page.locator('#guess-kill').scrollIntoViewIfNeeded();
    await shot('steps-predicted');

    // It is kept over a reload, and the count with it; the story is there again.
    const told = () => page.locator('#panel .story > [data-story]').evaluateAll((all) => all.map((it) => `${it.dataset.story} ${it.querySelector('time')?.textContent}`));
    await page.waitForSelector('#panel[data-behind="0"]');
    const before = await told();
    await page.reload();
    await stepIs(page, 'step-kill', 'done');
    await page.waitForSelector('#panel .story > .is-now');
    assert.deepEqual(await told(), before);
    assert.equal((await verdicts(page, 'guess-kill')).ip, 'wrong');
    assert.match(await page.locator('.progress-count').innerText(), /3\/\d+/);
  }));

test('the prediction stands before the act that it is about', () =>
  onPage(async ({ page, shot }) => {
    for (const [step, guess] of [['step-kill', 'guess-kill'], ['step-scale', 'guess-scale'], ['step-claim', 'guess-claim'], ['step-lanes', 'guess-lanes']]) {
      assert.equal(await page.locator(`#${guess} + [data-rest="${step}"]`).count(), 1, step);
    }
    const acts = (/** @type {string} */ within) => page.locator(`${within} [data-act]`).evaluateAll((all) => all.map((it) => it.dataset.act));
    assert.deepEqual(await acts('[data-step="step-kill"]'), ['query', 'look']);
    assert.deepEqual(await acts('[data-rest="step-kill"]'), ['delete']);
    assert.deepEqual(await acts('[data-step="step-scale"]'), ['scale']);
    assert.deepEqual(await acts('[data-step="step-claim"]'), []);
    assert.equal((await acts('[data-rest="step-lanes"]'))[0], 'delete');
    await page.locator('#guess-claim').scrollIntoViewIfNeeded();
    await shot('steps-predict-first');
  }));

test('what a program refused is told with its line, and a command does not become the caption', () =>
  onPage(async ({ page, shot }) => {
    await page.waitForSelector('#panel .story > .is-now');
    await page.waitForFunction(() => document.getElementById('panel')?.dataset.behind === '0');
    const caption = await page.locator('#panel .story > .is-now').getAttribute('data-story');
    const words = 'ERROR:  relation "t" does not exist';
    await page.route('**/act', (route) => route.fulfill({ json: { ok: false, reason: 'Failed', message: words } }));
    const entry = page.locator('[data-step="step-kill"] [data-act="query"]');
    const fold = entry.locator('xpath=ancestor::details');
    if (!(await fold.evaluate((it) => it.open))) await fold.locator('summary').click();
    await entry.locator('.step-do[aria-disabled="false"]').click();
    await entry.locator('.step-refused').waitFor();
    const last = page.locator('#panel .story > :last-child');
    await last.locator('.answer-said').waitFor();
    assert.match(await last.locator('code').innerText(), /kubectl .*exec .*psql/);
    assert.equal(await last.locator('.answer-said').innerText(), words);
    assert.match(await page.locator('#panel .panel-terminal').innerText(), /psql/);
    assert.equal(await page.locator('#panel .story > .is-now').getAttribute('data-story'), caption);
    assert.notEqual(caption, 'said');
    await shot('steps-refused-told');
  }));

test('with kubectl beside it the page ticks as well', async () => {
  const kubectl = await findKubectl();
  if (!kubectl) return test.skip('kubectl is not there');
  await onPage(async ({ page }) => {
    await stepIs(page, 'step-force', 'open');
    await kubectl('delete', 'pod', 'postgres-statefulset-0', '--force', '--grace-period=0');
    await stepIs(page, 'step-force', 'done');
    await kubectl('scale', 'statefulset', 'postgres-statefulset', '--replicas=3');
    await kubectl('rollout', 'status', 'statefulset/postgres-statefulset');
    await guess(page, 'guess-scale', 'first', 'lowest');
    await guess(page, 'guess-scale', 'claims', 'same');
    await kubectl('scale', 'statefulset', 'postgres-statefulset', '--replicas=1');
    await page.waitForSelector('#guess-scale[data-phase="settled"]');
    assert.deepEqual(await verdicts(page, 'guess-scale'), { first: 'wrong', claims: 'right', volumes: 'open' });
  });
});

test('acting without a prediction is never held back; the page offers to predict next time', () =>
  onPage(async ({ page }) => {
    await press(page, 'step-force', 0);
    await page.waitForSelector('#guess-kill[data-phase="settled"]');
    assert.notEqual(await page.locator('#guess-kill .guess-status').innerText(), '');
    assert.deepEqual(new Set(Object.values(await verdicts(page, 'guess-kill'))), new Set(['']));
    await page.locator('#guess-kill .guess-again').click();
    await page.waitForSelector('#guess-kill[data-phase="ready"]');
    assert.ok(await page.locator('#guess-kill input').first().isEnabled());
  }));

test('the keyboard reaches the act, its line and the prediction, and a screen reader hears the tick', () =>
  onPage(async ({ page }) => {
    const box = page.locator('[data-step="step-force"]');
    await box.locator('summary').focus();
    if (!(await box.locator('details').evaluate((it) => it.open))) await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.className), 'copy');
    await page.keyboard.press('Tab');
    assert.match(await page.evaluate(() => document.activeElement?.getAttribute('aria-description') ?? ''), /kubectl .*--force/);
    await page.locator('#guess-kill input').first().focus();
    await page.keyboard.press('Space');
    assert.equal(await page.locator('#guess-kill input').first().isChecked(), true);
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.locator('#guess-kill input').nth(1).isChecked(), true);
    assert.equal(await page.locator('.progress-steps a[aria-label]').count(), await page.locator('.progress-steps a').count());
  }));

test('who starts over is asked once more, and then stands at the beginning', () =>
  onPage(async ({ page }) => {
    await stepIs(page, 'step-kill', 'done');
    await page.locator('#q3-text').fill('PVC');
    await page.locator('#q3 summary').click();
    assert.match(await page.locator('.bar .steps a[href="#check"] .count').innerText(), /1\/\d+/);
    await page.locator('.progress-over').click();
    await page.locator('.progress-again .is-sure').click();
    await stepIs(page, 'step-apply', 'open');
    assert.match(await page.locator('.progress-count').innerText(), /0\/\d+/);
    assert.equal(await page.locator('#q3-text').inputValue(), '');
    await page.reload();
    await stepIs(page, 'step-apply', 'open');
  }));

test('a choice counts when the right one is picked, in words when the answer was opened, and objectives with them', () =>
  onPage(async ({ page, requests }) => {
    const count = () => page.locator('.bar .steps a[href="#check"] .count').innerText();
    const from = requests.length;
    await page.locator('#c2 .option:has(.wrong) input').first().check();
    assert.match(await count(), /0\/\d+/);
    await page.locator('#c2 .option:has(.right) input').check();
    assert.match(await count(), /1\/\d+/);
    await page.locator('#q1 summary').click();
    assert.match(await count(), /1\/\d+/, 'an answer that was only read is none');
    await page.locator('#q1 summary').click();
    await page.locator('#q1-text').fill('...');
    await page.locator('#q1 summary').click();
    // A fold tells that it was opened a moment later.
    await page.waitForFunction(() => /^2\//.test(document.querySelector('.bar .steps a[href="#check"] .count')?.textContent ?? ''));
    assert.deepEqual(requests.slice(from).filter(({ type }) => type !== 'eventsource'), [], 'answers stay in the browser');
  }));

for (const [name, options] of [['light', {}], ['dark', { colorScheme: 'dark' }], ['phone', { viewport: PHONE, hasTouch: true }], ['english', { language: 'en' }]]) {
  test(`no accessibility violations: ${name}`, () =>
    onPage(async ({ page, shot }) => {
      for (const fold of await page.locator('.step details').all()) await fold.evaluate((it) => { it.open = true; });
      // The page's own policy forbids foreign scripts; the debugger's evaluation is no script of the page.
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      // The picture breaks and shortens names where a lane is narrow; its labels say them whole, and in another order.
      const drawn = (/** @type {any} */ it) => it.html.startsWith('<g ');
      const left = found.violations.filter(({ id, nodes }) => id !== 'label-content-name-mismatch' || !nodes.every(drawn));
      assert.deepEqual(left.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((it) => it.html.slice(0, 160)).join(' | ')}`), []);
      await page.locator('#step-kill').scrollIntoViewIfNeeded();
      await shot(`steps-${name}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `the page is ${wide} px too wide`);
    }, options));
}

test('the rest of section 4, to the last step, without leaving the page', () =>
  onPage(async ({ page, shot }) => {
    const scene = (/** @type {string} */ selector, /** @type {string} */ text) => page.waitForFunction(
      ([within, wanted]) => [...document.querySelectorAll(`#panel ${within}`)].some((it) => it.textContent?.includes(wanted)), [selector, text]);
    const whole = (/** @type {string} */ name, /** @type {string} */ ready) => scene(`[data-controller="${name}"]`, ready);
    const set = 'StatefulSet/postgres-statefulset';
    await whole(set, '1/1');
    if (await page.locator('[data-step="step-force"]:not([data-state="done"])').count()) await press(page, 'step-force', 0);
    await stepIs(page, 'step-force', 'done');
    await press(page, 'step-scale', 0);
    await whole(set, '3/3');
    await press(page, 'step-scale', 1);
    await whole(set, '1/1');
    await press(page, 'step-scale', 2);
    await whole(set, '2/2');
    await stepIs(page, 'step-scale', 'done');

    for (const [name, option] of [['status', 'Terminating'], ['phase', 'Bound'], ['pod', 'same'], ['volume', 'Released']]) await guess(page, 'guess-claim', name, option);
    await press(page, 'step-claim', 0);
    await stepIs(page, 'step-claim', 'done');
    await page.waitForSelector('#guess-claim[data-phase="settled"]');
    assert.deepEqual(await verdicts(page, 'guess-claim'), { status: 'right', phase: 'right', pod: 'right', volume: 'wrong' });
    await press(page, 'step-released', 0);
    await stepIs(page, 'step-released', 'done');

    await press(page, 'step-delete-statefulset', 0);
    await page.waitForSelector('#panel [data-controller][data-card]', { state: 'detached' });
    await press(page, 'step-delete-statefulset', 1);
    await stepIs(page, 'step-delete-statefulset', 'done');
    for (const nth of [0, 1, 2]) await press(page, 'step-end-of-life', nth);
    await stepIs(page, 'step-end-of-life', 'done');
    await press(page, 'step-rebind', 0);
    await press(page, 'step-rebind', 1);
    await stepIs(page, 'step-rebind', 'done');
    // The rows are the ones from before the claim was deleted.
    assert.match(await press(page, 'step-rebind', 2), /2/);
    await scene('[data-volume]', 'orange');

    await press(page, 'step-lanes', 0);
    for (const lane of ['Deployment/lane-emptydir', 'Deployment/lane-deployment', 'StatefulSet/lane-statefulset']) await whole(lane, '1/1');
    for (const nth of [1, 2, 3]) await press(page, 'step-lanes', nth);
    for (const [lane, option] of [['lane-emptydir', 'changes'], ['lane-deployment', 'changes'], ['lane-statefulset', 'same']]) await guess(page, 'guess-lanes', `rows/${lane}`, option);
    await press(page, 'step-lanes', 4);
    await stepIs(page, 'step-lanes', 'done');
    await page.waitForSelector('#guess-lanes[data-phase="settled"]');
    // What is left inside is known once somebody has looked through each new Pod.
    await page.waitForFunction(() => [...document.querySelectorAll('#lanes-table tbody tr:last-child td[data-is]')].every((it) => it.getAttribute('data-is') !== ''));
    const table = await page.locator('#lanes-table tbody tr').evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('td[data-is]')].map((it) => it.getAttribute('data-is'))));
    assert.deepEqual(table, [
      ['changes', 'changes', 'same'],
      ['changes', 'changes', 'changes'],
      ['changes', 'changes', 'changes'],
      ['', 'same', 'same'],
      ['changes', 'same', 'same'],
    ]);
    assert.match(await page.locator('#lanes-table .is-together').innerText(), /lane-deployment-.*lane-deployment-.*lane-claim/s);
    const said = await verdicts(page, 'guess-lanes');
    assert.deepEqual([said['rows/lane-emptydir'], said['rows/lane-deployment'], said['rows/lane-statefulset']], ['right', 'wrong', 'right']);
    await page.locator('#lanes-table').scrollIntoViewIfNeeded();
    await shot('steps-lanes');

    for (const nth of [0, 1, 2]) await press(page, 'step-static', nth);
    await stepIs(page, 'step-static', 'done');
    for (const nth of [0, 1, 2]) await press(page, 'step-binding', nth);
    // The one is bound, the other waits and is said to be well.
    await page.waitForFunction(() => document.querySelector('[data-step="step-binding"] .step-hint')?.textContent?.includes('claim-when-used'));
    assert.notEqual(await page.locator('[data-step="step-binding"]').getAttribute('data-state'), 'done');
    await press(page, 'step-binding', 3);
    await stepIs(page, 'step-binding', 'done');
    await press(page, 'step-cleanup', 0);
    await stepIs(page, 'step-cleanup', 'done');
    // What was done stays done, although it is gone by now.
    for (const id of ['step-lanes', 'step-static', 'step-binding']) await stepIs(page, id, 'done');
    await shot('steps-all-done');

    // A second class on the same server: whoever opens the page finds nothing done.
    const other = await page.context().browser().newPage();
    await other.goto(page.url());
    await stepIs(other, 'step-apply', 'open');
    assert.match(await other.locator('.progress-count').innerText(), /^\D*0\//);
    // The teacher starts over; both tick for what is done from now on.
    await page.locator('.progress-over').click();
    await page.locator('.progress-again .is-sure').click();
    await press(page, 'step-apply', 0);
    for (const one of [page, other]) {
      await stepIs(one, 'step-apply', 'done');
      await stepIs(one, 'step-look', 'done');
      assert.notEqual(await one.locator('[data-step="step-cleanup"]').getAttribute('data-state'), 'done');
    }
    await other.close();
    await press(page, 'step-cleanup', 0);
  }, { viewport: { width: 1920, height: 1080 } }));

/** kubectl on the embedded cluster, if this machine has one. */
async function findKubectl() {
  const kubectl = process.env.KUBECTL ?? 'kubectl';
  try {
    await run(kubectl, ['version', '--client']);
  } catch {
    return null;
  }
  if (REAL) return async (...args) => (await run(kubectl, ['--kubeconfig', REAL, ...args])).stdout;
  const binary = process.env.EIZOKU_BIN ?? join(root, 'target/debug/eizoku');
  const { stdout } = await run(binary, ['kubeconfig', '--data', data]);
  const file = stdout.trim().replace(/^export KUBECONFIG=/, '');
  return async (...args) => (await run(kubectl, ['--kubeconfig', file, ...args])).stdout;
}
