#!/usr/bin/env bash
# A Pod asks for a mount at /../.. and for two at one path. Right: the API refuses both in Kubernetes' words, and nothing outside changes.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); vol = [{'name': 'e', 'emptyDir': {}}]; before = sorted(os.listdir(s.data))
for name, mounts, words in [
    ('up', [{'name': 'e', 'mountPath': '/../..'}], "must not contain '..'"),
    ('sub', [{'name': 'e', 'mountPath': '/m', 'subPath': 'a/../../..'}], "must not contain '..'"),
    ('abs', [{'name': 'e', 'mountPath': '/m', 'subPath': '/etc'}], 'must be a relative path'),
    ('two', [{'name': 'e', 'mountPath': '/m'}, {'name': 'e', 'mountPath': '/m'}], 'must be unique'),
]:
    status, body = s.pod(name, mounts, vol)
    if status != 422 or words not in json.dumps(body): bad(f'{name}: {status} {body}')
status, body = s.make('persistentvolumes', {'metadata': {'name': 'v'}, 'spec': {'capacity': {'storage': '1Mi'}, 'accessModes': ['ReadWriteOnce'], 'hostPath': {'path': '/a/../../..'}}})
if status != 422 or "must not contain '..'" not in json.dumps(body): bad(f'PV: {status} {body}')
# What a container's own shell makes of such a path.
s.pod('p', [{'name': 'e', 'mountPath': '/m//./'}], vol); s.need('p')
s.exec('p', 'sh', '-c', 'echo theirs > /m/../../../../../in; echo theirs > /m/in; cd /; mkdir -p ../../../up')
left = sorted(os.listdir(s.data))
good('refused, and nothing outside changed') if [n for n in left if n in ('in', 'up')] == [] and set(before) <= set(left) else bad(f'the container wrote to the host: {left}')
PY
