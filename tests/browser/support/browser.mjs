// Chromium, and a page in it that is watched from its first moment.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE, keys, root } from './eizoku.mjs';

const folder = process.env.SCREENSHOTS ?? join(root, 'target/screenshots');
export const PROJECTOR = { width: 1920, height: 1080 };
export const LAPTOP = { width: 1280, height: 720 };
export const PHONE = { width: 390, height: 844 };

/** @returns {Promise<import('playwright-core').Browser>} */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    timeout: PATIENCE,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-gpu',
    ],
  });
}

/**
 * Runs in the page before anything of it: counts what a test asks about later.
 * `__watch.frames` how often an animation frame was asked for; `__watch.sources` every EventSource;
 * `__watch.violations` what the Content-Security-Policy refused; `__watch.scene` the scene after each change.
 */
function watchFromWithin() {
  const watch = { frames: 0, sources: [], violations: [], scene: [] };
  Object.assign(window, { __watch: watch });
  addEventListener('securitypolicyviolation', (event) => watch.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (callback) => {
    watch.frames += 1;
    return ask(callback);
  };
  const Real = window.EventSource;
  window.EventSource = class extends Real {
    constructor(url) {
      super(url);
      watch.sources.push(this);
    }
  };

  // The scene as a reader would describe it, after each batch of changes that changed the description.
  const seen = new Map();
  const number = (element) => {
    if (!element) return null;
    if (!seen.has(element)) seen.set(element, seen.size);
    return seen.get(element);
  };
  const describe = (panel) => {
    const all = (selector) => [...panel.querySelectorAll(selector)].sort((a, b) => (a.outerHTML < b.outerHTML ? -1 : 1));
    return {
      seats: Object.fromEntries(all('[data-seat]').map((it) => [it.dataset.seat, number(it)])),
      bodies: Object.fromEntries(all('[data-uid]').map((it) => [it.dataset.uid, it.dataset.pod])),
      claims: Object.fromEntries(all('[data-claim]').map((it) => [it.dataset.claim, number(it)])),
      volumes: Object.fromEntries(all('[data-volume]').map((it) => [it.dataset.volume, { element: number(it), text: it.textContent }])),
      cables: Object.fromEntries(all('[data-cable]').map((it) => [it.dataset.cable, it.dataset.grip])),
      bindings: all('[data-binding]').map((it) => it.dataset.binding),
      stories: panel.querySelectorAll('.story > [data-story]').length,
      last: [...panel.querySelectorAll('.story > [data-story]')].at(-1)?.dataset.story ?? null,
      aloud: panel.querySelector('[aria-live]')?.textContent ?? '',
      state: panel.dataset.state,
    };
  };
  let before = '';
  const note = () => {
    const panel = document.getElementById('panel');
    if (!panel) return;
    const scene = describe(panel);
    const now = JSON.stringify(scene);
    if (now === before) return;
    before = now;
    watch.scene.push(scene);
  };
  addEventListener('DOMContentLoaded', () => {
    const panel = document.getElementById('panel');
    if (panel) new MutationObserver(note).observe(panel, { subtree: true, childList: true, attributes: true, characterData: true });
  });
}

/**
 * @typedef {object} Watched
 * @property {import('playwright-core').Page} page
 * @property {string[]} errors What went wrong in the page, in order.
 * @property {{url: string, type: string}[]} requests Everything that it asked for.
 * @property {() => Promise<any[]>} scenes The scene after each change, oldest first.
 * @property {(name: string) => Promise<void>} shot Keeps a picture for review.
 * @property {() => Promise<void>} close
 */

/**
 * @param {import('playwright-core').Browser} browser
 * @param {import('playwright-core').BrowserContextOptions & {owner?: boolean}} [options] `owner`: whether it has the
 *   keys of the programs that were started so far, as if it had come by the addresses that they printed.
 * @returns {Promise<Watched>}
 */
export async function openPage(browser, { owner = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: LAPTOP, locale: 'ja-JP', timezoneId: 'Asia/Tokyo', ...options });
  if (owner && keys.length > 0) await context.addCookies(keys);
  context.setDefaultTimeout(PATIENCE);
  context.setDefaultNavigationTimeout(PATIENCE);
  const page = await context.newPage();
  const errors = [];
  const requests = [];
  if (options.javaScriptEnabled !== false) await page.addInitScript(watchFromWithin);
  // A network interface that comes or goes on this machine, as a cluster's do, cuts requests short; the page asks again.
  const isCut = (/** @type {string} */ text) => text.includes('ERR_NETWORK_CHANGED');
  page.on('console', (message) => { if ((message.type() === 'error' || message.type() === 'warning') && !isCut(message.text())) errors.push(`${message.type()}: ${message.text()} (${message.location().url})`); });
  page.on('pageerror', (error) => errors.push(`thrown: ${error.message}`));
  page.on('request', (request) => requests.push({ url: request.url(), type: request.resourceType() }));
  return {
    page,
    errors,
    requests,
    scenes: () => page.evaluate(() => window.__watch.scene),
    async shot(name) {
      mkdirSync(folder, { recursive: true });
      await page.screenshot({ path: join(folder, `${name}.png`) });
    },
    close: () => context.close(),
  };
}

/** Waits until the panel is in one of the states. @param {import('playwright-core').Page} page @param {...string} states */
export function panelIs(page, ...states) {
  return page.waitForSelector(states.map((state) => `#panel[data-state="${state}"]`).join(', '));
}

/** Waits until the story has a line of this key. @param {import('playwright-core').Page} page @param {string} key */
export function storyHas(page, key) {
  return page.waitForSelector(`#panel [data-story="${key}"]`, { state: 'attached' });
}

/**
 * Makes the page believe that its tab went to the back, or came to the front again: headless Chromium keeps
 * every tab visible, so the page is told so where it would read and hear it.
 * @param {import('playwright-core').Page} page @param {'hidden' | 'visible'} state
 */
export function turnTab(page, state) {
  return page.evaluate((to) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => to });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => to === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

/** How many EventSources of the page are not closed. @param {import('playwright-core').Page} page */
export function openStreams(page) {
  return page.evaluate(() => window.__watch.sources.filter((source) => source.readyState !== EventSource.CLOSED).length);
}
