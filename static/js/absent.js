// @ts-check
/**
 * Owns the shapes of what is not there any more, or not yet: the tag of a claim that is gone on the volume it
 * had, the hand of a claim that waits for a Pod, and the shade of a Pod whose record went before its containers.
 * Pure geometry, as layout.js, which places them; never touches the DOM.
 */

import { shortUid, widthOf, wrapName } from './names.js';

/** @typedef {import('./model.js').Card} Card */
/** @typedef {import('./layout.js').Item} Item */
/** @typedef {import('./layout.js').Line} Line */
/** @typedef {import('./layout.js').Room} Room */

/**
 * The claim is gone; its name and uid still hang on the volume, and that is why nobody else may have it.
 * @param {Card} volume @param {{x: number, w: number, top: number, foot: number, lh: number}} at The lane, and the band
 *   between seats and volumes. @param {Room} room @param {number} s
 * @returns {Item}
 */
export function tagItem(volume, at, room, s) {
  const { say } = room;
  const { lh } = at;
  const w = Math.min(at.w, 17 * s);
  const chars = Math.floor((w - 2.6 * s) / (room.mono * s));
  const roomFor = Math.floor((at.foot - at.top - 2.6 * s) / lh);
  const name = wrapName(volume.claim.name, chars, Math.max(1, Math.min(3, roomFor - 2)));
  const uid = volume.claim.uid ? `uid ${shortUid(volume.claim.uid)}` : '';
  const texts = [['claimRef', 'kind'], ...name.map((t) => [t, 'mono quiet']), ...(uid && roomFor > name.length + 1 ? [[uid, 'mono quiet']] : [])];
  const h = texts.length * lh + 0.8 * s;
  // It hangs askew from a string, as something that is held by one end only.
  const string = Math.max(1.4 * s, Math.min(3.2 * s, at.foot - at.top - h));
  return {
    id: `tag:${volume.uid}`, type: 'tag', x: at.x + (at.w - w) / 2, y: at.foot - string - h, w, h, s, string,
    hooks: { tag: volume.name }, label: say('aria.tag', { volume: volume.name, claim: volume.claim.name }),
    lines: texts.map(([t, look], i) => ({ t, x: w / 2, y: 0.4 * s + lh * (i + 0.78), size: s, look, at: /** @type {const} */ ('middle') })),
  };
}

/**
 * A claim whose class waits for its first consumer reaches up to where a Pod would be.
 * @param {Card} claim @param {{x: number, from: number, to: number, w: number, lh: number}} at Middle of the lane, top of
 *   the claim, and the height at which heads are. @param {Room} room @param {number} s
 * @returns {Item}
 */
export function waitItem(claim, at, room, s) {
  const text = room.say('scene.awaits');
  const r = 1.9 * s;
  const w = Math.min(at.w, Math.max(2 * r, widthOf(text, s, 0.56)) + 0.4 * s);
  const y = Math.max(at.to, at.from - 13 * s);
  return {
    id: `wait:${claim.uid}`, type: 'wait', x: at.x - w / 2, y, w, h: at.from - y, s, r, hooks: { awaits: claim.name }, label: room.say('aria.wait', { claim: claim.name }),
    lines: [{ t: text, x: w / 2, y: 2 * r + 1.3 * s, size: s, look: 'quiet', at: 'middle', fit: widthOf(text, s, 0.56) > at.w ? at.w : undefined }],
  };
}

/**
 * The record of a Pod went at once, and its container may still run: a shade behind the new body, its plug still in.
 * @param {Card} pod @param {{x: number, y: number, w: number, r: number, foot: number, tight: boolean, claim?: {x: number, y: number}}} at The seat, and the socket it was in.
 * @param {Room} room @param {number} s
 * @returns {Item}
 */
export function shadeItem(pod, at, room, s) {
  const r = Math.max(1.5 * s, at.r * 0.62);
  const cx = at.w - r - 0.2 * s;
  const text = room.say('scene.unsure');
  const size = Math.max(s * 0.96, Math.min(s, (at.w - s) / Math.max(1, widthOf(text, 1, 0.56))));
  return {
    id: `shade:${pod.uid}`, type: 'shade', x: at.x, y: at.y, w: at.w, h: at.foot, s, r, cx, cy: r + 0.5 * s, uid: pod.uid, hooks: { shade: pod.uid },
    wire: at.claim ? { x: at.claim.x - at.x, y: at.claim.y - at.y } : null,
    label: room.say('aria.shade', { name: pod.name, uid: shortUid(pod.uid) }),
    // Where the bands are tight there is no room for words above the seat; the mark and the story say it.
    lines: at.tight ? [] : [{ t: text, x: at.w - 0.3 * s, y: -0.35 * s, size, look: 'strong tone-busy', at: 'end', fit: widthOf(text, size, 0.56) > at.w ? at.w : undefined }],
  };
}
