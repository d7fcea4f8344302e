#!/usr/bin/env bash
# A container that writes as fast as it can. Right: 50 MiB of log at most, little memory, the end of it at once, and the API goes on.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); s.pod('p', command=('yes', 'a line of a log that has no end')); s.need('p')
def files(): return [os.path.getsize(f) for f in glob.glob(s.data + '/pods/*/logs/c/*') if os.path.exists(f)]
if not s.until(lambda: len(files()) >= 5, 90): bad(f'no rotation: {files()}')
time.sleep(3)
if sum(files()) > 50 << 20 or len(files()) > 5: bad(f'files of {files()}')
code, text = s.api('GET', '/api/v1/namespaces/default/pods/p/log?tailLines=3')
if code != 200 or text.count(b'\n') != 3: bad(f'tail: {code} {text[:200]!r}')
if s.rss() > 400: bad(f'{s.rss()} MiB')
good(f'{sum(files()) >> 20} MiB in {len(files())} files, server {s.rss()} MiB')
PY
