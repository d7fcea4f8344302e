// Each state of the connection has its picture and says what to do.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PHONE, PROJECTOR, launch, openPage, panelIs } from './support/browser.mjs';
import { recordedObjects, startEizoku } from './support/eizoku.mjs';
import { Kubernetes } from './support/kubernetes.mjs';

let browser;
let folder;
before(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), 'eizoku-states-'));
});
after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Runs `body` on a page beside a binary started with `args`. */
async function beside(args, body, options = {}) {
  const eizoku = await startEizoku(args);
  const watched = await openPage(browser, options);
  try {
    await watched.page.goto(`${eizoku.url}/ja/`);
    await body(watched);
    assert.deepEqual(watched.errors, []);
  } finally {
    await watched.close();
    await eizoku.end();
  }
}

/** Runs `body` with a cluster of our own. @param {(api: Kubernetes) => Promise<void>} body */
async function withCluster(body) {
  const api = await Kubernetes.start();
  try {
    await body(api);
  } finally {
    await api.end();
  }
}

const notice = (page) => page.locator('#panel .notice');
const commands = (page) => page.locator('#panel .notice .command code').allInnerTexts();

for (const [name, viewport] of Object.entries({ projector: PROJECTOR, phone: PHONE })) {
  test(`an empty namespace says which command fills it, on a ${name}`, () =>
    withCluster((api) =>
      beside(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()], async ({ page, shot }) => {
        await panelIs(page, 'empty');
        assert.ok((await commands(page)).some((text) => text.includes('kubectl apply -f')));
        // Where the page may not act, it leads to the step's command.
        assert.equal(await notice(page).locator('[data-act]').count(), 0);
        assert.equal(await notice(page).locator('a.notice-step').getAttribute('href'), '#step-apply');
        const link = await notice(page).locator('a[download]').getAttribute('href');
        const archive = await page.request.get(new URL(link, page.url()).href);
        assert.equal(archive.status(), 200);
        await shot(`state-empty-${name}`);
        // And it is filled.
        for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
        await panelIs(page, 'live');
        await page.waitForSelector('#panel [data-uid]');
        assert.equal(await notice(page).count(), 0);
      }, { viewport })));
}

test('a context that is not there: the ones that are, and how to choose one', () =>
  withCluster((api) =>
    beside(['--cluster', 'kube', '--kubeconfig', api.kubeconfig(), '--context', 'kind-none'], async ({ page, shot }) => {
      await panelIs(page, 'misconfigured');
      const text = await notice(page).innerText();
      assert.ok(text.includes('kind-none'), text);
      const offered = (await commands(page)).join('\n');
      for (const context of ['kind-test', 'kind-other']) assert.ok(offered.includes(context), offered);
      await shot('state-context-not-found');
    })));

test('a kubeconfig that cannot be read is named, and what it holds is not shown', async () => {
  const file = join(folder, 'broken');
  writeFileSync(file, 'users:\n- user: {client-key-data: c2VjcmV0LWtleQ==\n');
  await beside(['--cluster', 'kube', '--kubeconfig', file], async ({ page, shot }) => {
    await panelIs(page, 'misconfigured');
    const text = await page.locator('#panel').innerText();
    assert.ok(text.includes(file), text);
    assert.ok(!text.includes('c2VjcmV0'), text);
    await shot('state-kubeconfig-unreadable');
  });
});

test('no kubeconfig at all: auto runs the embedded cluster, says why, and how kubectl reaches it', () => {
  const data = mkdtempSync(join(tmpdir(), 'eizoku-'));
  return beside(['--data', data], async ({ page, shot }) => {
    await panelIs(page, 'empty');
    assert.equal(await page.locator('#panel').getAttribute('data-source'), 'embedded');
    // The page acts by itself; what a terminal needs is folded away.
    await notice(page).locator('.notice-typed summary').click();
    assert.ok((await commands(page)).some((text) => text.endsWith(`export KUBECONFIG=${join(data, 'kubeconfig')}`)));
    await page.locator('#panel .chip-fallback').click();
    assert.notEqual((await page.locator('#panel .panel-drawer').innerText()).trim(), '');
    await shot('state-embedded');
  });
});

test('a cluster that does not answer yet: connecting, then live', () =>
  withCluster(async (api) => {
    for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
    api.silence(true);
    await beside(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()], async ({ page, shot }) => {
      await panelIs(page, 'connecting');
      await notice(page).waitFor();
      await shot('state-connecting');
      api.silence(false);
      await panelIs(page, 'live');
      await page.waitForSelector('#panel [data-uid]');
    });
  }));

test('a kind that RBAC forbids is said not to be visible, and the rest goes on', () =>
  withCluster(async (api) => {
    for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
    api.forbid('PersistentVolume', 'Node');
    await beside(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()], async ({ page, shot }) => {
      await panelIs(page, 'live');
      await page.waitForSelector('#panel [data-uid]');
      await page.locator('#panel [data-forbidden="Node"]').waitFor();
      await page.locator('#panel [data-forbidden="PersistentVolume"]').click();
      const drawer = page.locator('#panel .panel-drawer');
      assert.match(await drawer.innerText(), /PersistentVolume/);
      assert.match(await drawer.locator('.command').innerText(), /persistentvolumes/);
      await page.waitForSelector('#panel [data-claim]');
      await shot('state-forbidden');
    });
  }));

test('names from the cluster are text, whatever they hold', () =>
  withCluster((api) =>
    beside(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()], async ({ page }) => {
      await panelIs(page, 'empty');
      const evil = '<img src=x onerror=alert(1)>';
      api.put('Pod', { apiVersion: 'v1', kind: 'Pod', metadata: { name: evil, namespace: 'default', uid: 'evil', creationTimestamp: '2026-11-23T00:00:00Z' }, spec: { containers: [{ name: 'a', image: evil }] }, status: { phase: 'Pending' } });
      await page.waitForSelector('#panel [data-uid="evil"]');
      await page.waitForSelector('#panel [data-story="pod.created.bare"]');
      assert.equal(await page.locator('#panel img').count(), 0);
      assert.ok((await page.locator('#panel [data-story="pod.created.bare"]').innerText()).includes(evil));
    })));
