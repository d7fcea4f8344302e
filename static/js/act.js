// @ts-check
/**
 * What a reader does in the page: the kubectl line that does the same, whether it may be done here, and the one way
 * to do it, POST /act. Knows no DOM. What it did is never drawn from the answer: it comes back as watch events.
 */

/**
 * @typedef {Record<string, any> & {do: string}} Action As the server takes it.
 * @typedef {{ok: true, kubectl: string, said: string[]}} Done
 * @typedef {{ok: false, reason: string, message: string}} Refused
 * @typedef {{allowed: boolean, why: string, params: Record<string, string>}} May
 */

/** So long an answer may take: an API server that does not answer is given up on earlier, by the server. */
export const PATIENCE_MS = 45_000;

/** The names that kubectl has for the kinds. */
const KINDS = /** @type {Record<string, string>} */ ({
  Pod: 'pod', PersistentVolumeClaim: 'pvc', PersistentVolume: 'pv', StatefulSet: 'statefulset', Deployment: 'deployment',
});

/** A word as the shell takes it: in quotes where the shell would read something into it. @param {unknown} word */
export function quoted(word) {
  const text = String(word);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The line that does the same in a terminal. Where one takes several, they stand in several lines.
 * @param {Action} action
 * @param {{namespace?: string}} [where]
 * @returns {string}
 */
export function lineOf(action, { namespace = 'default' } = {}) {
  const kind = KINDS[action.kind] ?? String(action.kind ?? '').toLowerCase();
  /** @param {(string | false | undefined)[]} words @param {boolean} [spaced] whether it is about things of the namespace */
  const kubectl = (words, spaced = true) => ['kubectl', ...(spaced && namespace !== 'default' ? ['-n', quoted(namespace)] : []), ...words.filter(Boolean)].join(' ');
  switch (action.do) {
    case 'apply':
      return kubectl(['apply', '-f', quoted(`${action.folder}/${action.file ?? ''}`)]);
    case 'delete':
      return kubectl(['delete', kind, action.selector ? '-l' : '', quoted(action.selector ?? action.name), action.force && '--force --grace-period=0', '--wait=false'], action.kind !== 'PersistentVolume');
    case 'scale':
      return kubectl(['scale', kind, quoted(action.name), `--replicas=${action.replicas}`]);
    case 'retain':
      return kubectl(['patch', 'pv', quoted(action.name), '-p', quoted('{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}')], false);
    case 'release':
      return kubectl(['patch', 'pv', quoted(action.name), '-p', quoted('{"spec":{"claimRef":null}}')], false);
    case 'query':
      return kubectl(['exec', quoted(action.in), '--', 'psql', '-U', 'user', '-d', 'app_db', '-c', quoted(action.sql)]);
    default:
      return '';
  }
}

/**
 * Whether the page may act, and if not, why not: a key of the words without its beginning, with what they name.
 * @param {any} source What the panel is told of where its picture comes from.
 * @param {boolean} past Whether the reader looks at a moment that is over.
 * @returns {May}
 */
export function may(source, past) {
  const acting = source?.acting;
  const params = { context: String(acting?.context ?? source?.label ?? ''), namespace: String(source?.namespace ?? '') };
  if (past) return { allowed: false, why: 'past', params };
  if (acting) return { allowed: Boolean(acting.allowed), why: String(acting.why), params };
  return { allowed: false, why: source?.kind === 'recording' ? 'recording' : 'flag', params };
}

/**
 * Does it. Never throws: what the network, the server or the clock refuse is a refusal like the API's own.
 * @param {Action} action
 * @param {{fetch?: typeof fetch, patience?: number}} [with_]
 * @returns {Promise<Done | Refused>}
 */
export async function act(action, { fetch: ask = fetch, patience = PATIENCE_MS } = {}) {
  /** @type {Response} */
  let response;
  let text = '';
  try {
    response = await ask('/act', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(action), cache: 'no-store', signal: AbortSignal.timeout(patience),
    });
    text = await response.text();
  } catch (error) {
    const late = /** @type {Error} */ (error)?.name === 'TimeoutError';
    return { ok: false, reason: late ? 'Timeout' : 'Gone', message: late ? '' : String(/** @type {Error} */ (error)?.message ?? error) };
  }
  try {
    const answer = JSON.parse(text);
    if (answer?.ok === true) return { ok: true, kubectl: String(answer.kubectl ?? ''), said: Array.isArray(answer.said) ? answer.said.map(String) : [] };
    if (answer?.ok === false) return { ok: false, reason: String(answer.reason ?? 'Internal'), message: String(answer.message ?? '') };
  } catch {
    // Not ours: a server that does not know the address, or something between.
  }
  return { ok: false, reason: response.status === 404 || response.status === 405 ? 'NotAllowed' : 'Internal', message: `HTTP ${response.status} ${text.slice(0, 300)}`.trim() };
}

/** The reasons there are words for; any other is told as one that nobody expected. */
export const REASONS = ['NotAllowed', 'NotOfTheLesson', 'NotFound', 'Conflict', 'Forbidden', 'Invalid', 'Unreachable', 'Internal', 'Timeout', 'Gone'];

/** The key of the words for a refusal; the API's own come after them. @param {Refused} refused */
export function refusalKey(refused) {
  return `act.refused.${REASONS.includes(refused.reason) ? refused.reason : 'Internal'}`;
}
