#!/usr/bin/env bash
# Two Pods on one volume: one swaps a folder for a link that leads out, all the time, while the other copies, moves, removes, makes and reads there, and
# Pods with a subPath over it start and restart. Right: nothing outside is read or changed.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
out = folder(); os.makedirs(out + '/deep'); open(out + '/secret', 'w').write('HOST-SECRET'); open(out + '/deep/kept', 'w').write('HOST-SECRET')
def tree(): return sorted((d, tuple(sorted(f)), tuple(sorted(n))) for d, n, f in os.walk(out))
before = tree(); s = Server(); s.claim('d'); vol = [{'name': 'd', 'persistentVolumeClaim': {'claimName': 'd'}}]; at = [{'name': 'd', 'mountPath': '/d'}]
swap = f'cd /d; ln -s {out} l; while true; do mkdir -p n/deep; echo inside > n/secret; mv x o 2>/dev/null; mv n x; rm -rf o; mv x o; ln -s {out} x; rm -rf n; mv o n; rm x; done'
s.pod('swap', at, vol, command=('sh', '-c', swap)); s.need('swap'); s.pod('work', at, vol); s.need('work')
work = 'mkdir -p /tmp/a/deep; echo theirs > /tmp/a/new; cp /tmp/a/new /tmp/a/secret; cd /d; for i in $(seq 60); do cp -r /tmp/a/. x; cat x/secret x/deep/kept; echo theirs > x/secret; rm -rf x/deep; mkdir -p x/made/more; touch x/t; chmod 700 x/secret; cp -r x /tmp/b; rm -rf x; ln -s /tmp x/s; mv /tmp/a/new x/moved; tar cf /tmp/t x; tar xf /tmp/t; done 2>/dev/null; cat /tmp/b/* /tmp/b/*/* /tmp/t'
end = time.time() + 20; seen = ''; n = 0
while time.time() < end and n < 6:
    s.pod(f's{n}', [{'name': 'd', 'mountPath': '/m', 'subPath': 'x/deep'}, {'name': 'd', 'mountPath': '/f', 'subPath': 'x/secret'}], vol, command=('sh', '-c', 'cat /m/* /f; echo theirs > /m/written; echo theirs > /f; rm -rf /m/*; sleep 300'))
    seen += ''.join(s.exec('work', 'sh', '-c', work, timeout=20)[1:])
    for i in range(n + 1): seen += str(s.api('GET', f'/api/v1/namespaces/default/pods/s{i}/log')[1])
    n += 1
if 'HOST-SECRET' in seen: bad('read from the host')
if [open(f).read() for f in (out + '/secret', out + '/deep/kept')] != ['HOST-SECRET'] * 2 or tree() != before: bad(f'written to the host: {tree()}')
good(f'nothing outside was touched, {n} rounds')
PY
