// The page before anything happens: what it fetches, how it reads without scripts, on paper and on a phone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LAPTOP, PHONE, PROJECTOR, launch, openPage, panelIs } from './support/browser.mjs';
import { startEizoku } from './support/eizoku.mjs';

/**
 * Requests of a first visit besides the stream of events. Modules are many and small; the page names them all at once,
 * so that none waits for another.
 */
const REQUESTS_MAX = 45;

let browser;
let eizoku;
before(async () => {
  browser = await launch();
  eizoku = await startEizoku(['--cluster', 'recording']);
});
after(async () => {
  await eizoku?.end();
  await browser?.close();
});

/** @param {import('playwright-core').BrowserContextOptions} options @param {(watched: import('./support/browser.mjs').Watched) => Promise<void>} body */
async function onPage(options, body) {
  const watched = await openPage(browser, options);
  try {
    await watched.page.goto(`${eizoku.url}/ja/`);
    await body(watched);
  } finally {
    await watched.close();
  }
}

test('the first paint needs few requests, nothing from elsewhere, and no error', () =>
  onPage({}, async ({ page, errors, requests, shot }) => {
    await panelIs(page, 'live');
    await page.waitForSelector('#panel [data-seat]');
    assert.deepEqual(errors, []);
    assert.deepEqual(await page.evaluate(() => window.__watch.violations), []);
    const elsewhere = requests.filter(({ url }) => !url.startsWith(`${eizoku.url}/`) && !url.startsWith('data:'));
    assert.deepEqual(elsewhere, []);
    const fetched = requests.filter(({ type, url }) => type !== 'eventsource' && !url.startsWith('data:')).map(({ url }) => url);
    assert.ok(fetched.length <= REQUESTS_MAX, `${fetched.length} requests: ${fetched.join(' ')}`);
    const modules = fetched.filter((url) => url.endsWith('.js')).map((url) => new URL(url).pathname);
    const named = await page.evaluate(() => [...document.querySelectorAll('link[rel=modulepreload], script[src]')].map((it) => it.getAttribute('href') ?? it.getAttribute('src')));
    assert.deepEqual(modules.filter((path) => !named.includes(path)), [], 'a module that the page did not name waits for another');
    assert.equal(new Set(modules).size, modules.length, 'a module is fetched once');
    assert.equal(requests.filter(({ type }) => type === 'eventsource').length, 1);
    assert.deepEqual(requests.filter(({ type }) => type === 'font'), []);
    assert.equal(await page.evaluate(() => document.fonts.size), 0);
    await shot('first-paint');
  }));

test('an address that leads nowhere has a page of its own', () =>
  onPage({}, async ({ page }) => {
    const answer = await page.goto(`${eizoku.url}/nowhere`);
    assert.equal(answer?.status(), 404);
    await page.getByRole('link').first().waitFor();
    assert.notEqual(await page.locator('h1').innerText(), '');
  }));

test('without scripts the chapter reads whole: sections, figures, commands, answers', () =>
  onPage({ javaScriptEnabled: false }, async ({ page, errors, shot }) => {
    assert.equal(await page.locator('main section.section').count(), 6);
    assert.equal(await page.locator('.objectives li').count(), 5);
    for (const figure of ['figure-8-1', 'figure-8-2', 'figure-8-3']) {
      const svg = page.locator(`#${figure} svg`);
      assert.ok((await svg.boundingBox())?.width > 100, `${figure} is not drawn`);
      assert.match((await svg.textContent()) ?? '', /PVC/);
    }
    for (const word of ['kubectl apply -f .', 'kubectl delete pod postgres-statefulset-0', 'volumeClaimTemplates']) {
      assert.ok((await page.locator('main').innerText()).includes(word), word);
    }
    // Each answer is behind a fold that opens without scripts.
    const folds = page.locator('details');
    assert.ok((await folds.count()) >= 3);
    const fold = folds.first();
    await fold.locator('summary').click();
    assert.ok((await fold.evaluate((it) => /** @type {HTMLDetailsElement} */ (it).open)));
    assert.notEqual((await page.locator('#panel noscript, #panel p').first().innerText()).trim(), '');
    // A button that does nothing would be worse than none.
    assert.equal(await page.locator('main button:visible').count(), 0);
    assert.deepEqual(errors, []);
    await shot('without-scripts');
  }));

for (const [name, viewport] of Object.entries({ projector: PROJECTOR, laptop: LAPTOP, phone: PHONE })) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    test(`at ${viewport.width} by ${viewport.height}, ${colorScheme}, nothing hangs over the side and text stands out`, () =>
      onPage({ viewport, colorScheme, hasTouch: name === 'phone' }, async ({ page, shot }) => {
        await panelIs(page, 'live');
        await page.waitForSelector('#panel [data-claim]');
        const { wide, room } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: document.documentElement.clientWidth }));
        assert.ok(wide <= room, `the page is ${wide} px wide in a window of ${room} px`);
        const contrasts = await page.evaluate(contrastOfText);
        assert.ok(contrasts.every(({ ratio }) => ratio >= 4.5), JSON.stringify(contrasts));
        assert.equal(contrasts[0].dark, colorScheme === 'dark');
        await shot(`page-${name}-${colorScheme}`);
      }));
  }
}

