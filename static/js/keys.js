// @ts-check
/**
 * Owns which key means what for the panel, and whether a pointer or the keyboard has the page in hand. Decides
 * from where the keyboard is and never acts itself.
 */

/**
 * @typedef {'projector' | 'pause' | 'back' | 'on' | 'one-back' | 'one-on' | 'now'} Deed
 *
 * @typedef {object} Where
 * @property {boolean} writing The keyboard is in something that is written into.
 * @property {boolean} presses On something that Space presses.
 * @property {boolean} walks On a thing of the scene that arrow keys lead away from.
 * @property {boolean} panel In the panel, or nowhere while the past is shown.
 * @property {boolean} projected The panel is the whole page.
 */

/** Keys that belong to what is written into. */
export const WRITING = 'input, textarea, select, [contenteditable]';
/** What Space presses. */
const PRESSED = 'button, summary, a, [role="button"]';
/** The buttons that enlarge the panel: once they have done it, Space is the player's. */
const PROJECTOR = '[data-control="projector"], .tool-big';

const DEEDS = /** @type {Record<string, Deed>} */ ({
  ' ': 'pause', ArrowLeft: 'back', ArrowRight: 'on', PageUp: 'back', PageDown: 'on', l: 'now', ',': 'one-back', '.': 'one-on',
});

/**
 * What a key means; null where it is somebody else's.
 * @param {string} key @param {Where} where
 * @returns {Deed | null}
 */
export function deedOf(key, { writing, presses, walks, panel, projected }) {
  if (writing) return null;
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (name === 'p') return 'projector';
  // Beside the text a letter may mean something else, and the page scrolls; on the wall there is nothing else.
  if (!panel && !projected) return null;
  if (name === ' ' && presses) return null;
  if (name.startsWith('Arrow') && walks) return null;
  if (name.startsWith('Page') && !projected) return null;
  return DEEDS[name] ?? null;
}

/**
 * Where the keyboard is.
 * @param {Element} at @param {HTMLElement} aside @param {boolean} past
 * @returns {Where}
 */
export function whereIs(at, aside, past) {
  const root = document.documentElement;
  const projected = root.hasAttribute('data-projector');
  const card = at.closest('.panel-scene [data-card]') !== null;
  const pointed = root.dataset.hand === 'pointer';
  return {
    writing: at.closest(WRITING) !== null,
    // Where a pointer left the focus nobody sees it, and a key means the whole picture.
    presses: at.closest(PRESSED) !== null && !(projected && at.closest(PROJECTOR)) && !(card && pointed),
    walks: card && !pointed,
    panel: aside.contains(at) || (at === document.body && past),
    projected,
  };
}

/**
 * Writes on the root who has the page in hand, `pointer` or `keys`: what a pointer touched shows no frame of the
 * keyboard, even when a key is pressed afterwards that leads nowhere.
 */
export function watchHand() {
  const root = document.documentElement;
  document.addEventListener('pointerdown', () => { root.dataset.hand = 'pointer'; }, true);
  document.addEventListener('keydown', ({ key }) => { if (key === 'Tab' || key === 'Enter') root.dataset.hand = 'keys'; }, true);
}
