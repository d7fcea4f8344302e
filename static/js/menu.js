// @ts-check
/**
 * Owns the menus of the scene: what a reader may do with a Pod, a claim, a volume or a controller, each with its
 * kubectl line first. Also says which cluster would be hit, and offers to reset the lesson. Draws nothing of the
 * scene and believes no answer: what was done is seen when the watch says so.
 */

import { act, lineOf, may, refusalKey } from './act.js';
import { commandLine, h } from './dom.js';
import { icon } from './draw.js';
import { subscribe } from './feed.js';
import { lookView } from './look.js';
import { newModel, speaker } from './model.js';
import { offersFor, usersOf } from './offers.js';
import { learnRole } from './role.js';

/** @typedef {import('./offers.js').Offer} Offer */
/** @typedef {{title: string, kind: string, card: string | null, offers: Offer[], back: () => HTMLElement | SVGElement | null, busy?: boolean}} Opened `busy` while something of it is on its way to the API. */

/** Two offers of one menu may be of a sort. @param {Offer} offer */
const idOf = (offer) => (offer.of ? `${offer.id} ${offer.of}` : offer.id);
/** The folder that a reader applies first, as the panel says where nothing is there yet. */
const FIRST = 'stateful-app';
/** How often the ages of rows are told anew while a menu shows some. */
const AGEING_MS = 10_000;
const EDGE = 8;
const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/**
 * @param {HTMLElement} aside The panel.
 * @param {Record<string, string>} words
 */
