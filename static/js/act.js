// @ts-check
/**
 * What a reader does in the page: the kubectl line that does the same, whether it may be done here, and the one way
 * to do it, POST /act. Knows no DOM. What it did is never drawn from the answer: it comes back as watch events.
 */

import { word } from './shell.js';

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

/**
 * What the page is told of acting, as far as a line needs it; the server makes the same lines of the same.
 * @typedef {object} Acting
 * @property {string} [namespace] What `kubectl -n` must name; none where that is the context's own.
 * @property {string[]} [folders] The folders of the lesson.
 * @property {string} [claims] The labels of claims that no manifest holds.
 * @property {{pods: string, user: string, database: string, query: string}[]} [looks] Which query shows whose rows.
 * @property {number} [replicas] The largest number of Pods that the page may ask for.
 */

/** The look for a Pod of this name: the one whose beginning fits best. @param {Acting | undefined} acting @param {string} pod */
export function lookOf(acting, pod) {
  const fits = (acting?.looks ?? []).filter((look) => pod.startsWith(look.pods));
  return fits.reduce((/** @type {typeof fits[0] | undefined} */ best, look) => (!best || look.pods.length > best.pods.length ? look : best), undefined);
}

/** What a line begins with. @param {Acting} acting */
const kubectlOf = (acting) => `kubectl${acting.namespace ? ` -n ${word(acting.namespace)}` : ''}`;

/** The words after psql that name user and database. @param {Acting | undefined} acting @param {string} pod */
function login(acting, pod) {
  const look = lookOf(acting, pod);
  return look ? ` -U ${word(look.user)} -d ${word(look.database)}` : '';
}

/** The line that opens a terminal in a Pod. @param {{pod: string, program: string}} into @param {Acting} [acting] */
export function enterLine({ pod, program }, acting = {}) {
  return `${kubectlOf(acting)} exec -it ${word(pod)} -- ${program}${program === 'psql' ? login(acting, pod) : ''}`;
}

/** The line that describes an object. @param {string} kind As kubectl calls it. @param {string} name @param {Acting} [acting] */
export function describeLine(kind, name, acting = {}) {
  return `${kind === 'pv' ? 'kubectl' : kubectlOf(acting)} describe ${kind} ${word(name)}`;
}

/**
 * The line that does the same in a terminal.
 * @param {Action} action
 * @param {Acting} [acting]
 * @returns {string}
 */
export function lineOf(action, acting = {}) {
  const kubectl = kubectlOf(acting);
  const kind = KINDS[action.kind] ?? word(String(action.kind ?? '').toLowerCase());
  switch (action.do) {
    case 'apply':
      return `${kubectl} apply -f ${word(`${action.folder}/${action.file ?? ''}`)}`;
    case 'delete': {
      const what = `${action.name ? ` ${word(action.name)}` : ''}${action.selector ? ` -l ${word(action.selector)}` : ''}`;
      // What may be held back for ever is not waited for.
      const held = kind === 'pvc' || kind === 'pv' || action.selector;
      return `${kind === 'pv' ? 'kubectl' : kubectl} delete ${kind}${what}${action.force ? ' --force --grace-period=0' : held ? ' --wait=false' : ''}`;
    }
    case 'scale':
      return `${kubectl} scale ${kind} ${word(action.name)} --replicas=${word(action.replicas)}`;
    case 'retain':
      return `kubectl patch pv ${word(action.name)} -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`;
    case 'release':
      return `kubectl patch pv ${word(action.name)} -p '{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}'`;
    case 'reset':
      return `${kubectl} delete${(acting.folders ?? []).map((folder) => ` -f ${word(`${folder}/`)}`).join('')} --ignore-not-found --wait=false`
        + (acting.claims ? ` && ${kubectl} delete pvc -l ${word(acting.claims)} --wait=false` : '');
    case 'look': {
      const pod = action.pod ?? action.claim ?? '';
      return `${kubectl} exec ${word(pod)} -- psql${login(acting, pod)} -c ${word(lookOf(acting, pod)?.query ?? '')}`;
    }
    case 'query': {
      const [place, name] = String(action.in).split('/');
      return `${kubectl} exec ${word(place === 'pod' ? name : action.in)} -- psql${login(acting, place === 'pod' ? name : `${name}-`)} -c ${word(action.sql)}`;
    }
    default:
      return '';
  }
}

/**
 * Whether the page may act, and if not, why not: a key of the words without its beginning, with what they name.
 * @param {any} source What the panel is told of where its picture comes from.
 * @param {boolean} past Whether the reader looks at a moment that is over.
 * @param {string} [role] What the page may do, see role.js; one that does not know yet is told by the server.
 * @returns {May}
 */
export function may(source, past, role) {
  const acting = source?.acting;
  const params = { context: String(acting?.context ?? source?.label ?? ''), namespace: String(source?.namespace ?? '') };
  if (past) return { allowed: false, why: 'past', params };
  if (acting?.allowed && role === 'reader') return { allowed: false, why: 'key', params };
  if (acting?.allowed && role === 'renewed') return { allowed: false, why: 'newkey', params };
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
    if (answer?.ok === false) return { ok: false, reason: String(answer.reason ?? 'Internal'), message: answer.reason === 'NoKey' ? '' : String(answer.message ?? '') };
  } catch {
    // Not ours: a server that does not know the address, or something between.
  }
  return { ok: false, reason: response.status === 404 || response.status === 405 ? 'NotAllowed' : 'Internal', message: `HTTP ${response.status} ${text.slice(0, 300)}`.trim() };
}

/** The reasons there are words for; any other is told as one that nobody expected. */
export const REASONS = ['NotAllowed', 'NoKey', 'NotOfTheLesson', 'NotFound', 'Conflict', 'Forbidden', 'Invalid', 'TooMany', 'Failed', 'Unreachable', 'Internal', 'Timeout', 'Gone'];

/** The key of the words for a refusal; the API's own come after them. @param {Refused} refused */
export function refusalKey(refused) {
  // Said before and after it was tried in one way.
  if (refused.reason === 'NoKey') return 'act.off.key';
  return `act.refused.${REASONS.includes(refused.reason) ? refused.reason : 'Internal'}`;
}
