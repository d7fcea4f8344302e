// A Kubernetes API that says what a test puts into it: lists and watches in plain HTTP on loopback, and the
// ways in which a real one fails. What it cannot do is behave: no controller runs here.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RESOURCES = { Pod: 'pods', PersistentVolumeClaim: 'persistentvolumeclaims', PersistentVolume: 'persistentvolumes', StorageClass: 'storageclasses', StatefulSet: 'statefulsets', Deployment: 'deployments', ReplicaSet: 'replicasets', Node: 'nodes', Event: 'events' };

export class Kubernetes {
  /** @type {Map<string, Map<string, any>>} Resource to uid to object. */
  #objects = new Map();
  /** @type {Set<{resource: string, response: import('node:http').ServerResponse}>} */
  #watches = new Set();
  /** @type {{version: number, resource: string, event: any}[]} What changed, for a watch that begins at an earlier version. */
  #changes = [];
  /** The newest version that a watch can no longer begin at. */
  #compacted = 0;
  #forbidden = new Set();
  #silent = false;
  #version = 1;
  #server = createServer((request, response) => this.#answer(request, response));
  #folder = mkdtempSync(join(tmpdir(), 'eizoku-kubernetes-'));

  static async start() {
    const api = new Kubernetes();
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  /** A kubeconfig that leads here, with the contexts `kind-test` (current) and `kind-other`. */
  kubeconfig() {
    const path = join(this.#folder, 'config');
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    const context = (/** @type {string} */ name) => ({ name, context: { cluster: 'test', user: 'test', namespace: 'default' } });
    writeFileSync(path, JSON.stringify({
      apiVersion: 'v1', kind: 'Config', 'current-context': 'kind-test',
      clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}` } }], users: [{ name: 'test', user: {} }],
      contexts: [context('kind-test'), context('kind-other')],
    }));
    return path;
  }

  /** Adds or replaces an object and tells the watches. @param {string} kind @param {any} object */
  put(kind, object) {
    const resource = RESOURCES[kind];
    const all = this.#objects.get(resource) ?? new Map();
    this.#objects.set(resource, all);
    const type = all.has(object.metadata.uid) ? 'MODIFIED' : 'ADDED';
    this.#version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    all.set(object.metadata.uid, stored);
    this.#tell(resource, { type, object: stored });
  }

  /** Removes an object; unless `quietly`, the watches hear of it: those that begin later at an earlier version are told to list again. @param {string} kind @param {string} name */
  remove(kind, name, { quietly = false } = {}) {
    const resource = RESOURCES[kind];
    const all = this.#objects.get(resource) ?? new Map();
    const object = [...all.values()].find((it) => it.metadata.name === name);
    if (!object) throw new Error(`no ${kind} ${name}`);
    all.delete(object.metadata.uid);
    this.#version += 1;
    if (quietly) this.#compact();
    else this.#tell(resource, { type: 'DELETED', object: { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } } });
  }

  /** From now on RBAC says no to these kinds. @param {...string} kinds */
  forbid(...kinds) {
    for (const kind of kinds) this.#forbidden.add(RESOURCES[kind]);
  }

  /** Takes connections and answers nothing, as a stopped process does; or answers again. @param {boolean} silent */
  silence(silent) {
    this.#silent = silent;
    for (const { response } of this.#watches) response.destroy();
    this.#watches.clear();
  }

  async end() {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Forgets what changed so far, as etcd does: a watch from before gets 410. */
  #compact() {
    this.#changes = [];
    this.#compacted = this.#version;
  }

  #tell(resource, event) {
    this.#changes.push({ version: this.#version, resource, event });
    for (const watch of this.#watches) if (watch.resource === resource) watch.response.write(`${JSON.stringify(event)}\n`);
  }

  #answer(request, response) {
    if (this.#silent) return;
    const url = new URL(request.url, 'http://api');
    const resource = url.pathname.split('/').at(-1) ?? '';
    const say = (/** @type {number} */ code, /** @type {any} */ body) => response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (resource === 'readyz') {
      response.end('ok');
    } else if (!Object.values(RESOURCES).includes(resource)) {
      say(404, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'NotFound', code: 404, message: 'not found' });
    } else if (this.#forbidden.has(resource)) {
      say(403, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Forbidden', code: 403, message: `${resource} is forbidden: User "student" cannot list resource "${resource}"` });
    } else if (url.searchParams.get('watch') === 'true') {
      const since = Number(url.searchParams.get('resourceVersion') ?? this.#version);
      const watch = { resource, response };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      if (since < this.#compacted) {
        response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Expired', code: 410, message: `too old resource version: ${since} (${this.#compacted})` } })}\n`);
        return;
      }
      for (const it of this.#changes) if (it.version > since && it.resource === resource) response.write(`${JSON.stringify(it.event)}\n`);
      this.#watches.add(watch);
      request.on('close', () => this.#watches.delete(watch));
    } else {
      say(200, { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: String(this.#version) }, items: [...(this.#objects.get(resource) ?? new Map()).values()] });
    }
  }
}