export function openMenus(aside, words) {
  const say = speaker(words);
  const host = /** @type {HTMLElement} */ (aside.querySelector('.panel-scene'));
  const frame = /** @type {HTMLElement} */ (aside.querySelector('.panel-frame'));
  const live = h('div', { class: 'unseen', 'aria-live': 'polite' });
  const announce = (/** @type {string} */ text) => { live.textContent = text; };

  let model = newModel();
  /** @type {Opened | null} */
  let opened = null;
  /** What stands in the menu, so that it is made anew only when it differs. */
  let shown = '';
  /** The number of Pods that the reader picked, by uid of the controller. @type {Map<string, number>} */
  const picked = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ageing;
  /** The card whose menu a press outside is about to close, so that the same press does not open it again. */
  let closing = '';

  const where = h('p', { class: 'panel-context', role: 'status', hidden: true });
  const keys = h('p', { class: 'panel-keys', 'aria-hidden': 'true' }, [say('menu.keys')]);
  const menu = h('div', { class: 'menu', popover: 'auto', role: 'dialog', tabindex: '-1', 'aria-labelledby': 'menu-title' });
  const lesson = h('button', { type: 'button', class: 'tool tool-lesson', 'aria-haspopup': 'dialog', 'aria-label': say('menu.lesson'), title: say('menu.lesson') }, [icon('hands'), h('span', {}, [say('menu.lesson.short')])]);
  aside.querySelector('.panel-bar')?.after(where);
  aside.querySelector('.panel-view')?.append(keys);
  aside.querySelector('.panel-tools')?.append(lesson);
  frame.append(menu, live);
  host.setAttribute('aria-description', say('menu.keys'));

  const past = () => 'past' in aside.dataset && aside.dataset.past !== 'false';
  const mayAct = () => may(model.source, past(), aside.dataset.role);
  /** Whether all that is missing is the key. @param {string} why */
  const isLocked = (why) => why === 'key' || why === 'newkey';

  /** @param {Offer} offer */
  function line(offer) {
    const acting = model.source?.acting;
    if (!offer.action) return offer.line ?? '';
    if (!offer.action.claim) return lineOf(scaled(offer.action), acting);
    // A look into a claim goes through the Pod that has it.
    const [pod] = usersOf(model, offer.action.claim);
    return pod ? lineOf({ do: 'look', pod: pod.name }, acting) : '';
  }

  /** @param {import('./act.js').Action} action */
  function scaled(action) {
    return action.do === 'scale' ? { ...action, replicas: picked.get(action.uid) ?? action.replicas } : action;
  }

  // -------------------------------------------------------------------------------------------------------
  // What is in a menu

  /** Makes the menu's content, if it differs from what stands there. @param {boolean} [anew] */
  function show(anew = false) {
    if (!opened) return;
    const allowed = mayAct();
    const offers = opened.offers;
    const now = JSON.stringify([opened.card, offers, allowed, [...picked]]);
    if (!anew && now === shown) {
      for (const offer of offers) if (offer.look) showRows(offer);
      return;
    }
    shown = now;
    const held = /** @type {HTMLElement | null} */ (document.activeElement)?.closest('.menu [data-key]')?.getAttribute('data-key');
    const within = menu.contains(document.activeElement);
    menu.replaceChildren(
      h('div', { class: 'menu-head' }, [
        h('h3', { id: 'menu-title', class: 'menu-title' }, [opened.kind ? h('span', { class: 'menu-kind' }, [opened.kind]) : null, h('span', { class: 'menu-name' }, [opened.title])]),
        h('button', { type: 'button', class: 'tool menu-close', 'aria-label': say('panel.close'), data: { key: 'close' }, onclick: () => close(true) }, [icon('close')]),
      ]),
      allowed.allowed
        ? (allowed.why === 'embedded' ? '' : h('p', { class: 'menu-where' }, [say('act.where', allowed.params)]))
        : h('div', { class: 'menu-why', data: { why: allowed.why } }, [h('p', {}, [say(`act.off.${allowed.why}`, allowed.params)]), allowed.why === 'flag' ? commandLine(say('act.off.flag.command'), say, announce) : null]),
      h('ul', { class: 'menu-list' }, offers.map((offer) => entry(offer, allowed.allowed))),
    );
    if (held || within) /** @type {HTMLElement | null} */ (menu.querySelector(`[data-key="${CSS.escape(held ?? '')}"]:not([disabled])`) ?? first())?.focus({ preventScroll: true });
  }

  /** @returns {HTMLElement | null} */
  const first = () => menu.querySelector('.menu-do:not([disabled])') ?? menu.querySelector('.copy') ?? menu.querySelector('.menu-close');

  /** @param {Offer} offer @param {boolean} allowed */
  function entry(offer, allowed) {
    const text = line(offer);
    const rows = offer.look ? h('div', { class: 'menu-rows' }) : null;
    const answer = h('div', { class: 'menu-answer', role: 'status' });
    const name = say(`menu.${offer.id}`, { folder: offer.of ?? '' });
    const made = h('li', { class: `menu-entry${offer.twice ? ' is-grave' : ''}`, data: { offer: idOf(offer) } }, [
      h('p', { class: 'menu-what' }, [h('span', { class: 'menu-label' }, [name]), h('span', { class: 'menu-means' }, [say(`menu.${offer.id}.means`)])]),
      offer.action?.do === 'scale' ? stepper(offer) : null,
    ]);
    const row = h('div', { class: 'menu-row' }, [text ? h('div', { class: 'menu-lines' }, [commandLine(text, say, announce)]) : null]);
    made.append(row);
    if (offer.action || offer.enter) {
      const still = offer.action?.do === 'scale' && scaled(offer.action).replicas === offer.action.replicas;
      const button = h('button', { type: 'button', class: `menu-do${offer.twice ? ' is-grave' : ''}`, disabled: !allowed || still, data: { key: `do ${idOf(offer)}` } }, [doing(offer)]);
      button.addEventListener('click', () => press(offer, made, button, answer));
      row.append(h('div', { class: 'menu-buttons' }, [button]));
      made.append(answer);
    }
    if (rows) {
      made.append(rows);
      showRows(offer, rows);
    }
    return made;
  }

  /** What is on the button. @param {Offer} offer */
  function doing(offer) {
    return say(`menu.${offer.id}.do`, { n: offer.action ? (scaled(offer.action).replicas ?? '') : '' });
  }

  /** @param {Offer} offer */
  function stepper(offer) {
    const action = /** @type {import('./act.js').Action} */ (offer.action);
    const n = scaled(action).replicas;
    const most = model.source?.acting?.replicas ?? 0;
    const step = (/** @type {number} */ to, /** @type {string} */ sign, /** @type {string} */ key) => h('button', {
      type: 'button', class: 'tool', disabled: to < 0 || to > most, 'aria-label': say(`menu.${key}`), data: { key },
      onclick: () => {
        picked.set(action.uid, to);
        announce(String(to));
        show();
      },
    }, [sign]);
    return h('div', { class: 'menu-step', role: 'group', 'aria-label': say('menu.replicas') }, [
      step(Math.min(n - 1, most), '−', 'fewer'), h('output', { class: 'menu-number' }, [String(n)]), step(n + 1, '＋', 'more'),
      h('span', { class: 'menu-from' }, [say('menu.replicas.now', { n: action.replicas })]),
    ]);
  }

  /** @param {Offer} offer @param {HTMLElement | null} [box] */
  function showRows(offer, box = menu.querySelector(`[data-offer="${offer.id}"] .menu-rows`)) {
    const known = model.inside.get(offer.look ?? '');
    box?.replaceChildren(...(known ? lookView(known, now(), say) : []));
  }

  /** The cluster's clock, as far as the frames told it. */
  const now = () => model.at + (performance.now() - heardAt);
  let heardAt = performance.now();

  // -------------------------------------------------------------------------------------------------------
  // Doing it

  /** @param {Offer} offer @param {HTMLElement} box @param {HTMLElement} button @param {HTMLElement} answer */
  function press(offer, box, button, answer) {
    if (opened?.busy) return;
    answer.replaceChildren();
    if (!offer.twice) {
      void send(offer, box, answer);
      return;
    }
    const sure = h('button', { type: 'button', class: 'menu-do is-grave is-sure', data: { key: `sure ${idOf(offer)}` }, onclick: () => { void send(offer, box, answer); } }, [say(`menu.${offer.id}.sure`)]);
    const no = h('button', { type: 'button', class: 'menu-not', data: { key: `not ${idOf(offer)}` }, onclick: () => { ask.replaceWith(h('div', { class: 'menu-buttons' }, [button])); button.focus(); } }, [say('menu.not')]);
    const ask = h('div', { class: 'menu-buttons is-asking', role: 'group', 'aria-label': say('menu.sure') }, [h('p', { class: 'menu-sure' }, [say(`menu.${offer.id}.asks`)]), sure, no]);
    button.parentElement?.replaceWith(ask);
    // The safer of the two has the keyboard: Enter pressed twice by mistake must not delete.
    no.focus();
    announce(say(`menu.${offer.id}.asks`));
  }

  /** @param {Offer} offer @param {HTMLElement} box @param {HTMLElement} answer */
  async function send(offer, box, answer) {
    if (offer.enter) {
      const { pod, uid, program } = offer.enter;
      close(false);
      const { openTerminal } = await import('./terminal.js');
      openTerminal(aside, { pod, uid, program, line: line(offer) }, { say, announce, back: () => thing(uid) ?? host });
      return;
    }
    const action = scaled(/** @type {import('./act.js').Action} */ (offer.action));
    const mine = opened;
    if (mine) mine.busy = true;
    const buttons = [...box.querySelectorAll('.menu-buttons button')].filter((button) => !button.hasAttribute('disabled'));
    // Disabled would take the keyboard away.
    for (const button of buttons) button.setAttribute('aria-disabled', 'true');
    box.setAttribute('aria-busy', 'true');
    answer.replaceChildren(h('p', { class: 'menu-sending' }, [say('act.sending')]));
    const result = await act(action);
    if (mine) mine.busy = false;
    box.removeAttribute('aria-busy');
    for (const button of buttons) button.removeAttribute('aria-disabled');
    if (!result.ok) {
      if (result.reason === 'NoKey') void learnRole(aside);
      answer.replaceChildren(h('p', { class: 'menu-refused' }, [say(refusalKey(result))]), result.message ? h('code', { class: 'menu-words' }, [result.message]) : '');
      announce(`${say(refusalKey(result))} ${result.message}`);
      return;
    }
    picked.delete(action.uid);
    announce(result.said.join(' ') || say('act.done'));
    if (action.do === 'look') {
      answer.replaceChildren();
      follow();
    } else if (opened === mine) close(true);
  }

  // -------------------------------------------------------------------------------------------------------
  // Opening, placing, closing

  /** The element of a card, unless it is leaving. @param {string} uid @returns {SVGElement | null} */
  const thing = (uid) => host.querySelector(`[data-card="${CSS.escape(uid)}"]`);

  /** @param {Opened} next @param {DOMRect} at */
  function open(next, at) {
    opened = next;
    shown = '';
    show(true);
    menu.scrollTop = 0;
    menu.showPopover();
    place(at);
    first()?.focus({ preventScroll: true });
    clearInterval(ageing);
    ageing = next.offers.some((offer) => offer.look) ? setInterval(() => show(), AGEING_MS) : undefined;
  }

  /** Beside the thing, inside the window; a narrow window has a sheet at its foot instead. @param {DOMRect} at */
  function place(at) {
    const { offsetWidth: width, offsetHeight: height } = menu;
    const right = at.right + EDGE;
    const left = at.left - width - EDGE;
    const x = right + width + EDGE <= innerWidth ? right : left >= EDGE ? left : Math.min(Math.max(EDGE, at.left), Math.max(EDGE, innerWidth - width - EDGE));
    const y = Math.min(Math.max(EDGE, at.top), Math.max(EDGE, innerHeight - height - EDGE));
    menu.style.setProperty('--x', `${Math.round(x)}px`);
    menu.style.setProperty('--y', `${Math.round(y)}px`);
  }

  /** @param {boolean} back Whether the keyboard goes back to where it came from. */
  function close(back) {
    const was = opened;
    opened = null;
    clearInterval(ageing);
    if (menu.matches(':popover-open')) menu.hidePopover();
    if (back) (was?.back() ?? host).focus({ preventScroll: true });
  }

  /** @param {SVGElement} element */
  function openThing(element) {
    const uid = element.dataset.card ?? '';
    const card = model.cards.get(uid);
    if (!card) return;
    picked.delete(uid);
    open({ title: card.name, kind: card.kind, card: uid, offers: offersFor(model, card), back: () => thing(uid) }, element.getBoundingClientRect());
  }

  menu.addEventListener('toggle', (event) => {
    // Closed by a press outside or by the browser.
    if (/** @type {ToggleEvent} */ (event).newState === 'closed' && opened) close(document.activeElement === document.body);
  });

  menu.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Escape') {
      event.preventDefault();
      close(true);
      return;
    }
    if (!['ArrowDown', 'ArrowUp', 'Home', 'End'].includes(event.key)) return;
    event.preventDefault();
    const all = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll('button:not([disabled]), a[href]')]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : (at + (event.key === 'ArrowDown' ? 1 : -1) + all.length) % all.length;
    all[to]?.focus();
  });

  /** What can be done with the lesson as a whole. */
  function openLesson() {
    const folders = [...(model.source?.acting?.folders ?? [])].sort((a, b) => Number(b === FIRST) - Number(a === FIRST));
    const offers = [
      ...folders.map((/** @type {string} */ folder) => ({ id: 'apply', of: folder, action: { do: 'apply', folder } })),
      { id: 'reset', action: { do: 'reset' }, twice: true },
    ];
    open({ title: say('menu.lesson'), kind: '', card: null, offers, back: () => lesson }, lesson.getBoundingClientRect());
  }

  lesson.addEventListener('pointerdown', () => { closing = opened && opened.card === null ? 'lesson' : ''; });
  lesson.addEventListener('click', () => {
    if (closing === 'lesson') {
      closing = '';
      close(true);
    } else openLesson();
  });

  /** @param {Event} event @returns {SVGElement | null} */
  const target = (event) => /** @type {Element} */ (event.target).closest?.('[data-card]') ?? null;

  host.addEventListener('pointerdown', (event) => { closing = (opened && target(event)?.dataset.card === opened.card && opened.card) || ''; }, true);
  host.addEventListener('click', (event) => {
    const element = target(event);
    if (!element) return;
    if (closing && closing === element.dataset.card) {
      closing = '';
      close(true);
      return;
    }
    element.focus({ preventScroll: true });
    openThing(element);
  });
  host.addEventListener('contextmenu', (event) => {
    const element = target(event);
    if (!element) return;
    event.preventDefault();
    openThing(element);
  });
  host.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // What a pointer left the focus on is not walked from: the keys are the player's.
    if (document.documentElement.dataset.hand === 'pointer') return;
    const all = /** @type {SVGElement[]} */ ([...host.querySelectorAll('[data-card]')]);
    const element = target(event);
    if (!element) {
      if (event.key === 'Enter') (all.find((it) => it.getAttribute('tabindex') === '0') ?? all[0])?.focus();
      return;
    }
    const go = ARROWS[event.key];
    if (event.key === 'Enter' || event.key === ' ') openThing(element);
    else if (go) neighbour(all, element, go)?.focus();
    else if (event.key === 'Home') inOrder(all)[0]?.focus();
    else if (event.key === 'End') inOrder(all).at(-1)?.focus();
    else return;
    // Not the panel's pause, nor the window's scrolling.
    event.preventDefault();
    event.stopPropagation();
  });

  // -------------------------------------------------------------------------------------------------------
  // Following the panel

  function follow() {
    heardAt = performance.now();
    const allowed = mayAct();
    const named = allowed.allowed && allowed.why !== 'embedded';
    const locked = isLocked(allowed.why);
    where.hidden = !named && !locked;
    where.dataset.why = locked ? allowed.why : '';
    const text = locked ? say(`act.off.${allowed.why}`) : named ? say('act.where', allowed.params) : '';
    if (text && where.textContent !== text) where.replaceChildren(icon(locked ? 'eye' : 'reach'), h('span', {}, [text]));
    lesson.hidden = !allowed.allowed && !locked;
    if (!opened || opened.busy) return;
    if (opened.card) {
      const card = model.cards.get(opened.card);
      if (!card) {
        close(menu.contains(document.activeElement));
        return;
      }
      opened.offers = offersFor(model, card);
    } else if (lesson.hidden) {
      close(menu.contains(document.activeElement));
      return;
    }
    show();
  }

  subscribe((_event, _data, next) => {
    model = next;
    follow();
  });
  new MutationObserver(follow).observe(aside, { attributes: true, attributeFilter: ['data-past', 'data-source', 'data-role'] });
}

