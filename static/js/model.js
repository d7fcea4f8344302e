// @ts-check
/**
 * Owns what the panel knows: the cards, who sits where, what was seen inside the volumes, and how long a
 * frame is worth looking at. Pure: no DOM, no clock, no network; time comes with the frames. Hands on the
 * arrangement (who belongs to which seat, claim and volume) to the layout. Never measures a pixel.
 */

import { word } from './shell.js';
import { shown, shownLines } from './shown.js';

/**
 * @typedef {Record<string, any> & {kind: string, uid: string, name: string}} Card The few fields of an object.
 * @typedef {{key: string, params: Record<string, string>}} Story
 * @typedef {{columns: string[], rows: string[][], at: number, pod?: string, podUid?: string, volume?: string}} Seen
 * @typedef {Seen & {key: string, claim?: string, query: string, before?: Seen, fault?: {cause: string, detail: string, at: number}}} Inside
 *   The rows last seen, those of the body before, and what stood in the way of the last look.
 * @typedef {{group: string, slot: number}} Place
 *
 * @typedef {object} Memory Where things were put, so that nobody moves because somebody else left.
 * @property {Map<string, {width: number}>} groups Known groups, left to right, and the widest they were.
 * @property {Map<string, Place>} pods By uid; only Pods whose name says nothing about their place.
 * @property {Map<string, Place>} claims By name; kept for the volume that outlives its claim.
 * @property {Map<string, Place>} volumes By name; only volumes that no claim places.
 * @property {Map<string, number>} lanes How wide each claim's place was since the last arrival.
 * @property {Set<string>} seen The uids of the claims and volumes that have come.
 * @property {Map<string, string>} parents ReplicaSet name to Deployment name, remembered past both.
 *
 * @typedef {object} Model
 * @property {string} epoch
 * @property {number} seq
 * @property {number} at The cluster's clock at the last frame, ms since 1970.
 * @property {any} source
 * @property {any} link
 * @property {Map<string, Card>} cards By uid.
 * @property {Map<string, Inside>} inside By claim, or by workload where there is none: the last look inside.
 * @property {Map<string, {uid: string, volume: string, at: number, kind: 'same' | 'rebound' | 'other'}>} same By claim
 *   name: a new body was seen Ready on the volume the old one had, by the same claim or by another, or on another volume.
 * @property {Map<string, Card>} unsure By uid: Pods whose record went first, so that nobody knows of their containers.
 * @property {Map<string, string[]>} had By the name of a Pod with a seat: the uids of the claims its last body had.
 * @property {Set<string>} reborn The uids of Pods that took the name of one that had died.
 * @property {{steps: Record<string, any>} | null} lesson How far the lesson is; null where the server tells of none.
 * @property {Memory} memory
 */

/** @returns {Memory} */
function newMemory() {
  return { groups: new Map(), pods: new Map(), claims: new Map(), volumes: new Map(), lanes: new Map(), seen: new Set(), parents: new Map() };
}

/**
 * A model that has heard nothing yet.
 * @returns {Model}
 */
export function newModel() {
  return {
    epoch: '',
    seq: -1,
    at: 0,
    source: null,
    link: { state: 'connecting', since: 0, kinds: {} },
    cards: new Map(),
    inside: new Map(),
    same: new Map(),
    unsure: new Map(),
    had: new Map(),
    reborn: new Set(),
    lesson: null,
    memory: newMemory(),
  };
}

/** How a story says that a new body is Ready to what it says of the disk. */
const READY = /** @type {Record<string, 'same' | 'rebound' | 'other'>} */ ({ 'pod.ready.same': 'same', 'pod.ready.rebound': 'rebound', 'pod.ready.other': 'other' });

/**
 * Takes one frame in. Total: a frame it does not know changes only the clock. Taking the same frame twice
 * leaves the model as taking it once.
 * @param {Model} model Changed in place.
 * @param {string} event
 * @param {any} data
 * @returns {Model} The same model.
 */
