#!/usr/bin/env bash
# Scripts that take memory without end. Right: 137 for the command, OOMKilled for the main process; the server and others live on.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); s.pod('p', command=('sh', '-c', 'sleep 3000'), resources={'limits': {'memory': '48Mi'}}); s.need('p')
def largest():
    """MiB of the largest process of this binary but the server."""
    most = 0
    for d in glob.glob('/proc/[0-9]*'):
        try:
            if '--be-a-container' in open(d + '/cmdline').read() and os.path.samefile(d + '/exe', BIN): most = max(most, int(open(d + '/statm').read().split()[1]) // 256)
        except OSError: pass
    return most
peak, over = [0], threading.Event()
def look():
    while not over.is_set(): peak[0] = max(peak[0], largest()); time.sleep(.05)
threading.Thread(target=look, daemon=True).start()
for script in ['tail /dev/zero', 'sort /dev/zero', 'x=$(yes)', 'x=a; while :; do x=$x$x; done', "x=$(printf '%1000000000d' 1)"]:
    code, out, err = s.exec('p', 'sh', '-c', script, timeout=60)
    if code != 137: bad(f'{script}: {code} {err[-100:]!r}')
over.set()
if peak[0] > 160: bad(f'a process with a limit of 48Mi had {peak[0]} MiB')
if s.exec('p', 'echo', 'here')[1] != 'here\n': bad('the container is gone')
s.pod('q', command=('tail', '/dev/zero'), resources={'limits': {'memory': '32Mi'}})
def last(): return (s.api('GET', '/api/v1/namespaces/default/pods/q')[1]['status'].get('containerStatuses') or [{}])[0]
if not s.until(lambda: 'OOMKilled' in json.dumps(last()), 30): bad(f'q is {last()}')
good(f'137, OOMKilled, {peak[0]} MiB at most')
PY
