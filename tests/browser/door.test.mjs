// Who has the key acts; any other reader sees the lines, and why the buttons do nothing. And what a name may not do to a page.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, openPage, panelIs } from './support/browser.mjs';
import { recordedObjects, startEizoku } from './support/eizoku.mjs';
import { Kubernetes } from './support/kubernetes.mjs';

const WIDE = { width: 1440, height: 900 };

let browser;
let data;
let eizoku;
before(async () => {
  browser = await launch();
  data = mkdtempSync(join(tmpdir(), 'eizoku-door-'));
  eizoku = await startEizoku(['--cluster', 'embedded', '--data', data]);
});
after(async () => {
  await browser?.close();
  await eizoku?.end('SIGTERM');
  if (data) rmSync(data, { recursive: true, force: true });
});

/** @param {(watched: import('./support/browser.mjs').Watched) => Promise<void>} body @param {Parameters<typeof openPage>[1]} [options] */
async function onPage(body, options = {}) {
  const watched = await openPage(browser, { viewport: WIDE, owner: false, ...options });
  try {
    await body(watched);
    assert.deepEqual(await watched.page.evaluate(() => window.__watch.violations), []);
  } finally {
    await watched.close();
  }
}

const roleIs = (page, role) => page.waitForSelector(`#panel[data-role="${role}"]`);
const where = (page) => page.locator('#panel .panel-context');
const menu = (page) => page.locator('#panel .menu');

for (const [language, key, again] of [['ja', /見るだけです.*ターミナル.*key=/s, /起動し直され.*key=/s], ['en', /can only watch.*terminal.*key=/s, /started again.*key=/s]]) {
  test(`a reader without the key sees the lines, and why the buttons do nothing (${language})`, () =>
    onPage(async ({ page, shot }) => {
      await page.goto(`${eizoku.url}/${language}/`);
      await roleIs(page, 'reader');
      await panelIs(page, 'empty', 'live');
      await where(page).waitFor();
      assert.match(await where(page).innerText(), key);
      await page.locator('#panel .tool-lesson').click();
      assert.match(await menu(page).locator('.menu-why').innerText(), key);
      assert.equal(await menu(page).locator('.command').first().innerText(), '$ kubectl apply -f stateful-app/');
      assert.equal(await menu(page).locator('.menu-do:not([disabled])').count(), 0);
      await shot(`door-reader-${language}`);
      await page.keyboard.press('Escape');
      // The steps in the text say it, too.
      await page.waitForFunction(() => [...document.querySelectorAll('.step-do')].every((button) => button.getAttribute('aria-disabled') === 'true'));
      assert.match(await page.locator('.step:has(.step-do) .step-why').first().evaluate((it) => it.textContent), key);
      // The run is not this page's to take away.
      await page.locator('#panel .tool-save').click();
      assert.match(await page.locator('#panel .panel-lost').innerText(), key);
      // Whoever asks anyway is refused, and hears the same.
      const refused = await page.evaluate(async () => {
        const answer = await fetch('/act', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"do":"reset"}' });
        return { status: answer.status, ...(await answer.json()) };
      });
      assert.deepEqual([refused.status, refused.reason], [403, 'NoKey']);
    }));

  test(`the address that was printed opens the door, and is left clean (${language})`, () =>
    onPage(async ({ page, errors }) => {
      const keyed = new URL(eizoku.address);
      keyed.pathname = `/${language}/`;
      for (let time = 0; time < 2; time += 1) {
        await page.goto(keyed.href);
        assert.equal(page.url(), `${eizoku.url}/${language}/`);
        await roleIs(page, 'owner');
      }
      assert.equal(await page.evaluate(() => document.cookie), '');
      assert.equal(await where(page).isVisible(), false);
      await page.locator('#panel .tool-lesson').click();
      await menu(page).locator('[data-offer="apply static-volumes"] .menu-do').click();
      await page.locator('#panel .item-volume').first().waitFor();
      const taken = page.waitForEvent('download');
      await page.locator('#panel .tool-save').click();
      assert.match((await taken).suggestedFilename(), /^eizoku-.*\.jsonl$/);
      assert.deepEqual(errors, []);
    }));

  test(`a page that was open while the program started again says that it has a new key (${language})`, () =>
    onPage(async ({ page }) => {
      const api = await Kubernetes.start();
      const args = ['--cluster', 'kube', '--kubeconfig', api.kubeconfig(), '--allow-actions'];
      let other = await startEizoku(args);
      try {
        for (const { kind, object } of recordedObjects('kubectl delete pod')) api.put(kind, object);
        await page.goto(other.address.replace('/?', `/${language}/?`));
        await roleIs(page, 'owner');
        await page.locator('#panel .item-body').first().waitFor();
        // What was in the middle of being done hears it, too.
        await other.end();
        other = await startEizoku(args, { port: other.port });
        await roleIs(page, 'renewed');
        await page.waitForFunction(() => !document.querySelector('#panel .panel-context')?.hasAttribute('hidden'));
        assert.match(await where(page).innerText(), again);
        await page.locator('#panel .item-body').first().click();
        assert.match(await menu(page).locator('.menu-why').innerText(), again);
        await page.goto(other.address.replace('/?', `/${language}/?`));
        await roleIs(page, 'owner');
      } finally {
        await other.end();
        await api.end();
      }
    }));
}

test('no row, name or message hides a part of itself or turns the words around it', () =>
  onPage(async ({ page, shot }) => {
    const api = await Kubernetes.start();
    const other = await startEizoku(['--cluster', 'kube', '--kubeconfig', api.kubeconfig()]);
    try {
      const objects = recordedObjects('kubectl delete pod');
      for (const { kind, object } of objects) api.put(kind, object);
      await page.goto(`${other.url}/ja/`);
      await page.locator('#panel .item-body').first().waitFor();
      const pod = objects.find(({ kind }) => kind === 'Pod').object;
      const now = new Date().toISOString();
      api.put('Event', {
        apiVersion: 'v1', kind: 'Event', metadata: { name: 'odd', namespace: 'default', uid: 'e-1', creationTimestamp: now },
        involvedObject: { kind: 'Pod', name: pod.metadata.name, namespace: 'default', uid: pod.metadata.uid },
        type: 'Warning', reason: 'FailedMount', message: 'safe\u202egnp.exe zero\u200bwidth', source: { component: 'kubelet' }, firstTimestamp: now, lastTimestamp: now, count: 1,
      });
      const line = page.locator('#panel .story', { hasText: 'gnp.exe' });
      await line.waitFor();
      const text = await line.innerText();
      assert.match(text, /safe⟨U\+202E⟩gnp\.exe zero⟨U\+200B⟩width/);
      assert.doesNotMatch(text, /[\u202a-\u202e\u200b]/);
      await shot('door-shown');
    } finally {
      await other.end();
      await api.end();
    }
  }));
