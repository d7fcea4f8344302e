// @ts-check
/**
 * What is kept in this browser, if the reader lets it keep anything: theme, answers, ticks, predictions. None of it
 * ever leaves the browser.
 */

/** @param {string} key @returns {string | null} */
export function kept(key) {
  try {
    return localStorage.getItem(`eizoku.${key}`);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value null forgets */
export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(`eizoku.${key}`);
    else localStorage.setItem(`eizoku.${key}`, value);
  } catch {
    // Then it holds for this visit.
  }
}

/** Forgets everything whose key begins so. @param {string} beginning */
export function forget(beginning) {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`eizoku.${beginning}`)) localStorage.removeItem(key);
  } catch {
    // Nothing was kept.
  }
}
