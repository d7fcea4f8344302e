// @ts-check
/**
 * Owns the panel beside the text: builds its frame and joins its parts: the stream to the player, the player to the
 * scene, the story, the timeline and the rest of the page. Decides neither when something is shown (player.js) nor
 * how (layout.js, draw.js); touches neither SVG nor EventSource, and shows only what the source said.
 */

import { Archive, readHistory, readTimeline } from './archive.js';
import { commandLine, h, typed } from './dom.js';
import { icon, openStage } from './draw.js';
import { onAsked, publish } from './feed.js';
import { deedOf, watchHand, whereIs } from './keys.js';
import { layout } from './layout.js';
import { ago } from './look.js';
import { arrange, graceLeft, hadClaim, placesSince, rowsIn, speaker, tell } from './model.js';
import { openNotice, stateName } from './notice.js';
import { newPlayer } from './player.js';
import { learnRole } from './role.js';
import { LINES_MAX, openStory } from './story.js';
import { openStream } from './stream.js';
import { hashOf, momentOf } from './timeline.js';
import { openTransport } from './transport.js';

/** So long a lost connection may be a hiccup and is not yet told. */
const GRACE_MS = 1200;
/** How long a plug travels to its socket. */
const PLUGGED_MS = 560;
/** How often the ages of rows are told anew. */
const AGEING_MS = 10_000;
/** Frames that are read of what happened before the page was opened. */
const BEFORE = 1500;
/** How long "back again" stays. */
const BACK_MS = 5000;

/**
 * Opens the panel in an element and keeps it alive as long as the page is.
 * @param {HTMLElement} aside
 * @param {{words: Record<string, string>, stories: Record<string, any>, lesson?: any, url?: string}} options
 * @returns {{close: () => void}}
 */