export function apply(model, event, data) {
  model.at = data.at ?? model.at;
  model.seq = data.seq ?? model.seq;
  switch (event) {
    case 'snapshot':
      model.same.clear();
      model.unsure.clear();
      model.had.clear();
      model.reborn.clear();
      model.epoch = data.epoch;
      model.source = data.source;
      model.lesson = data.lesson ?? null;
      model.link = data.link;
      model.cards = new Map(data.cards.map((/** @type {Card} */ card) => [card.uid, card]));
      model.memory = newMemory();
      model.inside = new Map();
      for (const inside of data.insides) look(model, inside, inside.at);
      break;
    case 'added':
    case 'modified':
      model.cards.set(data.card.uid, data.card);
      if (data.story?.key.startsWith('pod.recreated')) model.reborn.add(data.card.uid);
      if (READY[data.story?.key]) {
        model.same.set(data.story.params.claim, {
          uid: data.card.uid,
          volume: data.story.params.volume,
          at: data.at,
          kind: READY[data.story.key],
        });
      }
      // Once the next one serves, the doubt about the last is no longer what a reader looks at.
      if (data.card.kind === 'Pod' && data.card.isReady) {
        for (const [uid, card] of model.unsure) if (card.name === data.card.name || (card.owner && card.owner.uid === data.card.owner?.uid)) model.unsure.delete(uid);
      }
      break;
    case 'deleted':
      if (data.card.kind === 'Pod' && data.card.owner?.kind === 'StatefulSet') {
        const named = new Set((data.card.claims ?? []).map((/** @type {any} */ use) => use.claim));
        model.had.set(data.card.name, cardsOf(model, 'PersistentVolumeClaim').filter((claim) => named.has(claim.name)).map((claim) => claim.uid));
      }
      model.cards.delete(data.card.uid);
      model.reborn.delete(data.card.uid);
      if (data.story?.key.startsWith('pod.gone.forced')) model.unsure.set(data.card.uid, data.card);
      if (data.card.kind === 'PersistentVolumeClaim') model.same.delete(data.card.name);
      if (data.card.kind === 'PersistentVolume') forgetRows(model, data.card);
      // What lived on no claim is known by its workload, and gone with it.
      if (model.inside.has(data.card.name) && !model.inside.get(data.card.name)?.claim && ['Deployment', 'StatefulSet'].includes(data.card.kind)) model.inside.delete(data.card.name);
      for (const [claim, mark] of model.same) if (mark.uid === data.card.uid) model.same.delete(claim);
      break;
    case 'link':
      model.link = data.link;
      break;
    case 'lesson':
      model.lesson = { steps: { ...model.lesson?.steps, ...data.steps } };
      break;
    case 'inside':
      look(model, data.inside, data.at);
      break;
    case 'restarted':
      model.cards.clear();
      model.inside.clear();
      model.same.clear();
      model.unsure.clear();
      model.had.clear();
      model.reborn.clear();
      model.memory = newMemory();
      break;
  }
  return model;
}

/**
 * Takes a look inside in. One that failed says why beside the rows last known; one through another body keeps what
 * was seen through the body before.
 * @param {Model} model @param {any} inside @param {number} at
 */
function look(model, inside, at) {
  const key = inside.key ?? inside.claim;
  const known = model.inside.get(key);
  if (inside.fault) {
    const none = { key, claim: inside.claim, query: inside.query ?? '', columns: [], rows: [], at };
    model.inside.set(key, { ...(known ?? none), fault: { ...inside.fault, at } });
    return;
  }
  const claim = cardsOf(model, 'PersistentVolumeClaim').find((card) => card.name === inside.claim);
  // The server may know better than the claim of now, which need not be the one that was looked through.
  const volume = inside.volume ?? claim?.volume;
  const seen = { ...inside, key, at, ...(volume ? { volume } : {}) };
  const other = known?.columns.length && known.podUid && inside.podUid && known.podUid !== inside.podUid;
  const before = other ? { columns: known.columns, rows: known.rows, at: known.at, pod: known.pod, podUid: known.podUid, volume: known.volume } : known?.before;
  model.inside.set(key, before ? { ...seen, before } : seen);
}

/**
 * The rows last seen in a volume, by the volume's own name: a claim of an old name may have another one.
 * @param {Model} model @param {Card} volume
 * @returns {Inside | undefined}
 */
export function rowsIn(model, volume) {
  for (const inside of model.inside.values()) {
    if (inside.volume === volume.name) return inside;
    if (inside.before?.volume === volume.name) return { key: inside.key, claim: inside.claim, query: inside.query, ...inside.before };
    // A look of which no more is known than its claim is one into the volume that this claim had.
    if (!inside.volume && inside.claim && inside.claim === volume.claim?.name) return inside;
  }
  return undefined;
}

/** A volume that is gone takes along what was seen in it. @param {Model} model @param {Card} volume */
function forgetRows(model, volume) {
  for (const [key, inside] of model.inside) {
    if (inside.before?.volume === volume.name) model.inside.set(key, { ...inside, before: undefined });
    if (inside.volume === volume.name || (!inside.volume && inside.claim && inside.claim === volume.claim?.name)) model.inside.delete(key);
  }
}

/**
 * The key under which a Pod's rows are known: its first claim, or else the workload it belongs to.
 * @param {Model} model @param {Card} pod
 */
