// @ts-check
/**
 * Owns what this page may do, as the server says it: the owner of the program acts, any other reader reads. The key
 * that tells them apart is the browser's and none of the page's business. Written on the panel as `data-role`, where
 * whoever offers something to do looks: `owner`; `reader`; or `renewed`, an owner's page whose program was started anew.
 */

/** @typedef {'owner' | 'reader' | 'renewed'} Role */

/**
 * What a page is by now.
 * @param {string | undefined} before @param {unknown} told What the server says.
 * @returns {Role | undefined}
 */
export function roleAfter(before, told) {
  if (told === 'owner') return 'owner';
  if (told !== 'reader') return /** @type {Role | undefined} */ (before);
  return before === 'owner' || before === 'renewed' ? 'renewed' : 'reader';
}

/**
 * Asks; as long as nobody answers it stays what it was.
 * @param {HTMLElement | null} [panel]
 * @returns {Promise<string | undefined>}
 */
export async function learnRole(panel = document.getElementById('panel')) {
  if (!panel) return undefined;
  try {
    const answer = await fetch('/role', { cache: 'no-store' });
    const { role } = await answer.json();
    const now = roleAfter(panel.dataset.role, role);
    if (now && now !== panel.dataset.role) panel.dataset.role = now;
  } catch {
    // Not there now; the stream asks again when it is.
  }
  return panel.dataset.role;
}
