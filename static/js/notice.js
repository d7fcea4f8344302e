// @ts-check
/**
 * Owns how the connection is said: the name of the source, the state beside it, the kinds that cannot be seen, and
 * over the scene what to do about a fault. Says only what the source said; never opens or closes anything.
 */

import { may } from './act.js';
import { h } from './dom.js';
import { icon, sign } from './draw.js';
import { isEmpty } from './model.js';
import { entry } from './stepbox.js';

/** Where what a fault says can be looked at is told per cause; these are all there are words for. */
const CAUSES = ['no-kubeconfig', 'kubeconfig-unreadable', 'context-not-found', 'unreachable', 'timeout', 'unauthorized', 'forbidden', 'tls', 'other'];
const FAULT_SIGNS = /** @type {Record<string, string>} */ ({ unauthorized: 'unauthorized', forbidden: 'forbidden', tls: 'tls', unreachable: 'interrupted', timeout: 'interrupted' });
/** Against these waiting does not help: a person has to do something. */
const REFUSALS = ['unauthorized', 'forbidden', 'tls'];
/** The names RBAC has for the kinds that are watched. */
const RESOURCES = /** @type {Record<string, string>} */ ({
  Pod: 'pods', PersistentVolumeClaim: 'persistentvolumeclaims', PersistentVolume: 'persistentvolumes', StorageClass: 'storageclasses.storage.k8s.io',
  StatefulSet: 'statefulsets.apps', Deployment: 'deployments.apps', ReplicaSet: 'replicasets.apps', Node: 'nodes', Event: 'events',
});

/**
 * @typedef {object} How How things are, as far as they are to be said.
 * @property {import('./model.js').Model} model What the reader looks at.
 * @property {any} link The connection as last heard, ahead of the frames that still wait.
 * @property {boolean} gone The program itself does not answer.
 * @property {boolean} back The connection came back a moment ago.
 * @property {boolean} begun Whether anything happened since a recording began.
 * @property {boolean} paused
 * @property {boolean} past
 */