export function lookKey(model, pod) {
  if (pod.claims?.[0]) return pod.claims[0].claim;
  const owner = pod.owner;
  if (!owner) return pod.name;
  return (owner.kind === 'ReplicaSet' ? model.memory.parents.get(owner.name) : undefined) ?? owner.name;
}

/** What may stand in the way of a look; there are words for each. */
const FAULTS = ['no-pod', 'not-ready', 'no-database', 'no-table', 'refused', 'other'];

/** Whether the last body of a seat had this very claim, not only one of its name. @param {Model} model @param {string} pod @param {Card} claim */
export function hadClaim(model, pod, claim) {
  return Boolean(model.had.get(pod)?.includes(claim.uid)) && !claim.deleting;
}

/** The key of the words for what stood in the way of a look. @param {{cause: string}} fault */
export function faultKey(fault) {
  return `look.fault.${FAULTS.includes(fault.cause) ? fault.cause : 'other'}`;
}

/**
 * How long ago something was, no finer than is worth telling: the key of the words and their number.
 * @param {number} ms
 * @returns {{key: 'now' | 'seconds' | 'minutes' | 'hours', n: number}}
 */
export function ageOf(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 5) return { key: 'now', n: 0 };
  if (s < 60) return { key: 'seconds', n: s < 10 ? s : s - (s % 10) };
  if (s < 3600) return { key: 'minutes', n: Math.floor(s / 60) };
  return { key: 'hours', n: Math.floor(s / 3600) };
}

/**
 * @param {Model} model
 * @param {string} kind
 * @returns {Card[]} in the order they came
 */
export function cardsOf(model, kind) {
  return [...model.cards.values()].filter((card) => card.kind === kind);
}

/**
 * Whether the namespace holds nothing a reader could see happen.
 * @param {Model} model
 */
export function isEmpty(model) {
  for (const card of model.cards.values()) {
    if (card.kind === 'Event' || card.kind === 'StorageClass' || card.kind === 'Node') continue;
    if (card.kind === 'PersistentVolume' && !volumeIsOurs(model, card)) continue;
    return false;
  }
  return true;
}

/** @param {Model} model @param {Card} volume */
function volumeIsOurs(model, volume) {
  return !volume.claim || volume.claim.namespace === model.source?.namespace;
}

// ---------------------------------------------------------------------------------------------------------
// How a Pod, a claim or a volume is doing

/**
 * @typedef {'ok' | 'busy' | 'bad' | 'gone' | 'calm'} Tone What colour says.
 * @typedef {'check' | 'dots' | 'clock' | 'hourglass' | 'stop' | 'cross' | 'lock' | 'bang'} Mark What shape says.
 */

const TROUBLE = /^(Init:)?(Error|CrashLoopBackOff|ErrImage.*|ImagePullBackOff|InvalidImageName|CreateContainer.*Error|RunContainerError|ContainerCannotRun|StartError|OOMKilled|Failed|Evicted|DeadlineExceeded|OutOf.*|ExitCode:\d+|Signal:\d+|NodeLost|Unknown|ContainerStatusUnknown|Lost)$/;

/**
 * @param {Card} pod
 * @returns {{tone: Tone, mark: Mark}}
 */
export function podHealth(pod) {
  if (TROUBLE.test(pod.status)) return { tone: 'bad', mark: 'cross' };
  if (isOver(pod)) return { tone: 'gone', mark: 'stop' };
  if (pod.deleting) return { tone: 'busy', mark: 'hourglass' };
  if (pod.isReady) return { tone: 'ok', mark: 'check' };
  if (isHomeless(pod)) return { tone: 'busy', mark: 'bang' };
  if (pod.status === 'Pending' && !pod.node) return { tone: 'calm', mark: 'clock' };
  return { tone: 'busy', mark: 'dots' };
}

/**
 * A claim that waits is healthy and never looks like trouble.
 * @param {Card} claim
 * @returns {{tone: Tone, mark: Mark}}
 */
export function claimHealth(claim) {
  if (claim.deleting) return { tone: 'busy', mark: 'hourglass' };
  if (claim.status === 'Bound') return { tone: 'ok', mark: 'check' };
  if (claim.status === 'Lost') return { tone: 'bad', mark: 'cross' };
  return { tone: 'calm', mark: 'clock' };
}

/**
 * @param {Card} volume
 * @returns {{tone: Tone, mark: Mark}}
 */
export function volumeHealth(volume) {
  if (volume.deleting) return { tone: 'busy', mark: 'hourglass' };
  if (volume.status === 'Bound') return { tone: 'ok', mark: 'check' };
  if (volume.status === 'Failed') return { tone: 'bad', mark: 'cross' };
  if (volume.status === 'Released') return { tone: 'gone', mark: 'stop' };
  return { tone: 'calm', mark: 'clock' };
}

