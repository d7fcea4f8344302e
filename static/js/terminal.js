// @ts-check
/**
 * Owns the terminal beside the scene: one at a time, psql or sh in a container, over a WebSocket. Says what became of
 * it when its Pod dies, and offers the Pod that took its place. Fetched when a terminal is opened and not before;
 * the emulator is xterm.js, as its authors distribute it, in static/vendor/xterm.
 */

import { copy, h } from './dom.js';
import { icon } from './draw.js';
import { subscribe } from './feed.js';
import { learnRole } from './role.js';

/** @typedef {import('./model.js').Card} Card */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {{pod: string, uid: string, program: 'psql' | 'sh', line: string}} Into */
/** @typedef {{say: (key: string, params?: Record<string, unknown>) => string, announce: (text: string) => void, back: () => HTMLElement | SVGElement | null}} Around */

const VENDOR = new URL('../vendor/xterm/', import.meta.url);
const SCROLLBACK = 5000;
/** Bytes in one message; the server takes no larger ones, and a reader may paste any amount. */
const PIECE = 32 * 1024;
/** A window that is being dragged asks for a new size many times; the program is told of the last one. */
const RESIZE_MS = 80;
const DARK = { background: '#17191f', foreground: '#f0eee8', cursor: '#8fd3a8', cursorAccent: '#17191f', selectionBackground: '#4a5a8a', black: '#24262d', brightBlack: '#8a8d96' };

/** @type {{close: (back: boolean) => void} | null} */
let current = null;

/**
 * Opens a terminal in the panel, in place of the one that may be open.
 * @param {HTMLElement} aside @param {Into} into @param {Around} around
 */
export function openTerminal(aside, into, around) {
  current?.close(false);
  current = dock(aside, into, around);
}

/**
 * Keeps what xterm.js makes within the page's policy, which lets no inline style in. It makes its sheets as <style>
 * elements and writes colours beyond the palette as style attributes, both by way of the document itself, so that its
 * option for another document does not help. As long as a terminal is open, the sheets become constructed ones
 * instead, and such an attribute is set property by property.
 * @returns {() => void} ends it
 */
function keepPolicy() {
  /** @type {Set<CSSStyleSheet>} */
  const sheets = new Set();
  /** @param {CSSStyleSheet} sheet */
  const drop = (sheet) => {
    sheets.delete(sheet);
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
  };
  /** @param {string} tag @param {ElementCreationOptions} [options] @returns {HTMLElement} */
  const make = (tag, options) => Document.prototype.createElement.call(document, tag, options);
  /** Stands where the <style> would, and hands its text to a sheet that the document adopts. */
  const style = () => {
    const sheet = new CSSStyleSheet();
    sheets.add(sheet);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const element = make('span');
    element.hidden = true;
    let held = '';
    Object.defineProperty(element, 'textContent', { get: () => held, set: (text) => { held = String(text); sheet.replaceSync(held); } });
    element.remove = () => {
      drop(sheet);
      Element.prototype.remove.call(element);
    };
    return element;
  };
  /** @this {HTMLElement} @param {string} name @param {string} value */
  function setAttribute(name, value) {
    if (name === 'style') this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  }
  document.createElement = /** @type {typeof document.createElement} */ ((/** @type {string} */ tag, /** @type {ElementCreationOptions} */ options) => {
    if (tag === 'style') return style();
    const element = make(tag, options);
    if (tag === 'span') element.setAttribute = setAttribute;
    return element;
  });
  return () => {
    // @ts-ignore The one of the prototype is there again.
    delete document.createElement;
    for (const sheet of [...sheets]) drop(sheet);
  };
}

/** The emulator's own style sheet, once. @returns {Promise<void>} */
function style() {
  const href = new URL('xterm.css', VENDOR).href;
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = h('link', { rel: 'stylesheet', href, onload: () => resolve(), onerror: () => { link.remove(); reject(new Error(href)); } });
    document.head.append(link);
  });
}

/**
 * @param {HTMLElement} aside @param {Into} first @param {Around} around
 * @returns {{close: (back: boolean) => void}}
 */
