// @ts-check
// Loads the page anew when one of its modules could not be fetched: a module that failed is not asked for again, and
// on a poor network the page would stay without its scene for ever. No module itself, and in the head, since it has to
// be there before the first of them fails. What the reader wrote is kept by then.

(() => {
  /** So often in a row, with twice the pause each time: after about half a minute a person has to look. */
  const TRIES = 5;
  const FIRST_PAUSE_MS = 1000;
  const KEY = 'eizoku.retries';

  let waiting = false;
  let again = 0;
  try {
    again = Number(sessionStorage.getItem(KEY)) || 0;
  } catch {
    // Without memory there is no end to trying, so it is not begun.
    again = TRIES;
  }

  function reload() {
    if (!navigator.onLine) {
      addEventListener('online', reload, { once: true });
      return;
    }
    sessionStorage.setItem(KEY, String(again + 1));
    location.reload();
  }

  // Errors of scripts do not bubble, but they can be caught on their way down.
  document.addEventListener('error', (event) => {
    const failed = event.target;
    if (waiting || again >= TRIES || !(failed instanceof HTMLScriptElement) || failed.type !== 'module') return;
    waiting = true;
    setTimeout(reload, FIRST_PAUSE_MS * 2 ** again);
  }, true);

  addEventListener('load', () => {
    if (!waiting && again) sessionStorage.removeItem(KEY);
  });
})();