export function openPanel(aside, { words, stories, lesson, url = '/events' }) {
  const say = speaker(words);
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const hours = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  const clock = (/** @type {number} */ ms) => hours.format(ms);

  /** @type {'opening' | 'open' | 'lost' | 'hidden'} */
  let phase = 'opening';
  let gone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let goneSoon;
  /** @type {any} The connection as last heard, ahead of the frames that still wait. */
  let link = { state: 'connecting', since: 0, kinds: {} };
  let backUntil = 0;
  /** Whether anything happened since the recording began. */
  let begun = false;
  /** What was typed last, as far as now goes. */
  let typedNow = '';
  /** How the player was when it was last said. */
  let saidOf = '';
  let drawing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let ticking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let ageing;
  /** The number of the snapshot that the page began with, and whether what led there was read. */
  let came = -1;
  let before = false;
  /** The moment that the address names, until the cluster it is of has been heard. */
  let named = momentOf(location.hash);

  // -------------------------------------------------------------------------------------------------------
  // DOM

  const live = h('div', { class: 'unseen', 'aria-live': 'polite' });
  const announce = (/** @type {string} */ text) => { live.textContent = text; };
  const command = (/** @type {string} */ value) => commandLine(value, say, announce);
  const story = openStory({ say, stories, command, clock });
  const first = (lesson?.steps ?? []).find((/** @type {any} */ step) => step.acts?.some((/** @type {any} */ act) => act.do === 'apply'));
  const notice = openNotice(aside, { words, say, command, clock, announce, first });

  const player = newPlayer({
    archive: new Archive(readHistory),
    linesMax: LINES_MAX,
    reopen: () => stream.reopen(),
    sentence: (_event, data) => (data.story ? tell(data.story, stories).what : undefined),
    view: { frame, snapshot, moment, back, picture, changed, lost },
  });
  const transport = openTransport({ player, say, stories, clock, announce, locked });

  const bigButton = h('button', { type: 'button', class: 'tool tool-big', 'aria-pressed': 'false', onclick: () => setProjector(!projected()) });
  const terminal = h('p', { class: 'panel-terminal', hidden: true });
  const host = h('div', { class: 'panel-scene', tabindex: '0', role: 'group', 'aria-label': say('panel.scene') });
  const lostText = h('span', {});
  const lostBox = h('div', { class: 'panel-lost', role: 'alert', hidden: true }, [icon('past'), lostText, h('button', { type: 'button', class: 'tool', 'aria-label': say('panel.close'), onclick: () => { lostBox.hidden = true; } }, [icon('close')])]);
  aside.replaceChildren(h('div', { class: 'panel-frame' }, [
    h('header', { class: 'panel-bar' }, [notice.who, h('span', { class: 'panel-tools' }, [...transport.tools, bigButton]), notice.kinds]),
    h('div', { class: 'panel-body' }, [
      h('div', { class: 'panel-stage' }, [terminal, h('div', { class: 'panel-view' }, [host, notice.notice, lostBox, notice.drawer]), transport.element]),
      story.element,
    ]),
    live,
  ]));
  aside.classList.add('panel');
  if (!aside.hasAttribute('aria-label')) aside.setAttribute('aria-label', say('panel.title'));
  const stage = openStage(host);
  const mono = monoRatio(aside);

  // -------------------------------------------------------------------------------------------------------
  // What the player hands on

  /** @type {import('./player.js').View['frame']} */
  function frame({ event, data }, model, { aloud, line }) {
    publish(event, data, model);
    if (event === 'said' || event === 'restarted') {
      const text = event === 'said' ? data.text : '';
      if (!player.past) typedNow = text;
      showTyped(text);
      if (aloud) announce(text ? `${say('panel.terminal')}: ${[text, data.answer].filter(Boolean).join(' ')}` : say('panel.restarted'));
    }
    if (!player.past && (data.story || event === 'restarted')) begun = event !== 'restarted';
    if (line) story.add(event, data);
    if (aloud && data.story) announce(tell(data.story, stories).what);
  }

  /** @type {import('./player.js').View['snapshot']} */
  function snapshot(model, data) {
    begun = false;
    typedNow = '';
    showTyped('');
    aside.dataset.epoch = data.epoch;
    if (came < 0) came = data.seq;
    publish('snapshot', data, model);
  }

  /** @type {import('./player.js').View['moment']} */
  function moment(model, frames) {
    lostBox.hidden = true;
    aside.dataset.past = 'true';
    publish('snapshot', whole(model), model);
    story.recall(frames);
    showTyped(frames.findLast(({ event }) => event === 'said' || event === 'restarted')?.data.text ?? '');
    const told = frames.findLast(({ data }) => data.story);
    // That it is the past, and when, is said by the state in the bar.
    if (told) announce(tell(told.data.story, stories).what);
  }

  /** @type {import('./player.js').View['back']} */
  function back(model) {
    delete aside.dataset.past;
    // An address that names a moment would lead there again when the page is loaded anew.
    if (momentOf(location.hash)) history.replaceState(history.state, '', location.pathname + location.search);
    publish('snapshot', whole(model), model);
    story.back();
    showTyped(typedNow);
    announce(say('time.at.now'));
  }

  /** @type {import('./player.js').View['picture']} */
  function picture(how, told) {
    if (how === 'soon') drawSoon();
    else draw(how === 'play');
    if (told) light(told.event, told.data, how === 'play');
    else if (how === 'jump') stage.spot('');
    if (how === 'jump') story.toEnd(true);
  }

  function changed() {
    aside.dataset.behind = String(player.behind());
    aside.dataset.paused = String(player.paused);
    aside.dataset.at = hashOf(player.model.epoch, player.model.seq).slice('#at='.length);
    transport.show();
    const said = [player.paused, player.past, player.past && player.model.at, player.speed].join();
    if (said === saidOf) return;
    saidOf = said;
    showState();
    countDown();
  }

  /** @type {import('./player.js').View['lost']} */
  function lost(what) {
    warn(say(`time.lost.${what}`));
  }

  /** @param {string} text */
  function warn(text) {
    lostBox.hidden = false;
    lostText.textContent = text;
  }

  /** Whether the run is not this page's to take away; says so. */
  function locked() {
    const { role } = aside.dataset;
    if (role !== 'reader' && role !== 'renewed') return false;
    warn(say(role === 'reader' ? 'act.off.key' : 'act.off.newkey'));
    return true;
  }

  /** All of a model as the stream would send it. @param {import('./model.js').Model} model */
  function whole(model) {
    const { epoch, seq, at, source, link: connection, cards, inside } = model;
    const lesson = /** @type {any} */ (model).lesson;
    return { epoch, seq, at, source, link: connection, cards: [...cards.values()], insides: [...inside.values()], ...(lesson ? { lesson } : {}) };
  }

  /** A recording tells what was typed; its line is there from the start, or the scene would shift for it. @param {string} text */
  function showTyped(text) {
    terminal.hidden = !text && player.model.source?.kind !== 'recording';
    terminal.classList.toggle('is-idle', !text);
    terminal.replaceChildren(...(text ? typed(text) : [say('panel.terminal.idle')]));
  }

  // -------------------------------------------------------------------------------------------------------
  // Scene

  /** Draws once for all that arrives until the next picture of the screen is due. */
  function drawSoon() {
    if (drawing) return;
    drawing = true;
    const now = () => {
      drawing = false;
      draw(true);
    };
    // A page that nobody sees gets no animation frames; where nothing is to move, none is needed.
    if (document.visibilityState === 'visible' && !still.matches) requestAnimationFrame(now);
    else setTimeout(now, 100);
  }

  function draw(/** @type {boolean} */ animate) {
    const width = Math.floor(host.clientWidth);
    const height = Math.floor(host.clientHeight);
    if (width < 50 || height < 50) return;
    const { model } = player;
    const scene = layout(arrange(model), model, { width, height, projector: projected(), mono, say });
    stage.draw(scene, animate && !still.matches && document.visibilityState === 'visible');
    countDown();
    // The first object of a namespace, or its last one, changes the state as a message of the link does.
    if (aside.dataset.state === stateName(how())) notice.showNotice(how());
    else showState();
  }

  function countDown() {
    clearTimeout(ticking);
    const at = player.time();
    age(at);
    const running = stage.countdown((deleting) => graceLeft(/** @type {any} */ ({ deleting }), at) ?? { seconds: 0, share: 0 });
    if (running && !player.paused) ticking = setTimeout(countDown, Math.min(4000, 1000 / player.speed));
  }

  /** How old the rows in the volumes are; told anew now and then, as long as there are some. @param {number} at */
  function age(at) {
    clearTimeout(ageing);
    const any = stage.ages((then, last) => (last ? say('look.last', { age: ago(at - then, say) }) : ago(at - then, say)));
    if (any && !player.paused && !player.past && document.visibilityState === 'visible') ageing = setTimeout(() => age(player.time()), AGEING_MS);
  }

  /** Lights what the story speaks of. @param {string} event @param {any} data @param {boolean} moving whether it is seen to happen */
  function light(event, data, moving) {
    const { model } = player;
    if (event === 'inside') {
      const volume = [...model.cards.values()].find((card) => card.kind === 'PersistentVolume' && rowsIn(model, card)?.key === (data.inside.key ?? data.inside.claim));
      if (volume) stage.spot(`volume:${volume.uid}`);
      return;
    }
    const card = data.card;
    const kind = /** @type {Record<string, string>} */ ({ Pod: 'body', PersistentVolumeClaim: 'claim', PersistentVolume: 'volume', StorageClass: 'class' })[card?.kind] ?? 'controller';
    const seat = card?.kind === 'Pod' && event === 'deleted';
    stage.spot(card ? (seat ? `seat:${model.source?.namespace}/${card.name}` : `${kind}:${card.uid}`) : '');
    if (still.matches || !moving || !data.story) return;
    // The one moment the chapter is about: the new body takes the claim that the old one had.
    if (data.story.key === 'pod.running' && model.reborn.has(card.uid)) {
      for (const use of card.claims ?? []) {
        const claim = [...model.cards.values()].find((other) => other.kind === 'PersistentVolumeClaim' && other.name === use.claim);
        // Rung when the plug arrives, not when it sets out.
        if (claim && hadClaim(model, card.name, claim)) setTimeout(() => stage.pulse(`claim:${claim.uid}`, say('scene.same.claim')), PLUGGED_MS);
      }
    }
  }

  new ResizeObserver(() => draw(false)).observe(host);
  // Large type changes every measure, even where the room stays the same.
  new MutationObserver(() => {
    showProjector();
    draw(false);
    story.toEnd(false);
  }).observe(document.documentElement, { attributes: true, attributeFilter: ['data-projector'] });

  // -------------------------------------------------------------------------------------------------------
  // How the connection is, and how large

  function how() {
    return { model: player.model, link, gone, back: performance.now() < backUntil, begun, paused: player.paused, past: player.past };
  }

  function showState() {
    notice.show(how());
  }

  function projected() {
    return document.documentElement.hasAttribute('data-projector');
  }

  /** One attribute on the root, which the page's own button sets as well. @param {boolean} on */
  function setProjector(on) {
    document.documentElement.toggleAttribute('data-projector', on);
  }

  function showProjector() {
    const full = projected();
    bigButton.replaceChildren(icon(full ? 'small' : 'big'));
    bigButton.setAttribute('aria-pressed', String(full));
    bigButton.setAttribute('aria-label', say(full ? 'panel.projector.off' : 'panel.projector'));
    bigButton.title = `${say(full ? 'panel.projector.off' : 'panel.projector')} (P)`;
  }

  // -------------------------------------------------------------------------------------------------------
  // Keys and addresses

  const KEYS = /** @type {Record<import('./keys.js').Deed, () => void>} */ ({
    projector: () => setProjector(!projected()),
    pause: () => player.setPaused(!player.paused),
    back: () => player.step(-1),
    on: () => player.step(1),
    now: () => player.jump(),
    'one-back': () => player.step(-1, { single: true }),
    'one-on': () => player.step(1, { single: true }),
  });
  /** Whether the press of Space was taken: a button would be pressed when the key is let go. */
  let taken = false;
  document.addEventListener('keydown', (event) => {
    if (event.key === ' ') taken = false;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target instanceof Element ? event.target : document.body;
    const deed = deedOf(event.key, whereIs(at, aside, player.past));
    if (!deed) return;
    event.preventDefault();
    taken = event.key === ' ';
    // A key that is held down steps on, but does not turn on and off.
    if (!event.repeat || !['projector', 'pause'].includes(deed)) KEYS[deed]();
  });
  document.addEventListener('keyup', (event) => { if (event.key === ' ' && taken) event.preventDefault(); });

  /** Goes to the moment that the address names, and says so where it is gone. */
  function openNamed() {
    if (!named || !player.now.epoch) return;
    const { epoch, seq } = named;
    named = null;
    if (epoch !== player.now.epoch) lost('run');
    else if (seq > player.last) lost('moment');
    else player.enter(seq);
    if (aside.getBoundingClientRect().top > innerHeight / 2) aside.scrollIntoView({ block: 'start', behavior: 'instant' });
  }
  addEventListener('hashchange', () => {
    named = momentOf(location.hash);
    openNamed();
  });

  /** The story and the places as a page has them that was open before: a page that is loaded anew is no other. @param {number} first */
  async function readBefore(first) {
    if (before) return;
    before = true;
    const { epoch } = player.now;
    const seq = came;
    const answer = await readHistory(Math.min(seq, Math.max(first, seq - BEFORE)), seq);
    if (answer.epoch !== epoch || player.now.epoch !== epoch) return;
    const frames = answer.frames.filter(({ data }) => data.seq <= seq);
    story.before(frames);
    if (player.past) return;
    player.now.memory = placesSince({ keyframe: answer.keyframe, frames }, player.now);
    draw(false);
  }

  /** What happened before the page was opened, or while it did not listen. */
  async function readMarks() {
    try {
      const { epoch, first, marks } = await readTimeline();
      if (epoch === player.now.epoch) {
        player.marks.merge(marks, first);
        await readBefore(first);
      }
    } catch {
      // The timeline begins with what this page hears itself; the next connection asks again.
    }
    transport.show();
    openNamed();
  }

  // -------------------------------------------------------------------------------------------------------
  // Stream

  watchHand();
  onAsked(({ line, answer }) => player.add('said', { text: line, answer }));
  showProjector();
  changed();
  const stream = openStream(url, {
    frame(event, data) {
      if (event === 'snapshot' || event === 'link') {
        if (event === 'link' && link.state === 'interrupted' && data.link.state === 'live') {
          backUntil = performance.now() + BACK_MS;
          setTimeout(showState, BACK_MS + 50);
        }
        link = data.link;
      }
      player.receive(event, data);
      // The connection is said as it is, however far behind the picture.
      if (event === 'snapshot' || event === 'link') showState();
      if (event === 'snapshot') readMarks();
    },
    phase(next) {
      phase = next;
      clearTimeout(goneSoon);
      // It may be another run of the program, with another key.
      if (next === 'open') void learnRole(aside);
      if (next === 'open' || next === 'hidden') gone = false;
      else if (!gone) goneSoon = setTimeout(() => { gone = phase !== 'open' && phase !== 'hidden'; showState(); }, GRACE_MS);
      showState();
    },
  });

  return { close: () => stream.close() };
}

/** Width of a letter of the page's monospaced face, as a share of its size. @param {HTMLElement} near */
function monoRatio(near) {
  const pen = document.createElement('canvas').getContext('2d');
  if (!pen) return 0.6;
  pen.font = `100px ${getComputedStyle(near).getPropertyValue('--mono') || 'monospace'}`;
  return pen.measureText('0'.repeat(10)).width / 1000 || 0.6;
}

const aside = document.getElementById('panel');
if (aside) {
  const { words, stories, lesson } = JSON.parse(document.getElementById('words')?.textContent || '{}');
  openPanel(aside, { words: words ?? {}, stories: stories ?? {}, lesson, url: aside.dataset.events });
}
