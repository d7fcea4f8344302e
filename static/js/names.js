// @ts-check
/**
 * Owns how names and words are fitted into a width: broken into lines, shortened, measured. Pure; never
 * touches the DOM.
 */

import { ROOMLESS, shown } from './shown.js';

/**
 * Breaks a Kubernetes name into lines, preferably after a hyphen; what does not fit loses its middle, since
 * names begin and end with what tells them apart.
 * @param {string} name
 * @param {number} chars that fit into a line
 * @param {number} most lines
 * @returns {string[]}
 */
export function wrapName(name, chars, most) {
  const limit = Math.max(4, chars);
  /** @type {string[]} */
  const lines = [];
  let line = '';
  // An ordinal alone on a line would be read as a number of something else.
  for (const piece of name.split(/(?<=[-./])(?!\d{1,4}$)/)) {
    let rest = piece;
    if (line && line.length + rest.length > limit) {
      lines.push(line);
      line = '';
    }
    if (rest.length > limit && /-\d{1,4}$/.test(rest)) rest = middle(rest, limit);
    while (rest.length > limit) {
      lines.push(rest.slice(0, limit));
      rest = rest.slice(limit);
    }
    line += rest;
  }
  if (line) lines.push(line);
  if (lines.length <= most) return lines;
  if (most === 1) return [middle(name, limit)];
  const head = lines.slice(0, most - 1);
  // What was shortened before is not cut again from the whole.
  return [...head, middle(lines.slice(most - 1).join(''), limit)];
}

/** @param {string} text @param {number} chars */
export function middle(text, chars) {
  if (text.length <= chars) return text;
  const tail = Math.max(1, Math.floor((chars - 1) * 0.45));
  return `${text.slice(0, Math.max(1, chars - 1 - tail))}…${text.slice(-tail)}`;
}

/** The first signs of a uid, as a person would say them. @param {string} uid */
export function shortUid(uid) {
  return uid.slice(0, 5);
}

/**
 * How wide a text is, about: half-width letters by the monospaced ratio, full-width ones a full size.
 * @param {string} text @param {number} size @param {number} mono
 */
export function widthOf(text, size, mono) {
  let ems = 0;
  for (const sign of shown(text)) ems += ROOMLESS.test(sign) ? 0 : /[\u2E80-\uFFEF]/.test(sign) ? 1 : mono;
  return ems * size;
}

/**
 * As much of a text as fits into a width, and an ellipsis where something is missing.
 * @param {string} text @param {number} w @param {number} size @param {number} mono
 */
export function clip(text, w, size, mono) {
  if (widthOf(text, size, mono) <= w) return text;
  const signs = [...text];
  while (signs.length && widthOf(`${signs.join('')}…`, size, mono) > w) signs.pop();
  return `${signs.join('')}…`;
}

/** The width to squeeze a text into, if it is wider. @param {string} text @param {number} w @param {number} s @param {number} mono */
export function detailFit(text, w, s, mono) {
  return widthOf(text, s, mono) > w ? w : undefined;
}
