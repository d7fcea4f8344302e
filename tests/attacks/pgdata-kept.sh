#!/usr/bin/env bash
# A data directory that lost its PG_VERSION but holds files. Right: refused as initdb does; nothing in it is deleted.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
server = Server()
server.act(do='apply', folder='stateful-app')
is_up = lambda: server.exec('postgres-statefulset-0', 'pg_isready', timeout=4)[0] == 0
server.until(is_up, 60) or bad('the database did not start: nothing was tried')
server.stop()
found = glob.glob(server.data + '/node/var/local-path-provisioner/*/18/docker')
found or bad('the data directory is not where the volume has it')
os.unlink(found[0] + '/PG_VERSION')
open(found[0] + '/my-file', 'w').write('mine')
before = sorted(os.listdir(found[0]))
again = Server(server.data)
restarted = lambda: any(s.get('restartCount', 0) > 0 or s.get('lastState') or s['state'].get('terminated') or s['state'].get('waiting', {}).get('reason') == 'CrashLoopBackOff'
                        for s in again.api('GET', path_of('pods', 'postgres-statefulset-0'))[1].get('status', {}).get('containerStatuses', []))
again.until(restarted, 30) or bad('the database did not refuse to start')
log = again.api('GET', path_of('pods', 'postgres-statefulset-0') + '/log')[1]
again.stop()
log = log.decode() if isinstance(log, bytes) else str(log)
'exists but is not empty' in log or bad(f'other words than initdb has: {log[-300:]!r}')
left = sorted(os.listdir(found[0]))
good('kept, in initdb\'s words') if left == before else bad(f'gone: {set(before) - set(left)}')
PY