function dock(aside, first, { say, announce, back }) {
  let { pod, uid } = first;
  const { program } = first;
  /** What owns the Pod, so that the one in its place is found by more than its name. @type {string} */
  let owner = '';
  /** @type {Model | null} */
  let model = null;
  /** @type {any} */
  let term = null;
  /** @type {any} */
  let fit = null;
  /** @type {WebSocket | null} */
  let socket = null;
  /** @type {'opening' | 'open' | 'ended'} */
  let phase = 'opening';
  /** @type {{why: string, code?: number, message?: string} | null} */
  let ended = null;
  let closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resizing;
  /** @type {() => void} */
  let release = () => {};
  const bytes = new TextEncoder();

  // -------------------------------------------------------------------------------------------------------
  // DOM

  const name = h('h3', { class: 'dock-name', id: 'dock-name' });
  const chip = h('span', { class: 'chip dock-uid' });
  // Not from the start: with it on, the emulator does not hear some ways of writing Japanese.
  const aloud = h('button', { type: 'button', class: 'tool dock-aloud', 'aria-pressed': 'false', onclick: () => {
    if (!term) return;
    term.options.screenReaderMode = !term.options.screenReaderMode;
    aloud.setAttribute('aria-pressed', String(term.options.screenReaderMode));
  } }, [say('terminal.aloud')]);
  const shut = h('button', { type: 'button', class: 'tool dock-close', 'aria-label': say('terminal.close'), title: say('terminal.close'), onclick: () => close(true) }, [icon('close')]);
  const screen = h('div', { class: 'dock-screen' });
  const foot = h('div', { class: 'dock-foot', role: 'status', hidden: true });
  const box = h('section', { class: 'dock', 'aria-labelledby': 'dock-name', data: { phase } }, [
    h('div', { class: 'dock-head' }, [name, chip, h('span', { class: 'dock-keys' }, [say('terminal.keys')]), aloud, shut]),
    screen, foot,
  ]);
  (aside.querySelector('.panel-stage') ?? aside).append(box);
  aside.classList.add('has-dock');

  // What is typed here is meant for the program, not for the panel's keys.
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !screen.contains(/** @type {Node} */ (event.target))) {
      event.preventDefault();
      close(true);
    }
    event.stopPropagation();
    if (event.key === 'Escape') event.preventDefault();
  });

  function title() {
    name.textContent = say('terminal.title', { program, pod });
    chip.textContent = say('terminal.uid', { uid: uid.slice(0, 5) });
  }

  // -------------------------------------------------------------------------------------------------------
  // The emulator

  async function build() {
    let Terminal, FitAddon;
    try {
      [{ Terminal }, { FitAddon }] = await Promise.all([import(new URL('xterm.mjs', VENDOR).href), import(new URL('addon-fit.mjs', VENDOR).href), style()]);
    } catch {
      if (closed) return;
      foot.hidden = false;
      foot.replaceChildren(h('p', {}, [say('terminal.failed')]));
      shut.focus();
      return;
    }
    if (closed) return;
    const look = getComputedStyle(box);
    term = new Terminal({
      scrollback: SCROLLBACK, cursorBlink: false, theme: DARK, macOptionIsMeta: true,
      fontFamily: look.getPropertyValue('--mono').trim() || 'monospace', fontSize: typeSize(), lineHeight: 1.2, minimumContrastRatio: 4.5,
    });
    fit = new FitAddon();
    term.loadAddon(fit);
    release = keepPolicy();
    term.open(screen);
    term.attachCustomKeyEventHandler(keys);
    term.textarea?.setAttribute('aria-label', `${say('terminal.title', { program, pod })} ${say('terminal.keys')}`);
    term.onData((/** @type {string} */ text) => send(bytes.encode(text)));
    term.onBinary((/** @type {string} */ text) => send(Uint8Array.from(text, (sign) => sign.charCodeAt(0))));
    term.onResize((/** @type {{cols: number, rows: number}} */ { cols, rows }) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ resize: { cols, rows } })); });
    sizes.observe(screen);
    fit.fit();
    term.focus();
    connect();
  }

  /** As large as the page's own type: a class reads it from the back row. */
  const typeSize = () => (document.documentElement.hasAttribute('data-projector') ? 22 : 14);
  const projector = new MutationObserver(() => {
    if (!term) return;
    term.options.fontSize = typeSize();
    fit.fit();
  });
  projector.observe(document.documentElement, { attributes: true, attributeFilter: ['data-projector'] });

  const sizes = new ResizeObserver(() => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { if (!closed && screen.clientWidth > 0) fit?.fit(); }, RESIZE_MS);
  });

  /** @param {Uint8Array<ArrayBuffer>} data */
  function send(data) {
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < data.length; at += PIECE) socket.send(data.subarray(at, at + PIECE));
  }

  /** Whether the keyboard leaves as soon as the key that says so is up. */
  let leaving = false;
  /** @param {KeyboardEvent} event @returns {boolean} whether the program is to have the key */
  function keys(event) {
    if (event.type === 'keyup' && leaving) {
      leaving = false;
      /** @type {HTMLElement} */ (foot.querySelector('button:not([disabled])') ?? shut).focus();
      // Or the emulator would take the keyboard back.
      return false;
    }
    if (event.type !== 'keydown' || event.isComposing || !event.ctrlKey || !event.shiftKey || event.altKey) return true;
    switch (event.code) {
      case 'KeyC':
        event.preventDefault();
        if (term.hasSelection()) void copy(term.getSelection()).then(() => { announce(say('panel.copied')); term.focus(); });
        return false;
      case 'KeyV':
        // The browser pastes by itself, and asks nobody for leave; the emulator hears of it as a paste.
        return false;
      case 'KeyE':
        event.preventDefault();
        announce(say('terminal.left'));
        // Not before the key is up: an emulator that did not see it go takes what is written later for its echo.
        leaving = true;
        return false;
      default:
        return true;
    }
  }

  // -------------------------------------------------------------------------------------------------------
  // The program

  function connect() {
    const url = new URL('/terminal', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.search = new URLSearchParams({ pod, uid, program }).toString();
    ended = null;
    turn('opening');
    title();
    const mine = new WebSocket(url);
    socket = mine;
    mine.binaryType = 'arraybuffer';
    mine.addEventListener('open', () => {
      if (socket !== mine) return;
      mine.send(JSON.stringify({ resize: { cols: term.cols, rows: term.rows } }));
      turn('open');
      announce(say('terminal.open', { program, pod }));
    });
    mine.addEventListener('message', ({ data }) => {
      if (socket !== mine) return;
      if (data instanceof ArrayBuffer) {
        term.write(new Uint8Array(data));
        return;
      }
      try {
        const told = JSON.parse(data);
        if (told.ended) end(told.ended);
      } catch {
        // A word that this page does not know yet.
      }
    });
    mine.addEventListener('close', async () => {
      if (socket !== mine || ended) return;
      // One that never opened was refused, perhaps; a page is not told why.
      const role = phase === 'opening' ? await learnRole(aside) : 'owner';
      if (socket !== mine || ended) return;
      const key = role === 'reader' ? 'act.off.key' : role === 'renewed' ? 'act.off.newkey' : '';
      end(key ? { why: 'refused', message: say(key) } : { why: 'cut' });
    });
  }

  /** @param {'opening' | 'open' | 'ended'} next */
  function turn(next) {
    phase = next;
    box.dataset.phase = next;
    foot.hidden = next === 'open';
    if (next === 'opening') foot.replaceChildren(h('p', {}, [say('terminal.opening')]));
  }

  /** @param {{why: string, code?: number, message?: string}} how */
  function end(how) {
    ended = how;
    socket?.close();
    socket = null;
    turn('ended');
    // A line in the text as well, so that what came before and what comes after are told apart.
    term.write(`\r\n\x1b[2m${'─'.repeat(Math.max(1, Math.min(40, term.cols - 1)))}\x1b[0m\r\n`);
    told = '';
    tell();
    announce(endedText());
  }

  /** Whether the Pod that was entered is gone or going, whatever the program's end was called. */
  function isGone() {
    const card = model?.cards.get(uid);
    return ended?.why === 'pod-gone' || (ended?.why !== 'refused' && Boolean(model) && (!card || Boolean(card.deleting)));
  }

  function endedText() {
    if (!ended) return '';
    if (isGone()) return say('terminal.ended.gone', { uid: uid.slice(0, 5) });
    if (ended.why === 'exit') return ended.code === undefined || ended.code === null ? say('terminal.ended.exit.plain', { program }) : say('terminal.ended.exit', { program, code: ended.code });
    return say(ended.why === 'refused' ? 'terminal.ended.refused' : 'terminal.ended.cut');
  }

  /** The Pod in the place of the one that was entered, youngest first. @returns {Card | undefined} */
  function successor() {
    if (!model) return undefined;
    const all = [...model.cards.values()].filter((card) => card.kind === 'Pod' && card.uid !== uid && !card.deleting && (card.name === pod || (owner && ownerOf(card, /** @type {Model} */ (model)) === owner)));
    return all.sort((a, b) => Number(b.name === pod) - Number(a.name === pod) || (b.created ?? 0) - (a.created ?? 0))[0];
  }

  let told = '';
  /** What happened, and what can be done now. */
  function tell() {
    if (phase !== 'ended' || !ended) return;
    const gone = isGone();
    const next = gone ? successor() : undefined;
    const ready = Boolean(next?.isReady);
    const now = JSON.stringify([ended, gone, next?.uid, ready]);
    if (now === told) return;
    told = now;
    const had = foot.contains(document.activeElement);
    const into = next;
    const button = gone
      ? ready && into ? h('button', { type: 'button', class: 'menu-do', onclick: () => enter(into) }, [say('terminal.enter', { uid: into.uid.slice(0, 5) })]) : null
      : h('button', { type: 'button', class: 'menu-do', onclick: () => again() }, [say('terminal.again')]);
    foot.replaceChildren(
      h('p', { class: 'dock-ended' }, [endedText()]),
      ended.message && !gone ? h('code', { class: 'menu-words' }, [ended.message]) : '',
      gone && !ready ? h('p', { class: 'dock-wait' }, [say(next ? 'terminal.wait' : 'terminal.none')]) : '',
      button ?? '',
    );
    // Who was in the terminal when its process died goes on from there.
    if (button && (had || screen.contains(document.activeElement))) button.focus();
  }

  /** @param {Card} card */
  function enter(card) {
    pod = card.name;
    uid = card.uid;
    again();
  }

  function again() {
    term.focus();
    connect();
    // The same screen again, of another size perhaps.
    fit.fit();
  }

  const stop = subscribe((_event, _data, next) => {
    // In the past there are Pods that are dead by now; none of them can be entered.
    if ('past' in aside.dataset && aside.dataset.past !== 'false') return;
    model = next;
    const mine = next.cards.get(uid);
    if (mine) owner = ownerOf(mine, next);
    tell();
  });

  /** @param {boolean} returns Whether the keyboard goes back to where it came from. */
  function close(returns) {
    if (closed) return;
    closed = true;
    current = null;
    stop();
    sizes.disconnect();
    projector.disconnect();
    clearTimeout(resizing);
    const mine = socket;
    socket = null;
    mine?.close();
    term?.dispose();
    release();
    box.remove();
    aside.classList.remove('has-dock');
    if (!returns) return;
    announce(say('terminal.closed'));
    back()?.focus({ preventScroll: true });
  }

  title();
  turn('opening');
  void build();
  return { close };
}

/** The workload a Pod belongs to. @param {Card} card @param {Model} model */
function ownerOf(card, model) {
  const { owner } = card;
  if (!owner) return '';
  const parent = owner.kind === 'ReplicaSet' ? model.memory.parents.get(owner.name) : undefined;
  return parent ? `Deployment/${parent}` : `${owner.kind}/${owner.name}`;
}
