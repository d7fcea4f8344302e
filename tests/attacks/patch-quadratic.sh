#!/usr/bin/env bash
# Strategic patches with tens of thousands of entries. Right: each is answered in seconds, others meanwhile
# at once.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); n = 10_000; env = [{'name': f'E{i}'} for i in range(n)]
t = {'metadata': {'labels': {'a': 'b'}}, 'spec': {'containers': [{'name': 'c', 'image': 'nowhere:1', 'env': env}]}}
s.make('deployments', {'metadata': {'name': 'd'}, 'spec': {'replicas': 0, 'selector': {'matchLabels': {'a': 'b'}}, 'template': t}})
order = {'$setElementOrder/env': env[::-1], 'name': 'c', 'env': [{'name': e['name'], 'value': 'x'} for e in env]}
slow = []
def patch(): slow.append((time.time(), s.api('PATCH', '/apis/apps/v1/namespaces/default/deployments/d', {'spec': {'template': {'spec': {'containers': [order]}}}}, 'application/strategic-merge-patch+json', timeout=60)[0], time.time()))
w = threading.Thread(target=patch); w.start(); worst = 0
while w.is_alive():
    t0 = time.time(); s.api('GET', '/api/v1/namespaces/default', timeout=60); worst = max(worst, time.time() - t0); time.sleep(.05)
took = slow[0][2] - slow[0][0]; words = f'answered with {slow[0][1]} after {took:.1f} s; another request waited {worst:.1f} s at most'
good(words) if took < 30 and slow[0][1] == 200 else bad(words)
PY
