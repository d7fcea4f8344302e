// @ts-check
/**
 * Owns the panel beside the text: builds its DOM, lets frames pass at a pace a reader can follow, writes the
 * story, and says how the connection is and what to do about it. Hands scenes to draw.js. Touches neither
 * SVG nor EventSource, and shows only what the source said.
 */

import { commandLine, h } from './dom.js';
import { icon, openStage, sign } from './draw.js';
import { publish } from './feed.js';
import { layout } from './layout.js';
import { ago } from './look.js';
import { apply, arrange, fill, graceLeft, hadClaim, holdOf, isEmpty, isTold, newModel, rowsIn, tell } from './model.js';
import { openStream } from './stream.js';

/** Lines of the story that are kept; a class of ninety minutes does not need more. */
const LINES_MAX = 200;
/** More frames than this in a paused buffer are not worth keeping: a new snapshot costs less. */
const BUFFER_MAX = 5000;
/** So long a lost connection may be a hiccup and is not yet told. */
const GRACE_MS = 1200;
/** How long a plug travels to its socket. */
const PLUGGED_MS = 560;
/** How often the ages of rows are told anew. */
const AGEING_MS = 10_000;
/** How long "back again" stays. */
const BACK_MS = 5000;
const SPEEDS = /** @type {const} */ ([[1, '1×'], [0.5, '½'], [0.25, '¼']]);
/** Where what a fault says can be looked at is told per cause; these are all there are words for. */
const CAUSES = ['no-kubeconfig', 'kubeconfig-unreadable', 'context-not-found', 'unreachable', 'timeout', 'unauthorized', 'forbidden', 'tls', 'other'];
const FAULT_SIGNS = /** @type {Record<string, string>} */ ({ unauthorized: 'unauthorized', forbidden: 'forbidden', tls: 'tls', unreachable: 'interrupted', timeout: 'interrupted' });
/** The names RBAC has for the kinds that are watched. */
const RESOURCES = /** @type {Record<string, string>} */ ({
  Pod: 'pods', PersistentVolumeClaim: 'persistentvolumeclaims', PersistentVolume: 'persistentvolumes', StorageClass: 'storageclasses.storage.k8s.io',
  StatefulSet: 'statefulsets.apps', Deployment: 'deployments.apps', ReplicaSet: 'replicasets.apps', Node: 'nodes', Event: 'events',
});

