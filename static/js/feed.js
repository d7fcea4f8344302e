// @ts-check
/**
 * What the panel has shown so far, for the rest of the page: steps, predictions and lanes hear each frame when the
 * reader sees it, and never before. Owns nothing; the model belongs to the panel.
 */

/** @typedef {(event: string, data: any, model: import('./model.js').Model) => void} Listener */

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {import('./model.js').Model | null} */
let shown = null;

/** Tells every listener of a frame that the model holds by now. @type {Listener} */
export function publish(event, data, model) {
  shown = model;
  for (const listener of listeners) listener(event, data, model);
}

/**
 * Hears every frame from now on; what was shown before comes first, as a snapshot without data.
 * @param {Listener} listener
 * @returns {() => void} stops it
 */
export function subscribe(listener) {
  listeners.add(listener);
  if (shown) listener('snapshot', null, shown);
  return () => listeners.delete(listener);
}
