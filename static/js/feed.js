// @ts-check
/**
 * What the panel has shown so far, for the rest of the page: steps, predictions and lanes hear each frame when the
 * reader sees it, and never before; and the one way back, for what only this page knows. Owns nothing; the model
 * belongs to the panel.
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

/** @typedef {(asked: {line: string, answer: string}) => void} Asker */

/** @type {Set<Asker>} */
const askers = new Set();

/** Tells the panel what this page asked a program for that refused: nothing of it comes back by the watch. @type {Asker} */
export function asked(what) {
  for (const asker of askers) asker(what);
}

/** @param {Asker} asker */
export function onAsked(asker) {
  askers.add(asker);
}
