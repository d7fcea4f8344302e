#!/usr/bin/env bash
# Pipelines whose first part never ends by itself. Right: each ends as soon as its reader has what it wants.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); s.pod('p', command=('sh', '-c', 'sleep 3000')); s.need('p')
for script, wanted in [('yes | head -n 2', 'y\ny\n'), ('seq 1 1000000000 | head -n 1', '1\n'), ('cat /dev/zero | head -c 5 | wc -c', '5\n'),
                       ('while true; do echo x; done | head -n 3', 'x\nx\nx\n'), ('while true; do date +x; done | head -n 1', 'x\n'),
                       ('sh -c "while :; do pwd; done" | head -n 1', '/\n'), ('yes a | grep -m 1 a', 'a\n'),
                       ('tr -dc a-z < /dev/urandom | head -c 9 | wc -c', '9\n'), ('yes | tee /dev/null | head -n 1', 'y\n'),
                       ('cat /dev/zero | base64 | head -c 3', 'AAA'), ('seq 1 2 1000000000 | uniq | cut -c 1 | head -n 1', '1\n')]:
    code, out, err = s.exec('p', 'sh', '-c', script, timeout=20)
    if out != wanted: bad(f'{script}: code {code}, {out[:80]!r}, {err[:80]!r}')
good('all ended')
PY
