#!/usr/bin/env bash
# An object made larger and deeper by small patches. Right: refused at the size that etcd takes, and what is stored can
# be read back.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); path = '/apis/apps/v1/namespaces/default/controllerrevisions/r'
s.make('controllerrevisions', {'metadata': {'name': 'r'}, 'revision': 1, 'data': {'a': {}}})
codes, grown = [], []
for i in range(12):
    codes.append(s.api('PATCH', path, [{'op': 'copy', 'from': '/data', 'path': '/data/' + 'a/' * i + 'a'}] * 6, 'application/json-patch+json')[0])
    grown.append(s.api('PATCH', path, {'data': {f'k{i}': 'v' * 400_000}}, 'application/merge-patch+json')[0])
s.api('PATCH', path, {'metadata': {'managedFields': [{'manager': 'm', 'operation': 'Update', 'fieldsType': 'FieldsV1', 'apiVersion': 'apps/v1', 'fieldsV1': {'f:' + 'x' * 9: 7}}]}}, 'application/merge-patch+json')
r, body = s.api('GET', path)
words = f'deeper {codes}, larger {grown}, read back {r} with {len(json.dumps(body))} bytes'
good(words) if r == 200 and 413 in grown and 500 not in codes + grown and len(json.dumps(body)) < 1_700_000 else bad(words)
PY
