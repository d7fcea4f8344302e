// The page and the program lose sight of each other, and the reader stops the time.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage, openStreams, panelIs, storyHas, turnTab } from './support/browser.mjs';
import { recordedObjects, startEizoku, timeline, toldOf } from './support/eizoku.mjs';
import { Kubernetes } from './support/kubernetes.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A cluster with one StatefulSet at rest, a page beside it. @param {(all: any) => Promise<void>} body */
async function besideCluster(body, options = {}) {
  const api = await Kubernetes.start();
  for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
  const args = ['--cluster', 'kube', '--kubeconfig', api.kubeconfig()];
  const all = { api, args, eizoku: await startEizoku(args), ...(await openPage(browser, options)) };
  try {
    await all.page.goto(`${all.eizoku.url}/ja/`);
    await panelIs(all.page, 'live');
    await all.page.waitForSelector('#panel [data-uid]');
    await body(all);
  } finally {
    await all.close();
    await all.eizoku.end();
    await api.end();
  }
}

const podNamed = (name, uid) => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', uid, creationTimestamp: '2026-11-23T00:00:00Z' },
  spec: { containers: [{ name: 'a', image: 'busybox' }] }, status: { phase: 'Pending' },
});

test('what is there when the page opens stands still, and nothing is told of it', () =>
  besideCluster(async ({ page, errors, shot }) => {
    assert.equal(await page.locator('#panel [data-cable][data-grip="plugged"]').count(), 1);
    assert.equal(await page.evaluate(() => window.__watch.frames), 0);
    assert.equal(await page.evaluate(() => document.getAnimations().filter((it) => it.playState === 'running').length), 0);
    assert.equal(await page.locator('#panel .story > li').count(), 0);
    assert.equal((await page.locator('#panel [aria-live]').allTextContents()).join(''), '');
    assert.deepEqual(errors, []);
    await shot('at-rest');
  }));

test('a tab in the background holds no connection, and catches up when it comes back', () =>
  besideCluster(async ({ api, eizoku, page }) => {
    assert.equal(await openStreams(page), 1);
    const [body] = await page.locator('#panel [data-uid]').evaluateAll((all) => all.map((it) => it.dataset.uid));
    await turnTab(page, 'hidden');
    assert.equal(await openStreams(page), 0);
    const known = (await timeline(eizoku)).marks.length;
    api.remove('Pod', 'postgres-statefulset-0');
    api.put('Pod', podNamed('meanwhile', 'uid-meanwhile'));
    // Both are known before the tab returns: what comes later would be played, rightly.
    await toldOf(eizoku, known + 2);
    const frames = await page.evaluate(() => window.__watch.frames);
    await turnTab(page, 'visible');
    await page.waitForSelector('#panel [data-uid="uid-meanwhile"]');
    assert.equal(await openStreams(page), 1);
    assert.equal(await page.locator(`#panel [data-uid="${body}"]`).count(), 0);
    // What happened out of sight is shown as it stands, not played.
    assert.equal(await page.evaluate(() => window.__watch.frames), frames);
    await panelIs(page, 'live');
  }));

test('the program ends and starts again: the page says so and comes back by itself', () =>
  besideCluster(async (all) => {
    const { api, page, args, shot } = all;
    const epoch = await page.locator('#panel').getAttribute('data-epoch');
    await all.eizoku.end();
    await panelIs(page, 'gone');
    await shot('state-gone');
    api.remove('Pod', 'postgres-statefulset-0');
    all.eizoku = await startEizoku(args, { port: all.eizoku.port });
    await panelIs(page, 'live');
    assert.notEqual(await page.locator('#panel').getAttribute('data-epoch'), epoch);
    await page.waitForFunction(() => document.querySelectorAll('#panel [data-uid]').length === 0);
    // The connection works: what happens now arrives.
    api.put('Pod', podNamed('afterwards', 'uid-afterwards'));
    await page.waitForSelector('#panel [data-uid="uid-afterwards"]');
    assert.equal(await openStreams(page), 1);
  }));

test('a pause keeps what happens for later, and a jump shows it at once', () =>
  besideCluster(async ({ api, page, shot }) => {
    const pause = page.locator('#panel .tool-pause');
    await pause.click();
    await page.waitForSelector('#panel[data-paused="true"]');
    for (const n of [0, 1, 2, 3]) api.put('Pod', podNamed(`later-${n}`, `uid-${n}`));
    await page.waitForSelector('#panel[data-behind="4"]');
    assert.equal(await page.locator('#panel [data-uid^="uid-"]').count(), 0);
    assert.equal(await page.locator('#panel .story > li').count(), 0);
    await shot('paused');
    await page.locator('#panel .tool-jump').click();
    await page.waitForSelector('#panel[data-behind="0"]');
    assert.equal(await page.locator('#panel [data-uid^="uid-"]').count(), 4);
    assert.equal(await page.locator('#panel [data-story="pod.created.bare"]').count(), 4);
  }));

test('after a pause without a jump the events are played one by one, in order', () =>
  besideCluster(async ({ api, page, scenes }) => {
    const pause = page.locator('#panel .tool-pause');
    await pause.click();
    for (const n of [0, 1, 2]) api.put('Pod', podNamed(`later-${n}`, `uid-${n}`));
    await page.waitForSelector('#panel[data-behind="3"]');
    await pause.click();
    await page.waitForSelector('#panel[data-behind="0"]');
    const counts = (await scenes()).map((scene) => Object.keys(scene.bodies).filter((uid) => uid.startsWith('uid-')).length);
    assert.deepEqual(counts.filter((count, n) => count !== counts[n - 1]), [0, 1, 2, 3]);
  }));

test('a connection to the cluster that was cut: what vanished meanwhile is removed, and told', () =>
  besideCluster(async ({ api, page, shot }) => {
    api.silence(true);
    await panelIs(page, 'interrupted');
    await shot('state-interrupted');
    assert.equal(await page.locator('#panel [data-uid]').count(), 1);
    api.remove('Pod', 'postgres-statefulset-0', { quietly: true });
    api.silence(false);
    await storyHas(page, 'gap.gone');
    await panelIs(page, 'live');
    await page.waitForFunction(() => document.querySelectorAll('#panel [data-uid]').length === 0);
    await shot('state-back');
  }));