/** Whether the scheduler found no node, and not for want of a claim, which is a healthy wait. @param {Card} pod */
export function isHomeless(pod) {
  return !pod.node && !isOver(pod) && Boolean(pod.message) && !/persistentvolumeclaim/i.test(pod.message);
}

/** Whether the containers of a Pod have stopped for good. @param {Card} pod */
export function isOver(pod) {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/**
 * How a Pod holds a claim it names: it only `names` it until it has a node, is `reaching` for it while the
 * kubelet prepares the volumes, is `plugged` once a container ran on it, and `pulled` when all is over.
 * @param {Card} pod
 * @returns {'names' | 'reaching' | 'plugged' | 'pulled'}
 */
export function grip(pod) {
  if (isOver(pod)) return 'pulled';
  if (!pod.node) return 'names';
  const ran = pod.restarts > 0 || (pod.containers ?? []).some((/** @type {any} */ c) => c.state !== 'waiting');
  return ran ? 'plugged' : 'reaching';
}

/**
 * Seconds left until the kubelet may use force, and the share of the grace period that is left.
 * @param {Card} pod
 * @param {number} at the cluster's clock, ms
 * @returns {{seconds: number, share: number} | null} null when the Pod is not being stopped
 */
export function graceLeft(pod, at) {
  if (!pod.deleting || isOver(pod) || !pod.deleting.grace) return null;
  const left = Math.max(0, pod.deleting.deadline - at);
    // The API rounds the deadline up to a second, which must not make more of the grace than was given.
  return { seconds: Math.min(pod.deleting.grace, Math.ceil(left / 1000)), share: Math.min(1, left / (pod.deleting.grace * 1000)) };
}

// ---------------------------------------------------------------------------------------------------------
// Who sits where

/**
 * @typedef {object} Shelf A claim's place: the claim, if it is there, and the volumes that belong under it.
 * @property {string} name
 * @property {Card | null} claim
 * @property {Card[]} volumes The volume it is bound to, or about to be.
 * @property {Card[]} left Volumes that belonged to an earlier claim of this name.
 * @property {number} [lanes] How wide it was while more stood here; only an arrival makes it narrower.
 *
 * @typedef {object} Column
 * @property {string | null} seat The name on the plate; null where names belong to bodies.
 * @property {boolean} wanted Whether the controller wants somebody here.
 * @property {Card | null} pod
 * @property {Card[]} [unsure] Pods of this place whose record went before their containers.
 * @property {Shelf[]} shelves
 *
 * @typedef {object} Group
 * @property {string} key
 * @property {string} kind StatefulSet, Deployment, another owner's kind, `Pod` (nobody's), `Loose` (no Pod).
 * @property {string} name
 * @property {Card | null} controller
 * @property {Card[]} sets ReplicaSets of a Deployment that matter: wanted or with Pods.
 * @property {Column[]} columns
 *
 * @typedef {object} Arrangement
 * @property {Group[]} groups left to right
 * @property {Card[]} classes
 * @property {Card[]} nodes
 */

/** No screen shows more seats than this; the rest are counted. */
const COLUMNS_MAX = 400;

/**
 * Puts every card in its place. Places are remembered in the model: a leaving body, claim or group leaves a
 * gap, and only an arrival may close it.
 * @param {Model} model
 * @returns {Arrangement}
 */
export function arrange(model) {
  const memory = model.memory;
  /** @type {Map<string, Group>} */
  const groups = new Map();
  /** @type {Record<string, Card[]>} */
  const kinds = {};
  for (const card of model.cards.values()) (kinds[card.kind] ??= []).push(card);
  const of = (/** @type {string} */ kind) => kinds[kind] ?? [];
  const byName = (/** @type {Card} */ a, /** @type {Card} */ b) =>
    a.name.localeCompare(b.name, 'en', { numeric: true });

  /** @param {string} kind @param {string} name */
  const group = (kind, name) => {
    const key = `${kind}/${name}`;
    let found = groups.get(key);
    if (!found) {
      found = { key, kind, name, controller: null, sets: [], columns: [] };
      groups.set(key, found);
    }
    return found;
  };

  for (const card of of('StatefulSet').sort(byName)) group('StatefulSet', card.name).controller = card;
  for (const card of of('Deployment').sort(byName)) group('Deployment', card.name).controller = card;
  for (const card of of('ReplicaSet').sort(byName)) {
    if (card.owner?.kind === 'Deployment') {
      memory.parents.set(card.name, card.owner.name);
      if (card.replicas > 0 || card.existing > 0) group('Deployment', card.owner.name).sets.push(card);
    } else if (card.replicas > 0 || card.existing > 0) {
      group('ReplicaSet', card.name).controller = card;
    }
  }

  /**
   * The Deployment behind a Pod's ReplicaSet. Each kind has a watch of its own: a Pod may be heard of before its
   * ReplicaSet, whose name says whose it is.
   * @param {Card['owner']} owner
   */
  const parentOf = (owner) => {
    if (owner?.kind !== 'ReplicaSet') return undefined;
    const set = owner.name;
    const known = memory.parents.get(set);
    const named = set.slice(0, Math.max(0, set.lastIndexOf('-')));
    return known ?? (groups.has(`Deployment/${named}`) ? named : undefined);
  };

  /** @type {Map<string, Card[]>} */
  const seated = new Map();
  /** @type {Card[]} Pods of nobody that come to a claim which is there already. */
  const guests = [];
  for (const pod of of('Pod')) {
    const owner = pod.owner;
    const parent = parentOf(owner);
    const loose = owner ? undefined : memory.claims.get(pod.claims?.[0]?.claim);
    if (loose?.group === 'Loose/' || memory.pods.get(pod.uid)?.group === 'Loose/') {
      guests.push(pod);
      continue;
    }
    const mine = parent ? group('Deployment', parent) : owner ? group(owner.kind, owner.name) : group('Pod', '');
    const list = seated.get(mine.key);
    if (list) list.push(pod);
    else seated.set(mine.key, [pod]);
  }

  for (const mine of groups.values()) {
    const pods = seated.get(mine.key) ?? [];
    if (mine.kind === 'StatefulSet') seatByOrdinal(mine, pods);
    else seatByArrival(mine, pods, memory);
  }
  seatGuests(guests, group, memory);
  for (const pod of model.unsure.values()) {
    const parent = parentOf(pod.owner);
    const mine = groups.get(parent ? `Deployment/${parent}` : pod.owner ? `${pod.owner.kind}/${pod.owner.name}` : 'Pod/');
    if (!mine) continue;
    const place = mine.columns.find((seat) => seat.seat === pod.name) ?? mine.columns[0];
    if (place) (place.unsure ??= []).push(pod);
  }
  shelve(model, groups, group, of('PersistentVolumeClaim').sort(byName), of('PersistentVolume').sort(byName));
  return { groups: keepPlaces(groups, memory), classes: of('StorageClass').sort(byName), nodes: of('Node').sort(byName) };
}

/**
 * The places that things have come to since a moment, as a page has them that was open all the time.
 * @param {{keyframe: any, frames: {event: string, data: any}[]}} history From a whole board on, up to now.
 * @param {Model} now @returns {Memory}
 */
export function placesSince({ keyframe, frames }, now) {
  const model = apply(newModel(), 'snapshot', { insides: [], link: now.link, ...keyframe, epoch: now.epoch, source: now.source });
  arrange(model);
  for (const { event, data } of frames) {
    apply(model, event, data);
    if (data.card) arrange(model);
  }
  return model.memory;
}

/** @param {Group} group @param {number} slot @returns {Column} */
function column(group, slot) {
  while (group.columns.length <= slot) group.columns.push({ seat: null, wanted: false, pod: null, shelves: [] });
  return group.columns[slot];
}

/** A StatefulSet's seats carry names, and a name is a place. @param {Group} group @param {Card[]} pods */
function seatByOrdinal(group, pods) {
  const set = group.controller;
  const start = set?.start ?? 0;
  const wanted = Math.min(set?.replicas ?? 0, COLUMNS_MAX);
  for (let slot = 0; slot < wanted; slot += 1) {
    const seat = column(group, slot);
    seat.seat = `${group.name}-${start + slot}`;
    seat.wanted = true;
  }
  for (const pod of pods) {
    const slot = (pod.ordinal ?? Number(/-(\d+)$/.exec(pod.name)?.[1] ?? 0)) - start;
    if (slot < 0 || slot >= COLUMNS_MAX) continue;
    const seat = column(group, slot);
    seat.seat = pod.name;
    // Two cards of one name can be there for a moment when a list was missed; the younger one sits.
    if (!seat.pod || (seat.pod.created ?? 0) <= (pod.created ?? 0)) seat.pod = pod;
  }
}

/** Elsewhere a body takes the first free place and keeps it. @param {Group} group @param {Card[]} pods @param {Memory} memory */
function seatByArrival(group, pods, memory) {
  const present = new Set(pods.map((pod) => pod.uid));
  for (const [uid, place] of memory.pods) if (place.group === group.key && !present.has(uid)) memory.pods.delete(uid);
  const taken = new Set();
  for (const pod of pods) {
    const place = memory.pods.get(pod.uid);
    if (place?.group === group.key) taken.add(place.slot);
    else memory.pods.delete(pod.uid);
  }
  let free = 0;
  for (const pod of [...pods].sort((a, b) => (a.created ?? 0) - (b.created ?? 0) || (a.name < b.name ? -1 : 1))) {
    let place = memory.pods.get(pod.uid);
    if (!place) {
      while (taken.has(free)) free += 1;
      taken.add(free);
      place = { group: group.key, slot: free };
      memory.pods.set(pod.uid, place);
    }
    if (place.slot < COLUMNS_MAX * 25) column(group, place.slot).pod = pod;
  }
  let missing = Math.min(group.controller?.replicas ?? 0, COLUMNS_MAX);
  for (let slot = 0; slot < group.columns.length; slot += 1) {
    const pod = group.columns[slot].pod;
    if (pod && !pod.deleting && !isOver(pod)) missing -= 1;
  }
  for (let slot = 0; missing > 0; slot += 1) {
    const seat = column(group, slot);
    if (seat.pod) continue;
    seat.wanted = true;
    missing -= 1;
  }
}

/** A Pod of nobody sits above the claim it uses, if that was there before it. @param {Card[]} pods @param {(kind: string, name: string) => Group} group @param {Memory} memory */
function seatGuests(pods, group, memory) {
  for (const pod of pods) {
    const place = memory.pods.get(pod.uid) ?? memory.claims.get(pod.claims[0].claim);
    if (!place) continue;
    let { slot } = place;
    const loose = group('Loose', '');
    while (column(loose, slot).pod) slot += 1;
    memory.pods.set(pod.uid, { group: 'Loose/', slot });
    column(loose, slot).pod = pod;
  }
  const present = new Set(pods.map((pod) => pod.uid));
  for (const [uid, place] of memory.pods) if (place.group === 'Loose/' && !present.has(uid)) memory.pods.delete(uid);
}

/**
 * Puts claims under the Pods that use them, and volumes under their claims.
 * @param {Model} model
 * @param {Map<string, Group>} groups
 * @param {(kind: string, name: string) => Group} group
 * @param {Card[]} claims
 * @param {Card[]} volumes
 */
function shelve(model, groups, group, claims, volumes) {
  const memory = model.memory;
  /** @type {Map<string, Place>} Who uses a claim, or would by its name. */
  const users = new Map();
  for (const mine of groups.values()) {
    const set = mine.controller;
    mine.columns.forEach((seat, slot) => {
      for (const use of seat.pod?.claims ?? []) if (!users.has(use.claim)) users.set(use.claim, { group: mine.key, slot });
    });
    for (const template of mine.kind === 'StatefulSet' ? (set?.claimTemplates ?? []) : []) {
      const prefix = `${template}-${mine.name}-`;
      for (const claim of claims) {
        const ordinal = claim.name.startsWith(prefix) ? Number(claim.name.slice(prefix.length)) : NaN;
        const slot = ordinal - (set?.start ?? 0);
        if (Number.isInteger(slot) && slot >= 0 && slot < COLUMNS_MAX && !users.has(claim.name)) {
          users.set(claim.name, { group: mine.key, slot });
        }
      }
    }
  }

  /** @type {Map<string, Shelf>} */
  const shelves = new Map();
  /** @param {string} name @param {Map<string, Place>} places @param {string} label */
  const shelf = (name, places, label) => {
    const found = shelves.get(label);
    if (found) return found;
    let place = places.get(name);
    const user = places === memory.claims ? users.get(name) : undefined;
    if (!place || (place.group === 'Loose/' && user)) place = user ?? { group: 'Loose/', slot: freeLoose(memory) };
    places.set(name, place);
    const at = place.group.indexOf('/');
    const made = /** @type {Shelf} */ ({ name, claim: null, volumes: [], left: [] });
    column(group(place.group.slice(0, at), place.group.slice(at + 1)), place.slot).shelves.push(made);
    shelves.set(label, made);
    return made;
  };

  // Volumes made by hand stand side by side before any claim comes to them, in the order of their names.
  for (const volume of volumes) {
    const claim = volume.claim?.name;
    if (volume.provisioner || !volumeIsOurs(model, volume) || memory.volumes.has(volume.name)) continue;
    if (claim && (users.has(claim) || memory.claims.has(claim))) continue;
    memory.volumes.set(volume.name, { group: 'Loose/', slot: freeLoose(memory) });
  }
  for (const claim of claims) {
    // The claim comes to the volume that was chosen for it, and the others stay where they are.
    const chosen = claim.volume ? memory.volumes.get(claim.volume) : undefined;
    const place = memory.claims.get(claim.name);
    if (chosen && !users.has(claim.name) && (!place || place.group === 'Loose/')) {
      memory.claims.set(claim.name, chosen);
      memory.volumes.delete(claim.volume);
    }
    shelf(claim.name, memory.claims, `claim ${claim.name}`).claim = claim;
  }
  /** @type {Map<string, string>} */
  const wantedBy = new Map(claims.filter((claim) => claim.volume).map((claim) => [claim.volume, claim.name]));
  const living = new Set();
  for (const volume of volumes) {
    if (!volumeIsOurs(model, volume)) continue;
    const name = volume.claim?.name ?? wantedBy.get(volume.name);
    living.add(volume.name);
    if (name) {
      living.add(name);
      const mine = shelf(name, memory.claims, `claim ${name}`);
      // The name may have come back; only the uid says whether the claim did.
      const another = mine.claim && volume.claim?.uid && volume.claim.uid !== mine.claim.uid;
      (another ? mine.left : mine.volumes).push(volume);
    } else {
      shelf(volume.name, memory.volumes, `volume ${volume.name}`).volumes.push(volume);
    }
  }
  for (const claim of claims) living.add(claim.name);
  for (const places of [memory.claims, memory.volumes]) {
    for (const name of places.keys()) if (!living.has(name)) places.delete(name);
  }
  const arrived = [...claims, ...volumes].some((card) => !memory.seen.has(card.uid));
  if (arrived) {
    memory.lanes.clear();
    memory.seen = new Set([...claims, ...volumes].map((card) => card.uid));
  }
  for (const [label, made] of shelves) {
    made.lanes = Math.max(memory.lanes.get(label) ?? 0, Math.max(1, made.volumes.length) + made.left.length);
    memory.lanes.set(label, made.lanes);
  }
  for (const made of shelves.values()) {
    made.volumes.sort((a, b) => Number(b.name === made.claim?.volume) - Number(a.name === made.claim?.volume));
  }
}

/** @param {Memory} memory */
function freeLoose(memory) {
  const taken = new Set();
  for (const places of [memory.claims, memory.volumes]) {
    for (const place of places.values()) if (place.group === 'Loose/') taken.add(place.slot);
  }
  let slot = 0;
  while (taken.has(slot)) slot += 1;
  return slot;
}

/** Groups that come at once stand in the order in which they were made. @param {Map<string, Group>} groups */
function byAge(groups) {
  const age = (/** @type {string} */ key) => groups.get(key)?.controller?.created ?? Infinity;
  return [...groups.keys()].sort((a, b) => (age(a) === age(b) ? 0 : age(a) - age(b)));
}

/**
 * Groups in the order they were first seen; those that left stay as gaps until somebody new comes.
 * @param {Map<string, Group>} groups
 * @param {Memory} memory
 * @returns {Group[]}
 */
function keepPlaces(groups, memory) {
  const arrived = [...groups.keys()].some((key) => !memory.groups.has(key));
  if (groups.size === 0) memory.groups.clear();
  if (arrived) for (const key of [...memory.groups.keys()]) if (!groups.has(key)) memory.groups.delete(key);
  // The loose group stands last, wherever it was first seen, so that owners keep the left.
  for (const key of byAge(groups)) {
    const width = arrived ? 0 : (memory.groups.get(key)?.width ?? 0);
    memory.groups.set(key, { width: Math.max(width, groups.get(key)?.columns.length ?? 0, 1) });
  }
  const order = [...memory.groups.keys()].sort((a, b) => Number(a === 'Loose/') - Number(b === 'Loose/'));
  return order.map((key) => {
    const at = key.indexOf('/');
    const mine = groups.get(key) ?? { key, kind: 'Gap', name: key.slice(at + 1), controller: null, sets: [], columns: [] };
    column(mine, (memory.groups.get(key)?.width ?? 1) - 1);
    return mine;
  });
}

// ---------------------------------------------------------------------------------------------------------
// Words

/** A volume made for a claim is called `pvc-` and a uid: the first eight signs are enough. @param {string} name */
export function shortVolume(name) {
  return /^pvc-[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name) ? `${name.slice(0, 12)}…` : name;
}

/**
 * Puts values into a text, as they read: `{pod}` is replaced where a value named `pod` is given; other braces, such as a
 * jsonpath's `{.status.phase}`, are left alone.
 * @param {string} text
 * @param {Record<string, unknown>} params
 */
export function fill(text, params) {
  return put(text, params, shown);
}

/** The same for a line that is run: each value is one word of a shell. @param {string} text @param {Record<string, unknown>} params */
export function fillLine(text, params) {
  return put(text, params, word);
}

/** @param {string} text @param {Record<string, unknown>} params @param {(value: unknown) => string} as */
function put(text, params, as) {
  return text.replace(/\{([a-z][A-Za-z]*)\}/g, (all, name) => (Object.hasOwn(params, name) ? as(params[name]) : all));
}

/**
 * Speaks in the words of a language; what has a key that ends with `.command` is a line that is run.
 * @param {Record<string, string>} words
 * @returns {(key: string, params?: Record<string, unknown>) => string}
 */
export function speaker(words) {
  return (key, params = {}) => (key.endsWith('.command') ? fillLine : fill)(words[key] ?? key, params);
}

/**
 * @typedef {{key: string, who: string, what: string, why: string, field: string, kubectl: string}} Told
 */

/**
 * The words of a story. An event of the cluster for which there are no words is told in its own.
 * @param {Story} story
 * @param {Record<string, any>} stories
 * @returns {Told}
 */
export function tell(story, stories) {
  const words = stories[story.key];
  // In a sentence a volume's name is read, in a command it is run.
  const { volume } = story.params;
  const short = volume ? { ...story.params, volume: shortVolume(volume) } : story.params;
  const say = (/** @type {string} */ part) => (words?.[part] ? fill(words[part], short) : '');
  if (words) return { key: story.key, who: say('who'), what: say('what'), why: say('why'), field: say('field'), kubectl: words.kubectl ? fillLine(words.kubectl, story.params) : '' };
  const reason = story.key.replace(/^event\./, '');
  const { from = '', object = '', message = '' } = story.params;
  return { key: story.key, who: shown(from), what: [reason, object].filter(Boolean).map(shown).join(' '), why: shownLines(message), field: '', kubectl: '' };
}

// ---------------------------------------------------------------------------------------------------------
// Pace

/** How long a reader needs, ms; the longest matching beginning of a key counts. */
const HOLDS = /** @type {Record<string, number>} */ ({
  'pod.': 1000,
  'pod.created': 1000,
  'pod.recreated': 1600,
  'pod.replaced': 1500,
  'pod.killing': 1600,
  'pod.stopped': 1300,
  'pod.gone': 1500,
  'pod.gone.seat': 2200,
  'pod.gone.forced': 2400,
  'pod.gone.released': 2000,
  'pod.ready': 1200,
  'pod.ready.same': 1600,
  'pod.ready.rebound': 1800,
  'pod.ready.other': 2000,
  'pod.mounting': 1300,
  'pod.mounting.shared': 2400,
  'pvc.': 1000,
  'pvc.named': 800,
  'pvc.bound': 1200,
  'pvc.created.again': 1600,
  'pvc.deleting.held': 2000,
  'pvc.gone': 1600,
  'pv.': 1000,
  'pv.chosen': 1800,
  'pv.freed': 1500,
  'pv.gone.wiped': 1800,
  'pv.released': 1500,
  'sts.': 1100,
  'deploy.': 1100,
  'rs.': 800,
  'event.': 800,
  'link.': 700,
  'gap.': 700,
});
const CAPTION_MS = 1200;
const INSIDE_MS = 1400;
const RESTART_MS = 900;
const SILENT_MS = 0;
/** Up to this many told things waiting, each gets its full time. */
const PATIENCE = 9;

/**
 * @param {string} event
 * @param {any} data
 * @returns {boolean} whether a reader would notice that this frame was skipped
 */
export function isTold(event, data) {
  return Boolean(data.story) || event === 'said' || event === 'inside' || event === 'restarted';
}

/**
 * How long to hold a frame before the next: as long as its story takes to read, less when many are waiting.
 * @param {string} event
 * @param {any} data
 * @param {number} behind how many told frames are waiting behind this one
 * @param {number} speed 1, 0.5 or 0.25
 * @returns {number} milliseconds
 */
export function holdOf(event, data, behind, speed) {
  let hold = SILENT_MS;
  if (event === 'said') hold = CAPTION_MS;
  else if (event === 'inside') hold = INSIDE_MS;
  else if (event === 'restarted') hold = RESTART_MS;
  else if (data.story) {
    let best = '';
    for (const key of Object.keys(HOLDS)) if (data.story.key.startsWith(key) && key.length > best.length) best = key;
    hold = HOLDS[best] ?? 900;
  }
  const quick = Math.min(1, Math.max(0.05, PATIENCE / Math.max(1, behind)));
  return Math.round((hold * quick) / speed);
}
