// @ts-check
/**
 * Owns which steps this reader has done. The server says how far the cluster is; the browser remembers what its
 * reader has seen done, across restarts, until the reader starts over: what is cleared away afterwards was done
 * all the same. Pure.
 */

/**
 * @typedef {{state: 'waiting' | 'open' | 'done', since: number, at: number, hint?: string}} StepState
 * @typedef {object} Kept What the browser keeps.
 * @property {Record<string, {epoch: string, since: number}>} ticks By the id of a step.
 * @property {{epoch: string, seq: number} | null} fresh Where the reader started over: what was done before does not count.
 *
 * @typedef {{kept: Kept, ticked: string[]}} Change
 */

/** @returns {Kept} */
export function nothingKept() {
  return { ticks: {}, fresh: null };
}

/** What was kept, however old or broken it is. @param {string | null} text @returns {Kept} */
export function readKept(text) {
  try {
    const { ticks = {}, fresh = null } = JSON.parse(text ?? '{}');
    const sound = Object.entries(ticks).filter(([, tick]) => typeof (/** @type {any} */ (tick)?.since) === 'number');
    return { ticks: Object.fromEntries(/** @type {any} */ (sound)), fresh: typeof fresh?.seq === 'number' ? fresh : null };
  } catch {
    return nothingKept();
  }
}

/**
 * Takes in what the server says of steps.
 * @param {Kept} kept
 * @param {Record<string, StepState>} steps Only those that are told of.
 * @param {string} epoch Of the server's numbers; another one is another run.
 * @returns {Change}
 */
export function takeIn(kept, steps, epoch) {
  const ticks = { ...kept.ticks };
  /** @type {string[]} */
  const ticked = [];
  for (const [id, { state, since }] of Object.entries(steps)) {
    if (state !== 'done') continue;
    if (kept.fresh?.epoch === epoch && since <= kept.fresh.seq) continue;
    if (!ticks[id]) ticked.push(id);
    ticks[id] = { epoch, since };
  }
  return { kept: { ...kept, ticks }, ticked };
}

/** The reader starts over: nothing that is done by now counts. @param {string} epoch @param {number} seq @returns {Kept} */
export function startOver(epoch, seq) {
  return { ticks: {}, fresh: { epoch, seq } };
}

/**
 * A reader comes to steps as they stand. Who finds a run that has ended, and was not in it, begins with the next one.
 * @param {Kept} kept @param {boolean} ended @param {string} epoch @param {number} seq @returns {Kept}
 */
export function joins(kept, ended, epoch, seq) {
  const wasThere = kept.fresh?.epoch === epoch || Object.values(kept.ticks).some((tick) => tick.epoch === epoch);
  return ended && !wasThere ? { ...kept, fresh: { epoch, seq } } : kept;
}

/**
 * How far each objective is: of the steps and questions that name it.
 * @param {{goals: string[], done: boolean}[]} parts
 * @returns {Map<string, {done: number, total: number}>}
 */
export function objectives(parts) {
  /** @type {Map<string, {done: number, total: number}>} */
  const found = new Map();
  for (const { goals, done } of parts) {
    for (const goal of goals) {
      const so = found.get(goal) ?? { done: 0, total: 0 };
      found.set(goal, { done: so.done + Number(done), total: so.total + 1 });
    }
  }
  return found;
}