/** What was typed, after the prompt of the shell unless it brings one of its own, such as psql's. @param {string} text */
function typed(text) {
  const own = /^\w+[=(-][*]?[#>] /.exec(text)?.[0];
  return [h('span', { class: 'prompt', 'aria-hidden': 'true' }, [own ?? '$ ']), text.slice(own?.length ?? 0)];
}

const clock = (/** @type {number} */ ms) => new Date(ms).toLocaleTimeString('ja-JP', { hour12: false });

/** @param {number} ms */
function day(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`;
}

/**
 * Opens the panel in an element and keeps it alive as long as the page is.
 * @param {HTMLElement} aside
 * @param {{words: Record<string, string>, stories: Record<string, any>, url?: string}} options
 * @returns {{close: () => void}}
 */
export function openPanel(aside, { words, stories, url = '/events' }) {
  const say = (/** @type {string} */ key, /** @type {Record<string, unknown>} */ params = {}) => fill(words[key] ?? key, params);
  const has = (/** @type {string} */ key) => key in words;
  const still = matchMedia('(prefers-reduced-motion: reduce)');

  const model = newModel();
  /** @type {{event: string, data: any}[]} */
  let queue = [];
  let behind = 0;
  let paused = false;
  let speed = 1;
  let overflown = false;
  let drawing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let holding;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let ticking;
  let shownAt = performance.now();
  /** @type {'opening' | 'open' | 'lost' | 'hidden'} */
  let phase = 'opening';
  let gone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let goneSoon;
  /** @type {any} The connection as last heard, ahead of the frames that still wait. */
  let link = model.link;
  let backUntil = 0;
  /** @type {string | null} */
  let openKind = null;
  let fallbackSeen = false;
  /** Whether anything happened since the recording began. */
  let begun = false;

  // -------------------------------------------------------------------------------------------------------
  // DOM

  const live = h('div', { class: 'unseen', 'aria-live': 'polite' });
  const announce = (/** @type {string} */ text) => { live.textContent = text; };
  const command = (/** @type {string} */ value) => commandLine(value, say, announce);

  const source = h('span', { class: 'chip chip-source' });
  const namespace = h('span', { class: 'panel-namespace' });
  const state = h('span', { class: 'panel-state', role: 'status' });
  const kinds = h('span', { class: 'panel-kinds' });
  const pauseButton = h('button', { type: 'button', class: 'tool', 'aria-pressed': 'false', onclick: () => setPaused(!paused) });
  const speeds = h('span', { class: 'speeds', role: 'group', 'aria-label': say('panel.speed') }, SPEEDS.map(([value, label]) =>
    h('button', { type: 'button', class: 'tool', 'aria-pressed': String(value === 1), data: { speed: String(value) }, onclick: () => setSpeed(value) }, [label])));
  const jumpButton = h('button', { type: 'button', class: 'tool tool-jump', hidden: true, onclick: jump });
  const bigButton = h('button', { type: 'button', class: 'tool', 'aria-pressed': 'false', onclick: () => setProjector(!projected()) });
  const bar = h('header', { class: 'panel-bar' }, [
    h('span', { class: 'panel-who' }, [source, namespace, state]),
    h('span', { class: 'panel-tools' }, [jumpButton, pauseButton, speeds, bigButton]),
    kinds,
  ]);
  const drawer = h('div', { class: 'panel-drawer', hidden: true });
  const terminal = h('p', { class: 'panel-terminal', hidden: true });
  const host = h('div', { class: 'panel-scene', tabindex: '0', role: 'group', 'aria-label': say('panel.scene') });
  const notice = h('div', { class: 'panel-notice', hidden: true });
  const list = h('ol', { class: 'story' });
  const latest = h('button', { type: 'button', class: 'tool latest', hidden: true, onclick: () => toEnd(true) }, [say('panel.latest')]);
  const storyBox = h('section', { class: 'panel-story', 'aria-label': say('panel.story') }, [h('p', { class: 'story-empty' }, [say('panel.story.empty')]), list, latest]);
  aside.replaceChildren(h('div', { class: 'panel-frame' }, [
    bar,
    h('div', { class: 'panel-body' }, [h('div', { class: 'panel-stage' }, [terminal, h('div', { class: 'panel-view' }, [host, notice, drawer])]), storyBox]),
    live,
  ]));
  aside.classList.add('panel');
  if (!aside.hasAttribute('aria-label')) aside.setAttribute('aria-label', say('panel.title'));
  const stage = openStage(host);
  const mono = monoRatio(aside);

  // -------------------------------------------------------------------------------------------------------
  // Frames in, at the pace of a reader

  /** Shows frames up to the next one that needs time, then waits that long. */
  function pump() {
    holding = undefined;
    if (paused) return;
    let hold = 0;
    /** @type {{event: string, data: any} | undefined} */
    let told;
    let restart = false;
    while (queue.length && hold === 0) {
      const next = /** @type {{event: string, data: any}} */ (queue.shift());
      if (isTold(next.event, next.data)) {
        behind -= 1;
        told = next;
      }
      hold = holdOf(next.event, next.data, behind, speed);
      restart ||= next.event === 'restarted';
      take(next.event, next.data, true);
    }
    shown();
    // A story is drawn as it is told; of what only arrives, such as a list, the last picture is enough.
    if (told || restart) draw(!restart);
    else drawSoon();
    if (told) light(told.event, told.data);
    showBehind();
    if (hold > 0) holding = setTimeout(pump, hold);
    else if (overflown && !queue.length) {
      overflown = false;
      stream.reopen();
    }
  }

  /** Draws once for all that arrives until the next picture of the screen is due. */
  function drawSoon() {
    if (drawing) return;
    drawing = true;
    const now = () => {
      drawing = false;
      draw(true);
    };
    // A page that nobody sees gets no animation frames.
    if (document.visibilityState === 'visible') requestAnimationFrame(now);
    else setTimeout(now, 100);
  }

  function shown() {
    shownAt = performance.now();
  }

  /** The cluster's clock as the reader sees it: it stands while the panel is paused. */
  function now() {
    return model.at + (paused ? 0 : (performance.now() - shownAt) * speed * (model.source?.speed ?? 1));
  }

  /** @param {string} event @param {any} data @param {boolean} aloud */
  function take(event, data, aloud) {
    apply(model, event, data);
    publish(event, data, model);
    if (event === 'said') {
      terminal.hidden = false;
      terminal.replaceChildren(...typed(data.text));
      addLine(h('li', { class: 'line line-said', data: { story: 'said' } }, [h('time', {}, [clock(data.at)]), h('code', {}, typed(data.text))]));
      if (aloud) announce(`${say('panel.terminal')}: ${data.text}`);
    } else if (event === 'restarted') {
      terminal.replaceChildren(...typed(''));
      begun = false;
      addLine(h('li', { class: 'line line-restart', data: { story: 'restarted' } }, [h('span', {}, [say('panel.restarted')])]));
      if (aloud) announce(say('panel.restarted'));
    }
    if (data.story) {
      begun = true;
      const told = tell(data.story, stories);
      addLine(storyLine(told, data.at));
      if (aloud) announce(told.what);
    }
  }

  /** Lights what the story speaks of. @param {string} event @param {any} data */
  function light(event, data) {
    if (event === 'inside') {
      const volume = [...model.cards.values()].find((card) => card.kind === 'PersistentVolume' && rowsIn(model, card)?.key === (data.inside.key ?? data.inside.claim));
      if (volume) stage.spot(`volume:${volume.uid}`);
      return;
    }
    const card = data.card;
    const kind = /** @type {Record<string, string>} */ ({ Pod: 'body', PersistentVolumeClaim: 'claim', PersistentVolume: 'volume', StorageClass: 'class' })[card?.kind] ?? 'controller';
    const seat = card?.kind === 'Pod' && event === 'deleted';
    stage.spot(card ? (seat ? `seat:${model.source?.namespace}/${card.name}` : `${kind}:${card.uid}`) : '');
    if (still.matches || !data.story) return;
    // The one moment the chapter is about: the new body takes the claim that the old one had.
    if (data.story.key === 'pod.running' && model.reborn.has(card.uid)) {
      for (const use of card.claims ?? []) {
        const claim = [...model.cards.values()].find((other) => other.kind === 'PersistentVolumeClaim' && other.name === use.claim);
        // Rung when the plug arrives, not when it sets out.
        if (claim && hadClaim(model, card.name, claim)) setTimeout(() => stage.pulse(`claim:${claim.uid}`, say('scene.same.claim')), PLUGGED_MS);
      }
    }
  }

  function jump() {
    clearTimeout(holding);
    holding = undefined;
    if (overflown) {
      queue = [];
      behind = 0;
      overflown = false;
      showBehind();
      stream.reopen();
      return;
    }
    // Lines that would be pushed out at once are not worth making.
    let lines = queue.filter(({ event, data }) => isTold(event, data)).length;
    for (const { event, data } of queue) {
      if (!isTold(event, data) || lines-- <= LINES_MAX) take(event, data, false);
      else {
        apply(model, event, data);
        publish(event, data, model);
      }
    }
    queue = [];
    behind = 0;
    shown();
    stage.spot('');
    draw(false);
    showBehind();
    showState();
    toEnd(true);
  }

  /** @param {boolean} next */
  function setPaused(next) {
    if (paused === next) return;
    if (next) model.at = now();
    paused = next;
    shown();
    if (paused) {
      clearTimeout(holding);
      holding = undefined;
      clearTimeout(ticking);
    } else if (overflown) {
      jump();
    } else {
      pump();
    }
    showTools();
    showState();
  }

  /** @param {number} next */
  function setSpeed(next) {
    model.at = now();
    shown();
    speed = next;
    for (const button of speeds.querySelectorAll('button')) button.setAttribute('aria-pressed', String(Number(button.dataset.speed) === next));
  }

  function projected() {
    return document.documentElement.hasAttribute('data-projector');
  }

  /** One attribute on the root, which the page's own button sets as well. @param {boolean} on */
  function setProjector(on) {
    document.documentElement.toggleAttribute('data-projector', on);
  }

  // -------------------------------------------------------------------------------------------------------
  // Scene

  function draw(/** @type {boolean} */ animate) {
    const width = Math.floor(host.clientWidth);
    const height = Math.floor(host.clientHeight);
    if (width < 50 || height < 50) return;
    const scene = layout(arrange(model), model, { width, height, projector: projected(), mono, say });
    stage.draw(scene, animate && !still.matches && document.visibilityState === 'visible');
    countDown();
    // The first object of a namespace, or its last one, changes the state as a message of the link does.
    if (aside.dataset.state === stateName()) showNotice();
    else showState();
  }

  function countDown() {
    clearTimeout(ticking);
    const at = now();
    age(at);
    const running = stage.countdown((deleting) => graceLeft(/** @type {any} */ ({ deleting }), at) ?? { seconds: 0, share: 0 });
    if (running && !paused) ticking = setTimeout(countDown, Math.min(4000, 1000 / speed));
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let ageing;
  /** How old the rows in the volumes are; told anew now and then, as long as there are some. @param {number} at */
  function age(at) {
    clearTimeout(ageing);
    const any = stage.ages((then, last) => (last ? `${say('look.last')} ` : '') + ago(at - then, say));
    if (any && !paused && document.visibilityState === 'visible') ageing = setTimeout(() => age(now()), AGEING_MS);
  }

  new ResizeObserver(() => draw(false)).observe(host);
  // Large type changes every measure, even where the room stays the same.
  new MutationObserver(() => {
    showTools();
    draw(false);
    toEnd(false);
  }).observe(document.documentElement, { attributes: true, attributeFilter: ['data-projector'] });

  // -------------------------------------------------------------------------------------------------------
  // Story

  /** @param {import('./model.js').Told} told @param {number} at */
  function storyLine(told, at) {
    const more = told.field || told.kubectl;
    const line = h('li', { class: `line kind-${told.key.split('.')[0]}`, data: { story: told.key } });
    const head = [h('time', {}, [clock(at)]), told.who ? h('span', { class: 'actor', data: { actor: told.who } }, [told.who]) : null, h('strong', {}, [told.what])];
    const why = told.why ? h('p', { class: 'why' }, [told.why]) : null;
    if (!more) {
      line.append(h('div', { class: 'line-head' }, head), ...(why ? [why] : []));
      return line;
    }
    const fold = h('details', {}, [
      h('summary', { class: 'line-head' }, head),
      h('div', { class: 'proof' }, [told.field ? h('code', { class: 'field' }, [told.field]) : null, told.kubectl ? command(told.kubectl) : null]),
    ]);
    line.append(fold, ...(why ? [why] : []));
    return line;
  }

  let following = true;
  storyBox.addEventListener('scroll', () => {
    following = storyBox.scrollHeight - storyBox.scrollTop - storyBox.clientHeight < 60;
    if (following) latest.hidden = true;
  });

  /** @param {HTMLElement} line */
  function addLine(line) {
    storyBox.classList.add('has-lines');
    list.querySelector('.is-now')?.classList.remove('is-now');
    line.classList.add('is-now');
    list.append(line);
    while (list.children.length > LINES_MAX) list.firstElementChild?.remove();
    toEnd(false);
  }

  /** @param {boolean} anyway */
  function toEnd(anyway) {
    if (anyway) following = true;
    if (following) storyBox.scrollTop = storyBox.scrollHeight;
    latest.hidden = following;
  }

  // -------------------------------------------------------------------------------------------------------
  // How the connection is, and what to do

  /** @returns {'connecting' | 'live' | 'empty' | 'interrupted' | 'misconfigured' | 'gone'} */
  function stateName() {
    if (gone) return 'gone';
    if (!model.source) return 'connecting';
    if (link.state !== 'live') return link.state;
    return isEmpty(model) && model.source.kind !== 'recording' ? 'empty' : 'live';
  }

  function showState() {
    const name = stateName();
    const from = model.source;
    aside.dataset.state = name;
    if (from) aside.dataset.source = from.kind;
    source.className = `chip chip-source chip-${from?.kind ?? 'none'}`;
    source.replaceChildren(...(from ? [h('b', {}, [say(`panel.source.${from.kind}`)]), from.kind === 'recording' ? (from.recorded ? day(from.recorded) : from.label) : from.kind === 'kube' ? from.label : ''] : []));
    source.hidden = !from;
    source.title = from?.label ?? '';
    namespace.replaceChildren(...(from?.namespace ? [h('span', { class: 'word' }, ['namespace ']), from.namespace] : []));
    const back = performance.now() < backUntil && name !== 'gone' && name !== 'interrupted';
    state.textContent = paused && name === 'live' ? say('panel.paused') : back ? say('panel.state.back') : name === 'live' && from?.kind === 'recording' ? say('panel.state.playing') : say(`panel.state.${name}`, { time: clock(link.since) });
    state.classList.toggle('is-back', back);
    showKinds();
    showTools();
    showNotice();
  }

  function showKinds() {
    const chips = Object.entries(link.kinds ?? {}).filter(([, how]) => how === 'forbidden' || (how === 'failing' && link.state === 'live')).map(([kind, how]) =>
      how === 'forbidden'
        ? h('button', { type: 'button', class: 'chip chip-forbidden', 'aria-expanded': String(openKind === kind), data: { forbidden: kind }, onclick: () => { openKind = openKind === kind ? null : kind; showKinds(); } }, [icon('eye'), say('state.forbidden', { kind })])
        : h('span', { class: 'chip chip-failing', data: { failing: kind } }, [say('state.failing', { kind })]));
    const fault = model.source?.fallback;
    if (fault && !fallbackSeen) {
      chips.push(h('button', { type: 'button', class: 'chip chip-fallback', 'aria-expanded': String(openKind === 'fallback'), onclick: () => { openKind = openKind === 'fallback' ? null : 'fallback'; showKinds(); } }, [say(`fault.${causeOf(fault)}.title`, faultParams(fault))]));
    }
    kinds.replaceChildren(...chips);
    kinds.hidden = chips.length === 0;
    if (!chips.some((chip) => chip.getAttribute('aria-expanded') === 'true')) openKind = null;
    if (openKind === 'fallback' && fault) drawer.replaceChildren(...fallbackText(fault));
    else if (openKind && openKind !== 'fallback') {
      const resource = RESOURCES[openKind] ?? openKind.toLowerCase();
      drawer.replaceChildren(h('p', {}, [say('state.forbidden.text', { kind: openKind })]), command(say('state.forbidden.command', { resource })));
    }
    drawer.hidden = !openKind;
  }

  const causeOf = (/** @type {any} */ fault) => (CAUSES.includes(fault?.cause) ? fault.cause : 'other');
  const faultParams = (/** @type {any} */ fault) => ({ context: fault?.context ?? fault?.contexts?.[0] ?? '', path: fault?.path ?? '~/.kube/config' });

  /** @param {any} fault */
  function fallbackText(fault) {
    return [
      h('p', {}, [say(model.source.kind === 'embedded' ? 'state.fallback.embedded' : 'state.fallback.text')]),
      h('p', { class: 'detail' }, [fault.detail ?? '']),
      command(say('state.fallback.command')),
      h('button', { type: 'button', class: 'tool', onclick: () => { fallbackSeen = true; openKind = null; showKinds(); } }, [say('panel.close')]),
    ];
  }

  function showNotice() {
    const name = stateName();
    const blank = name === 'live' && model.source?.kind === 'recording' && !begun && isEmpty(model);
    const what = blank ? 'blank' : name;
    const params = { time: clock(link.since), namespace: model.source?.namespace ?? '', ...faultParams(link.fault), context: link.fault?.context ?? model.source?.label ?? '' };
    aside.dataset.notice = what === 'live' ? '' : what;
    if (what === 'live') {
      notice.hidden = true;
      notice.replaceChildren();
      notice.dataset.for = '';
      return;
    }
    const key = JSON.stringify([what, params, link.fault, isEmpty(model)]);
    if (notice.dataset.for === key) return;
    notice.dataset.for = key;
    notice.hidden = false;
    notice.classList.toggle('is-over', !isEmpty(model));
    const text = (/** @type {string} */ title, /** @type {string} */ body) => [h('h3', {}, [title]), h('p', {}, [body])];
    /** @type {(Node | null)[]} */
    let parts;
    // Waiting does not help against these: a person has to do something.
    const refused = ['unauthorized', 'forbidden', 'tls'].includes(link.fault?.cause ?? '');
    if (what === 'misconfigured' || (what === 'connecting' && refused)) {
      const fault = link.fault ?? { cause: 'other', detail: '' };
      const cause = causeOf(fault);
      const contexts = cause === 'context-not-found' ? (fault.contexts ?? []) : [];
      parts = [
        sign(FAULT_SIGNS[cause] ?? 'misconfigured'),
        ...text(say(`fault.${cause}.title`, params), say(cause === 'context-not-found' && !contexts.length ? 'fault.context-not-found.none' : `fault.${cause}.text`, params)),
        ...(cause === 'context-not-found'
          ? contexts.length ? contexts.map((/** @type {string} */ context) => command(say('fault.context-not-found.command', { context }))) : [command(say('state.fallback.command'))]
          : has(`fault.${cause}.command`) ? [command(say(`fault.${cause}.command`, params))] : []),
        fault.detail ? h('p', { class: 'detail' }, [fault.detail]) : null,
      ];
    } else if (what === 'empty') {
      parts = [
        sign('empty'),
        ...text(say('state.empty.title', params), say('state.empty.text', params)),
        model.source.acting?.allowed ? h('button', { type: 'button', class: 'menu-do', data: { lesson: 'apply' }, 'aria-haspopup': 'dialog' }, [say('menu.apply.here')]) : null,
        // The embedded cluster is no context of the reader's own kubeconfig: kubectl has to be told of it.
        model.source.kubeconfig ? command(say('state.empty.kubeconfig', { path: model.source.kubeconfig })) : null,
        h('a', { class: 'download', href: '/manifests/stateful-app.tar.gz', download: true }, [say('state.empty.download')]),
        command(say('state.empty.unpack')),
        command(say('state.empty.command')),
      ];
    } else {
      const fault = what === 'interrupted' || what === 'connecting' ? link.fault : null;
      parts = [
        sign(what === 'blank' ? 'recording' : what),
        ...text(say(`state.${what}.title`, params), say(`state.${what}.text`, params)),
        has(`state.${what}.command`) ? command(say(`state.${what}.command`, params)) : null,
        fault?.detail ? h('p', { class: 'detail' }, [fault.detail]) : null,
      ];
    }
    notice.replaceChildren(h('div', { class: `notice notice-${what}` }, parts.filter((part) => part !== null).map((part) => /** @type {Node} */ (part))));
  }

  function showTools() {
    pauseButton.replaceChildren(icon(paused ? 'play' : 'pause'));
    pauseButton.setAttribute('aria-pressed', String(paused));
    pauseButton.setAttribute('aria-label', say(paused ? 'panel.resume' : 'panel.pause'));
    pauseButton.title = say(paused ? 'panel.resume' : 'panel.pause');
    const full = projected();
    bigButton.replaceChildren(icon(full ? 'small' : 'big'));
    bigButton.setAttribute('aria-pressed', String(full));
    bigButton.setAttribute('aria-label', say(full ? 'panel.projector.off' : 'panel.projector'));
    bigButton.title = say(full ? 'panel.projector.off' : 'panel.projector');
    aside.dataset.paused = String(paused);
  }

  function showBehind() {
    aside.dataset.behind = String(behind);
    const worth = behind > 2 || (paused && behind > 0) || overflown;
    // A button that goes away must not take the keyboard with it.
    if (!worth && document.activeElement === jumpButton) host.focus({ preventScroll: true });
    jumpButton.hidden = !worth;
    if (worth) jumpButton.replaceChildren(h('span', { class: 'count' }, [say('panel.behind', { n: overflown ? `${BUFFER_MAX}+` : behind })]), icon('jump'), h('span', { class: 'word' }, [say('panel.jump')]));
  }

  aside.addEventListener('keydown', (event) => {
    const inside = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || inside.closest('input, textarea, select')) return;
    if (event.key === ' ' && !inside.closest('button, summary, a')) {
      event.preventDefault();
      setPaused(!paused);
    } else if (event.key === 'p') {
      setProjector(!projected());
    }
  });

  showTools();
  showBehind();
  showState();
  const stream = openStream(url, {
    frame(event, data) {
      if (event === 'snapshot') {
        queue = [];
        behind = 0;
        overflown = false;
        clearTimeout(holding);
        holding = undefined;
        link = data.link;
        apply(model, event, data);
        publish(event, data, model);
        begun = false;
        // A recording tells what was typed; its line is there from the start, or the scene would shift for it.
        terminal.hidden = model.source?.kind !== 'recording';
        terminal.replaceChildren(...typed(''));
        shown();
        aside.dataset.epoch = data.epoch;
        stage.spot('');
        draw(false);
        showState();
        showBehind();
        return;
      }
      if (event === 'link') {
        if (link.state === 'interrupted' && data.link.state === 'live') backUntil = performance.now() + BACK_MS;
        link = data.link;
        showState();
        if (backUntil) setTimeout(showState, BACK_MS + 50);
      }
      if (queue.length >= BUFFER_MAX) overflown = true;
      if (overflown) return;
      queue.push({ event, data });
      if (isTold(event, data)) behind += 1;
      if (!holding) pump();
      showBehind();
    },
    phase(next) {
      phase = next;
      clearTimeout(goneSoon);
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
  const { words, stories } = JSON.parse(document.getElementById('words')?.textContent || '{}');
  openPanel(aside, { words: words ?? {}, stories: stories ?? {}, url: aside.dataset.events });
}
