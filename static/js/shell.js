// @ts-check
/**
 * How a word is written for a POSIX shell, so that a line that a reader copies says what it shows and no more. The
 * program has the same in `src/shell.rs`; `tests/frames/shell.json` holds both to one way of writing it.
 */

import { UNSEEN } from './shown.js';

const PLAIN = /^[A-Za-z0-9\-_./:@,+]+$/;
const HAS_UNSEEN = new RegExp(`[${UNSEEN}]`, 'u');
const ESCAPED = new RegExp(`[\\\\'${UNSEEN}]`, 'gu');
const NAMED = /** @type {Record<string, string>} */ ({ '\\': '\\\\', "'": "\\'", '\n': '\\n', '\r': '\\r', '\t': '\\t' });
const bytes = new TextEncoder();

/**
 * As it is where it is plainly safe; in single quotes; or, with signs that nobody sees or that end a line, as `$'…'`.
 * @param {unknown} value
 * @returns {string}
 */
export function word(value) {
  const text = String(value);
  if (PLAIN.test(text)) return text;
  if (!HAS_UNSEEN.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  // Three octal digits each, so that no digit after them is taken for a fourth.
  const octal = (/** @type {string} */ sign) => [...bytes.encode(sign)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  return `$'${text.replace(ESCAPED, (sign) => NAMED[sign] ?? octal(sign))}'`;
}
