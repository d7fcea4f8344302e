#!/usr/bin/env bash
# A fork bomb, and nesting without end. Right: "can't fork", an error; the server answers meanwhile.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); s.pod('p', command=('sh', '-c', 'sleep 3000')); s.need('p')
for script, wanted in [('a() { a | a & }; a; wait; echo end', "can't fork"), ('f() { f; }; f', 'too deeply nested'), ('f() { echo $(f); }; f', 'too deeply nested'),
                       ('(' * 10000, 'too deeply nested'), ('$(' * 5000, ''), ('echo $((' + '(' * 10000 + '))', ''), ("case $(printf '%100000s' x) in *y*) ;; esac", ''),
                       ('echo $((1/0))', 'division by zero'), ('echo $((-9223372036854775808 / -1))', ''),
                       ("printf '#!/bin/sh\\n/tmp/s\\n' > /tmp/s; chmod +x /tmp/s; /tmp/s", 'too deeply nested')]:
    code, out, err = s.exec('p', 'sh', '-c', script, timeout=60)
    if code is None or code > 128 or wanted not in err or 'panicked' in err: bad(f'{script[:60]}: {code} {out[-60:]!r} {err[-200:]!r}')
if s.api('GET', '/api/v1/namespaces/default/pods')[0] != 200: bad('the server does not answer')
good('refused, each with an error')
PY
