#!/usr/bin/env bash
# Two workloads of 2147483647 Pods by the API, one whose Pods go past the scheduler. Right: memory stays, Pods are
# bounded, others are served, and it ends when asked to.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); before = s.rss()
def t(app, **spec): return {'metadata': {'labels': {'a': app}}, 'spec': {'containers': [{'name': 'c', 'image': 'nowhere:1'}], **spec}}
def w(app, **spec): return {'metadata': {'name': app}, 'spec': {'replicas': 2147483647, 'selector': {'matchLabels': {'a': app}}, **spec}}
s.make('statefulsets', w('p', podManagementPolicy='Parallel', serviceName='p', ordinals={'start': 2147483647}, template=t('p')))
s.make('deployments', w('d', template=t('d', nodeName='eizoku-control-plane')))
time.sleep(6)
pods = len(s.api('GET', '/api/v1/namespaces/default/pods')[1]['items']); after = s.rss()
events = len(s.api('GET', '/api/v1/namespaces/default/events')[1]['items'])
made = s.make('configmaps', {'metadata': {'name': 'c'}})[0]; t0 = time.time(); code = s.stop(patience=10)
words = f'{pods} Pods, {events} events, memory {before} -> {after} MiB, a ConfigMap meanwhile {made}, SIGTERM: {code} after {time.time() - t0:.1f} s'
good(words) if pods <= 1100 and after < before + 500 and made == 201 and code == 0 else bad(words)
PY
