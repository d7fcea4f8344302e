#!/usr/bin/env bash
# exec that floods what nobody reads, is cut off, comes in numbers; then kill -9. Right: nothing is left running, nothing grows.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); s.pod('p', command=('sh', '-c', 'sleep 3000')); s.need('p')
def running():
    n = 0
    for d in glob.glob('/proc/[0-9]*'):
        try: n += '--be-a-container' in open(d + '/cmdline').read() and os.path.samefile(d + '/exe', BIN)
        except OSError: pass
    return n
base = running()
def begin(*command):
    q = urllib.parse.urlencode([('command', c) for c in command] + [('stdout', 'true'), ('stdin', 'true')])
    return ws_connect(s.aport, f'{s.prefix}/api/v1/namespaces/default/pods/p/exec?{q}', ['Sec-WebSocket-Protocol: v5.channel.k8s.io'])[0]
c = begin('sleep', '1000')
if not s.until(lambda: running() > base): bad('exec did not start')
c.settimeout(1)
try:
    for _ in range(10000): ws_send(c, b'\0' + b'x' * 30000)
except OSError: pass
if s.rss() > 300: bad(f'{s.rss()} MiB for input that nobody reads')
c.close()
if not s.until(lambda: running() == base, 40): bad('a command that was cut off runs on (input)')
c = begin('yes'); time.sleep(2)
if s.rss() > 300: bad(f'{s.rss()} MiB for output that nobody reads')
c.close()
if not s.until(lambda: running() == base, 40): bad('a command that was cut off runs on (output)')
fds = len(os.listdir(f'/proc/{s.p.pid}/fd'))
for _ in range(60): s.exec('p', 'true')
s.until(lambda: len(os.listdir(f'/proc/{s.p.pid}/fd')) <= fds + 5)
if len(os.listdir(f'/proc/{s.p.pid}/fd')) > fds + 5: bad('descriptors leak')
many = [begin('sleep', '1000') for _ in range(90)]; time.sleep(3)
if running() - base > 64: bad(f'{running() - base} commands in one container')
s.p.kill(); s.p.wait()
if not s.until(lambda: running() == 0, 10): bad(f'{running()} processes are left')
good('nothing left')
PY