/** In the page: how far body text and headings stand out from what is behind them (WCAG 2, 1.4.3). */
function contrastOfText() {
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d', { willReadFrequently: true }));
  const rgba = (/** @type {string} */ colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (/** @type {number[]} */ colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return ['.section > p', '.section > h2', '.objectives li', '#panel .panel-state'].flatMap((selector) => {
    const element = document.querySelector(selector);
    if (!element) return [];
    let behind = /** @type {Element | null} */ (element);
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const ground = light(behind ? rgba(getComputedStyle(behind).backgroundColor) : [255, 255, 255]);
    const ink = light(rgba(getComputedStyle(element).color));
    return [{ selector, dark: ground < 0.2, ratio: (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05) }];
  });
}

test('on paper there is the text and no panel, and every answer is open', () =>
  onPage({}, async ({ page }) => {
    await panelIs(page, 'live');
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    await page.emulateMedia({ media: 'print' });
    assert.equal(await page.locator('#panel').isVisible(), false);
    assert.equal(await page.locator('.controls').isVisible(), false);
    assert.equal(await page.locator('#figure-8-1 svg').isVisible(), true);
    const closed = await page.evaluate(() => [...document.querySelectorAll('main > :not(#panel) details')].filter((it) => !(/** @type {HTMLDetailsElement} */ (it).open)).length);
    assert.equal(closed, 0);
    await page.emulateMedia({ media: 'screen' });
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    assert.ok(await page.evaluate(() => [...document.querySelectorAll('main > :not(#panel) details')].some((it) => !(/** @type {HTMLDetailsElement} */ (it).open))));
    const pdf = await page.pdf({ format: 'A4' });
    assert.ok(pdf.subarray(0, 5).toString() === '%PDF-');
  }));

test('the keyboard reaches every control of the page and of the panel, and each shows that it is reached', () =>
  onPage({}, async ({ page }) => {
    await panelIs(page, 'live');
    const wanted = await page.evaluate(() => {
      const all = [...document.querySelectorAll('.skip, .bar a, .bar button, #panel .panel-bar button')].filter((it) => it.classList.contains('skip') || it.getClientRects().length > 0);
      all.forEach((it, n) => it.setAttribute('data-reach', String(n)));
      return all.length;
    });
    assert.ok(wanted >= 8, `only ${wanted} controls`);
    const reached = new Set();
    // A page has more stops than its controls; each is passed at most once before the round begins again.
    for (let stops = 0; stops < 400 && reached.size < wanted; stops += 1) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element) return null;
        const look = getComputedStyle(element);
        return { reach: element.getAttribute('data-reach'), name: element.outerHTML.slice(0, 120), shown: (look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) > 0) || look.boxShadow !== 'none' };
      });
      if (at?.reach == null) continue;
      assert.ok(at.shown, `no focus ring: ${at.name}`);
      reached.add(at.reach);
    }
    assert.equal(reached.size, wanted);
  }));

test('the panel pauses with the space bar and fills the projector with P, Escape leads back', () =>
  onPage({}, async ({ page, shot }) => {
    await panelIs(page, 'live');
    await page.locator('#panel .panel-scene').focus();
    await page.keyboard.press('Space');
    await page.waitForSelector('#panel[data-paused="true"]');
    await page.keyboard.press('Space');
    await page.waitForSelector('#panel[data-paused="false"]');
    await page.keyboard.press('p');
    await page.waitForSelector('html[data-projector] #panel');
    await shot('projector-mode');
    await page.keyboard.press('Escape');
    await page.waitForSelector('html:not([data-projector]) #panel');
  }));

test('a command is copied as it is to be typed', () =>
  onPage({ permissions: ['clipboard-read', 'clipboard-write'] }, async ({ page }) => {
    const command = page.locator('.cmd', { has: page.locator('kbd') }).first();
    const typed = (await command.locator('kbd').allTextContents()).join('\n');
    assert.match(typed, /^kubectl /);
    await command.getByRole('button').click();
    await page.waitForFunction(async (text) => (await navigator.clipboard.readText()) === text, typed);
  }));

test('a module that could not be fetched is fetched again, and the page stands', () =>
  onPage({}, async ({ page }) => {
    await panelIs(page, 'live');
    let failed = 0;
    await page.route('**/js/layout.js', (route) => {
      failed += 1;
      return failed <= 2 ? route.abort('connectionreset') : route.continue();
    });
    await page.reload();
    await panelIs(page, 'live');
    assert.ok(failed > 2, `${failed} requests`);
    assert.equal(await page.evaluate(() => sessionStorage.getItem('eizoku.retries')), null);
  }));