/** @param {number} ms */
function day(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`;
}

/** @param {How} how @returns {'connecting' | 'live' | 'empty' | 'interrupted' | 'misconfigured' | 'gone'} */
export function stateName({ model, link, gone, past }) {
  if (gone) return 'gone';
  if (!model.source) return 'connecting';
  if (link.state !== 'live') return link.state;
  return isEmpty(model) && model.source.kind !== 'recording' && !past ? 'empty' : 'live';
}

/**
 * @param {HTMLElement} aside The panel, whose data attributes say the same to styles and tests.
 * @param {object} options
 * @param {Record<string, string>} options.words
 * @param {(key: string, params?: Record<string, unknown>) => string} options.say
 * @param {(value: string) => HTMLElement} options.command
 * @param {(ms: number) => string} options.clock
 * @param {(text: string) => void} options.announce
 * @param {{id: string, acts: import('./deed.js').Act[]} | undefined} options.first The step that fills an empty namespace.
 */
export function openNotice(aside, { words, say, command, clock, announce, first }) {
  const source = h('span', { class: 'chip chip-source' });
  const namespace = h('span', { class: 'panel-namespace' });
  const state = h('span', { class: 'panel-state', role: 'status' });
  const kinds = h('span', { class: 'panel-kinds' });
  const drawer = h('div', { class: 'panel-drawer', hidden: true });
  const notice = h('div', { class: 'panel-notice', hidden: true });
  const has = (/** @type {string} */ key) => key in words;
  const begin = first?.acts.find((act) => act.do === 'apply');
  const beginning = begin && entry(begin, say, announce, say('state.empty.do'));
  /** @type {string | null} */
  let openKind = null;
  let fallbackSeen = false;

  const causeOf = (/** @type {any} */ fault) => (CAUSES.includes(fault?.cause) ? fault.cause : 'other');
  const faultParams = (/** @type {any} */ fault) => ({ context: fault?.context ?? fault?.contexts?.[0] ?? '', path: fault?.path ?? '~/.kube/config' });

  /** @param {How} how */
  function show(how) {
    const { model, link } = how;
    const name = stateName(how);
    const from = model.source;
    aside.dataset.state = name;
    if (from) aside.dataset.source = from.kind;
    source.className = `chip chip-source chip-${from?.kind ?? 'none'}`;
    source.replaceChildren(...(from ? [h('b', {}, [say(`panel.source.${from.kind}`)]), from.kind === 'recording' ? (from.recorded ? day(from.recorded) : from.label) : from.kind === 'kube' ? from.label : ''] : []));
    source.hidden = !from;
    source.title = from?.label ?? '';
    namespace.replaceChildren(...(from?.namespace ? [h('span', { class: 'word' }, ['namespace ']), from.namespace] : []));
    const back = how.back && name !== 'gone' && name !== 'interrupted';
    const said = how.past && name === 'live' ? say('time.past', { time: clock(model.at) })
      : how.paused && name === 'live' ? say('panel.paused')
        : back ? say('panel.state.back')
          : name === 'live' && from?.kind === 'recording' ? say('panel.state.playing')
            : say(`panel.state.${name}`, { time: clock(link.since) });
    // A status that is written anew is read out anew.
    if (state.textContent !== said) state.replaceChildren(...(how.past && name === 'live' ? [icon('past'), said] : [said]));
    state.classList.toggle('is-back', back && !how.past);
    showKinds(how);
    showNotice(how);
  }

  /** @param {How} how */
  function showKinds(how) {
    const { model, link } = how;
    const chips = Object.entries(link.kinds ?? {}).filter(([, is]) => is === 'forbidden' || is === 'partial' || (is === 'failing' && link.state === 'live')).map(([kind, is]) =>
      is === 'forbidden'
        ? h('button', { type: 'button', class: 'chip chip-forbidden', 'aria-expanded': String(openKind === kind), data: { forbidden: kind }, onclick: () => { openKind = openKind === kind ? null : kind; showKinds(how); } }, [icon('eye'), say('state.forbidden', { kind })])
        : h('span', { class: 'chip chip-failing', data: { [is]: kind } }, [say(`state.${is}`, { kind })]));
    const fault = model.source?.fallback;
    if (fault && !fallbackSeen) {
      chips.push(h('button', { type: 'button', class: 'chip chip-fallback', 'aria-expanded': String(openKind === 'fallback'), onclick: () => { openKind = openKind === 'fallback' ? null : 'fallback'; showKinds(how); } }, [say(`fault.${causeOf(fault)}.title`, faultParams(fault))]));
    }
    kinds.replaceChildren(...chips);
    kinds.hidden = chips.length === 0;
    if (!chips.some((chip) => chip.getAttribute('aria-expanded') === 'true')) openKind = null;
    if (openKind === 'fallback' && fault) drawer.replaceChildren(...fallbackText(fault, how));
    else if (openKind && openKind !== 'fallback') {
      const resource = RESOURCES[openKind] ?? openKind.toLowerCase();
      drawer.replaceChildren(h('p', {}, [say('state.forbidden.text', { kind: openKind })]), command(say('state.forbidden.command', { resource })));
    }
    drawer.hidden = !openKind;
  }

  /** @param {any} fault @param {How} how */
  function fallbackText(fault, how) {
    return [
      h('p', {}, [say(how.model.source.kind === 'embedded' ? 'state.fallback.embedded' : 'state.fallback.text')]),
      h('p', { class: 'detail' }, [fault.detail ?? '']),
      command(say('state.fallback.command')),
      h('button', { type: 'button', class: 'tool', onclick: () => { fallbackSeen = true; openKind = null; showKinds(how); } }, [say('panel.close')]),
    ];
  }

  /** @param {How} how */
  function showNotice(how) {
    const { model, link } = how;
    const name = stateName(how);
    const blank = name === 'live' && model.source?.kind === 'recording' && !how.begun && !how.past && isEmpty(model);
    const what = blank ? 'blank' : name;
    const params = { time: clock(link.since), namespace: model.source?.namespace ?? '', ...faultParams(link.fault), context: link.fault?.context ?? model.source?.label ?? '' };
    aside.dataset.notice = what === 'live' ? '' : what;
    const acts = what === 'empty' && Boolean(begin) && may(model.source, how.past, aside.dataset.role).allowed;
    if (acts) beginning?.show(true, model);
    if (what === 'live') {
      // The button that filled the namespace goes; the keyboard goes on in the scene.
      if (notice.contains(document.activeElement)) /** @type {HTMLElement | null} */ (aside.querySelector('.panel-scene'))?.focus({ preventScroll: true });
      notice.hidden = true;
      notice.replaceChildren();
      notice.dataset.for = '';
      return;
    }
    const key = JSON.stringify([what, params, link.fault, isEmpty(model), acts]);
    if (notice.dataset.for === key) return;
    notice.dataset.for = key;
    notice.hidden = false;
    notice.classList.toggle('is-over', !isEmpty(model));
    notice.replaceChildren(h('div', { class: `notice notice-${what}` }, textOf(what, params, how, acts)));
  }

  /** @param {string} what @param {Record<string, string>} params @param {How} how @param {boolean} acts Whether the page may act. @returns {(Node | null)[]} */
  function textOf(what, params, { model, link }, acts) {
    const text = (/** @type {string} */ title, /** @type {string} */ body) => [h('h3', {}, [title]), h('p', {}, [body])];
    if (what === 'misconfigured' || (what === 'connecting' && REFUSALS.includes(link.fault?.cause ?? ''))) {
      const fault = link.fault ?? { cause: 'other', detail: '' };
      const cause = causeOf(fault);
      const contexts = cause === 'context-not-found' ? (fault.contexts ?? []) : [];
      return [
        sign(FAULT_SIGNS[cause] ?? 'misconfigured'),
        ...text(say(`fault.${cause}.title`, params), say(cause === 'context-not-found' && !contexts.length ? 'fault.context-not-found.none' : `fault.${cause}.text`, params)),
        ...(cause === 'context-not-found'
          ? contexts.length ? contexts.map((/** @type {string} */ context) => command(say('fault.context-not-found.command', { context }))) : [command(say('state.fallback.command'))]
          : has(`fault.${cause}.command`) ? [command(say(`fault.${cause}.command`, params))] : []),
        fault.detail ? h('p', { class: 'detail' }, [fault.detail]) : null,
      ];
    }
    if (what === 'empty') {
      const typed = [
        // The embedded cluster is no context of the reader's own kubeconfig: kubectl has to be told of it.
        model.source.kubeconfig ? command(say('state.empty.kubeconfig.command', { path: model.source.kubeconfig })) : null,
        h('a', { class: 'download', href: '/manifests/stateful-app.tar.gz', download: true }, [say('state.empty.download')]),
        command(say('state.empty.unpack')),
        command(say('state.empty.command')),
      ];
      return [
        sign('empty'),
        ...text(say('state.empty.title', params), say('state.empty.text', params)),
        ...(acts && beginning
          ? [h('ul', { class: 'notice-acts' }, [beginning.element]), h('details', { class: 'notice-typed' }, [h('summary', {}, [say('state.empty.typed')]), h('div', {}, typed)])]
          : [first ? h('a', { class: 'notice-step', href: `#${first.id}` }, [say('state.empty.step')]) : null, ...typed]),
      ];
    }
    const fault = what === 'interrupted' || what === 'connecting' ? link.fault : null;
    return [
      sign(what === 'blank' ? 'recording' : what),
      ...text(say(`state.${what}.title`, params), say(`state.${what}.text`, params)),
      has(`state.${what}.command`) ? command(say(`state.${what}.command`, params)) : null,
      fault?.detail ? h('p', { class: 'detail' }, [fault.detail]) : null,
    ];
  }

  return { who: h('span', { class: 'panel-who' }, [source, namespace, state]), kinds, drawer, notice, show, showNotice };
}
