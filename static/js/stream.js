// @ts-check
/**
 * Owns the one EventSource of the page: opens it, notices that it died (an error, a silence, a hole in the
 * numbering), opens it again, and closes it while nobody looks. Hands on each frame once, in order, beginning
 * with a snapshot. Never knows what a frame means.
 *
 * The browser's own reconnecting is not used: it gives up for good on any answer but 200, which is what a
 * page meets while the program behind it is being restarted.
 */

/** The names under which the server sends frames; `ping` is counted as a sign of life and not handed on. */
export const EVENTS = ['snapshot', 'added', 'modified', 'deleted', 'link', 'said', 'inside', 'lesson', 'restarted'];

/** Two pings fit into this silence; longer means the connection is dead even if nobody said so. */
export const SILENCE_MS = 25_000;

const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 8_000;

/**
 * How long to wait before the n-th attempt in a row (from 0): doubling from 0.4 s to 8 s.
 * @param {number} attempt
 * @returns {number} milliseconds
 */
export function retryDelay(attempt) {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
}

/**
 * Decides, for one connection, what becomes of a frame: `use` it, `drop` it (said before, or nothing to
 * build on yet), or report a `hole`, after which only a new snapshot helps.
 */
export class Numbering {
  constructor() {
    /** @type {number | null} The last number handed on; null before the first snapshot. */
    this.last = null;
  }

  /**
   * @param {string} event
   * @param {number} seq
   * @returns {'use' | 'drop' | 'hole'}
   */
  judge(event, seq) {
    if (event === 'snapshot') {
      this.last = seq;
      return 'use';
    }
    if (this.last === null || seq <= this.last) return 'drop';
    if (seq !== this.last + 1) return 'hole';
    this.last = seq;
    return 'use';
  }
}

/**
 * @typedef {object} Handlers
 * @property {(event: string, data: any) => void} frame Called for every frame, in order.
 * @property {(phase: 'opening' | 'open' | 'lost' | 'hidden') => void} phase How the connection is.
 */

/**
 * @typedef {object} Stream
 * @property {() => void} reopen Drops the connection and asks for a new snapshot now.
 * @property {() => void} close Ends it for good.
 */

/**
 * Opens the stream of frames and keeps it open as long as the page is looked at.
 * @param {string} url
 * @param {Handlers} handlers
 * @returns {Stream}
 */
export function openStream(url, handlers) {
  /** @type {EventSource | null} */
  let source = null;
  let attempt = 0;
  let ended = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let watchdog;

  function drop() {
    clearTimeout(retry);
    clearTimeout(watchdog);
    source?.close();
    source = null;
  }

  function lost() {
    drop();
    if (ended) return;
    handlers.phase('lost');
    retry = setTimeout(open, retryDelay(attempt));
    attempt += 1;
  }

  function heard() {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENCE_MS);
  }

  function open() {
    drop();
    if (ended || document.visibilityState === 'hidden') return;
    handlers.phase('opening');
    const numbering = new Numbering();
    const mine = new EventSource(url);
    source = mine;
    heard();
    mine.addEventListener('error', () => {
      if (source === mine) lost();
    });
    mine.addEventListener('ping', heard);
    for (const event of EVENTS) {
      mine.addEventListener(event, (message) => {
        if (source !== mine) return;
        heard();
        let data;
        try {
          data = JSON.parse(message.data);
        } catch {
          lost();
          return;
        }
        const verdict = numbering.judge(event, data.seq);
        if (verdict === 'hole') {
          lost();
        } else if (verdict === 'use') {
          if (event === 'snapshot') {
            attempt = 0;
            handlers.phase('open');
          }
          handlers.frame(event, data);
        }
      });
    }
  }

  function looked() {
    if (ended) return;
    if (document.visibilityState === 'hidden') {
      drop();
      handlers.phase('hidden');
    } else if (!source) {
      attempt = 0;
      open();
    }
  }

  function left() {
    // A page kept in the back-forward cache must not hold one of the six connections a browser allows.
    drop();
    handlers.phase('hidden');
  }

  document.addEventListener('visibilitychange', looked);
  addEventListener('pagehide', left);
  addEventListener('pageshow', looked);
  open();

  return {
    reopen() {
      attempt = 0;
      open();
    },
    close() {
      ended = true;
      drop();
      document.removeEventListener('visibilitychange', looked);
      removeEventListener('pagehide', left);
      removeEventListener('pageshow', looked);
    },
  };
}