/** From top to bottom, then from left to right. @param {SVGElement[]} all */
function inOrder(all) {
  const at = new Map(all.map((it) => [it, it.getBoundingClientRect()]));
  const box = (/** @type {SVGElement} */ it) => /** @type {DOMRect} */ (at.get(it));
  return [...all].sort((a, b) => box(a).top - box(b).top || box(a).left - box(b).left);
}

/** The nearest thing in a direction; what stands aside is farther. @param {SVGElement[]} all @param {SVGElement} from @param {[number, number]} go */
function neighbour(all, from, [dx, dy]) {
  const middle = (/** @type {SVGElement} */ it) => {
    const box = it.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  };
  const a = middle(from);
  /** @type {SVGElement | null} */
  let best = null;
  let least = Infinity;
  for (const it of all) {
    if (it === from) continue;
    const b = middle(it);
    const ahead = (b.x - a.x) * dx + (b.y - a.y) * dy;
    const aside = Math.abs((b.x - a.x) * dy) + Math.abs((b.y - a.y) * dx);
    if (ahead < 4 || aside > ahead * 3) continue;
    const far = ahead + aside * 2;
    if (far < least) [best, least] = [it, far];
  }
  return best;
}

const aside = document.getElementById('panel');
if (aside?.querySelector('.panel-scene')) openMenus(aside, JSON.parse(document.getElementById('words')?.textContent || '{}').words ?? {});
