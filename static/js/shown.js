// @ts-check
/**
 * How data reads as text: signs that nobody sees are shown by their number, and writing from right to left stays
 * within itself, so that no value can hide a part of itself or turn the words around it. Pure. Everything that becomes
 * text on the page goes through here: HTML in dom.js, the scene in paint.js, values in sentences in model.js.
 */

/**
 * Signs that show nothing, or change the order in which others are shown: controls, and what Unicode calls format
 * characters and default ignorable ones. `src/shell.rs` has the same.
 */
export const UNSEEN = '\\p{Cc}\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}';
/** Scripts that are written from right to left. */
const LEFTWARD = '\\u0590-\\u061b\\u061d-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}';
/** First strong isolate, and its end. */
const [ISOLATE, END] = ['\u2068', '\u2069'];

/**
 * What is well-formed with such signs in it: a text that was isolated here before, an emoji of several, one in colour,
 * a numbered key, a Han character in the form a name is written with.
 */
const SOUND = [
  `${ISOLATE}(?=[^${END}]*[${LEFTWARD}])[^${UNSEEN}]*${END}`,
  '\\p{Extended_Pictographic}[\\ufe0f\\p{Emoji_Modifier}]*(?:\\u200d\\p{Extended_Pictographic}[\\ufe0f\\p{Emoji_Modifier}]*)+',
  '\\p{Extended_Pictographic}\\ufe0f',
  '[0-9#*]\\ufe0f\\u20e3',
  '\\p{Ideographic}[\\ufe00-\\ufe02\\u{e0100}-\\u{e01ef}]',
].join('|');
const PARTS = new RegExp(`(${SOUND})|[${UNSEEN}]|\\p{Cs}`, 'gu');
const HAS_LEFTWARD = new RegExp(`[${LEFTWARD}]`, 'u');
/** Most texts are neither; they are not looked at any closer. */
const PLAIN = /^[ -~\u3001-\u30ff\u4e00-\u9fff\uff01-\uff5e]*$/;

/** A control has a picture of its own, anything else its number. @param {string} sign */
function mark(sign) {
  const code = /** @type {number} */ (sign.codePointAt(0));
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** A value as text in a line. What was shown once is not changed again. @param {unknown} value @returns {string} */
export function shown(value) {
  const text = String(value);
  if (PLAIN.test(text)) return text;
  const marked = text.replace(PARTS, (sign, sound) => sound ?? mark(sign));
  const rest = marked.replace(PARTS, '');
  return HAS_LEFTWARD.test(rest) ? `${ISOLATE}${marked}${END}` : marked;
}

/** A text of several lines, each for itself; tabs stay as well. @param {string} text */
export function shownLines(text) {
  return PLAIN.test(text) ? text : text.split(/([\n\t])/).map((part, i) => (i % 2 ? part : shown(part))).join('');
}

/** The signs of a shown text that take no room. */
export const ROOMLESS = /[\u2066-\u2069]/;
