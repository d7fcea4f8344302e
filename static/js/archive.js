// @ts-check
/**
 * Owns what the page has read of the server's history: stretches of frames, each from a whole board (keyframe) on.
 * Hands on how a moment came about. Never shows anything, and reads each stretch once.
 */

/**
 * @typedef {{event: string, data: any}} Frame
 * @typedef {{seq: number, at: number, cards: any[], insides?: any[], link?: any, lesson?: any}} Keyframe
 * @typedef {{epoch: string, first: number, last: number, keyframe: Keyframe, frames: Frame[]}} Answer
 * @typedef {{keyframe: Keyframe, frames: Frame[], to: number}} Stretch
 */

/** Frames asked for beyond the moment wanted, for the steps and the playing that follow. */
const AHEAD = 400;
/** And before it, so that there is a story that led there. */
const CONTEXT = 60;
/** Stretches that are kept; one is some hundred frames. */
const STRETCHES = 8;

/** That moment is not kept any more, or never was; `first` is the oldest that is, if the server said so. */
export class Gone extends Error {
  /** @param {number | null} first */
  constructor(first = null) {
    super('that moment is gone');
    this.first = first;
  }
}

export class Archive {
  /** @param {(from: number, to: number) => Promise<Answer>} read Throws `Gone` where the server has nothing. */
  constructor(read) {
    this.read = read;
    /** @type {Stretch[]} The one used last is last. */
    this.stretches = [];
    this.epoch = '';
  }

  /** Begins anew for another run. @param {string} epoch */
  reset(epoch) {
    this.epoch = epoch;
    this.stretches = [];
  }

  /**
   * How the board came to be as it was after a frame: a keyframe, and the frames on top of it with enough of them
   * that one can read what led there.
   * @param {number} seq
   * @param {number} first the oldest frame that can be asked for
   * @returns {Promise<{keyframe: Keyframe, frames: Frame[]}>}
   */
  async at(seq, first = 0) {
    const from = Math.min(seq, Math.max(first, seq - CONTEXT));
    const { keyframe, frames } = this.#known(from, seq) ?? (await this.#load(from, seq));
    return { keyframe, frames: frames.slice(0, seq - keyframe.seq) };
  }

  /**
   * The frames after one, up to another or as far as they are at hand, but at least one.
   * @param {number} seq
   * @param {number} to
   * @returns {Promise<Frame[]>}
   */
  async after(seq, to) {
    if (seq >= to) return [];
    const { keyframe, frames } = this.#known(seq, seq + 1) ?? (await this.#load(seq, seq + 1));
    return frames.slice(seq - keyframe.seq, to - keyframe.seq);
  }

  /** @param {number} from @param {number} to */
  #known(from, to) {
    const found = this.stretches.findLast((stretch) => stretch.keyframe.seq <= from && to <= stretch.to);
    if (found) this.stretches = [...this.stretches.filter((other) => other !== found), found];
    return found;
  }

  /** @param {number} from @param {number} to @returns {Promise<Stretch>} */
  async #load(from, to) {
    const epoch = this.epoch;
    const { keyframe, frames, ...answer } = await this.read(from, to + AHEAD);
    if (answer.epoch !== epoch) throw new Gone();
    const end = frames.length ? frames[frames.length - 1].data.seq : keyframe.seq;
    if (keyframe.seq > from || end < to) throw new Gone(answer.first);
    const stretch = { keyframe, frames, to: end };
    if (this.epoch === epoch) this.stretches = [...this.stretches, stretch].slice(-STRETCHES);
    return stretch;
  }
}

/**
 * Reads over HTTP.
 * @param {number} from
 * @param {number} to
 * @returns {Promise<Answer>}
 */
export async function readHistory(from, to) {
  const answer = await fetch(`/history?from=${from}&to=${to}`, { headers: { accept: 'application/json' } });
  if (answer.ok) return answer.json();
  // Of what the server has no more, or never had, there is nothing to wait for.
  if (answer.status === 404 || answer.status === 410 || answer.status === 416) {
    const said = await answer.json().catch(() => null);
    throw new Gone(said?.first ?? null);
  }
  throw new Error(`history: ${answer.status}`);
}

/** @returns {Promise<{epoch: string, first: number, last: number, marks: import('./timeline.js').Mark[]}>} */
export async function readTimeline() {
  const answer = await fetch('/timeline', { headers: { accept: 'application/json' } });
  if (!answer.ok) throw new Error(`timeline: ${answer.status}`);
  return answer.json();
}
