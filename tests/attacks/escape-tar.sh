#!/usr/bin/env bash
# Archives with ../ in names, links, and files that go through these links; hard links; redirections and sources over links. Right: nothing outside is read or changed.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
import io, tarfile
out = folder(); victim = out + '/victim'; open(victim, 'w').write('HOST-SECRET'); os.chmod(victim, 0o640); os.mkdir(out + '/sub')
def state(): return {n: (os.lstat(out + '/' + n).st_mode, os.path.isfile(out + '/' + n) and open(out + '/' + n).read()) for n in os.listdir(out)} | {'sub': os.listdir(out + '/sub')}
before = state(); s = Server(); s.claim('d')
s.pod('p', [{'name': 'd', 'mountPath': '/d'}], [{'name': 'd', 'persistentVolumeClaim': {'claimName': 'd'}}]); s.need('p')
raw = io.BytesIO(); t = tarfile.open(fileobj=raw, mode='w')
def put(name, kind=tarfile.REGTYPE, link='', text=b''):
    i = tarfile.TarInfo(name); i.type, i.linkname, i.size, i.mode = kind, link, len(text), 0o4777; t.addfile(i, io.BytesIO(text))
put('../' * 12 + out[1:] + '/sub/up', text=b'theirs'); put(victim, text=b'theirs')
put('l', tarfile.SYMTYPE, out); put('l/new', text=b'theirs'); put('l/victim', text=b'theirs')
put('f', tarfile.SYMTYPE, victim); put('f', text=b'theirs'); put('h', tarfile.LNKTYPE, victim); put('h', text=b'theirs')
put('r', tarfile.SYMTYPE, '../' * 12 + out[1:] + '/sub'); put('r', tarfile.DIRTYPE); put('r/x/y', text=b'theirs'); put('p', tarfile.FIFOTYPE); put('c', tarfile.CHRTYPE); t.close()
packed = base64.b64encode(raw.getvalue()).decode()
for at in range(0, len(packed), 3000): s.exec('p', 'sh', '-c', f'printf %s {packed[at:at + 3000]} >> /tmp/t64')
s.exec('p', 'sh', '-c', 'mkdir /d/t; base64 -d /tmp/t64 > /tmp/t; tar xf /tmp/t -C /d/t; tar xvf /tmp/t -C /tmp')
seen = s.exec('p', 'sh', '-c', f'''cd /d; ln -s {victim} v; ln -s {out} o; ln {victim} hard; ln v hard2; cat v o/victim hard hard2 < v; . ./v; read x < v; echo $x; tar cf - v o/ | tar xf - -C /tmp
echo theirs > v; echo theirs >> o/new; echo theirs | tee v o/tee; cp /etc/hostname v; cp /etc/hostname o; mv /tmp/t o; mkdir -p o/sub/made; touch o/touched v; chmod 777 v o; rm -rf o/ o/sub v/.; ls o o/*; cat o/*; find o/; du o; head v; grep HOST v; cd o && cat victim''')
if 'HOST-SECRET' in seen[1] + seen[2] + s.exec('p', 'sh', '-c', 'cat /tmp/* /d/t/* /tmp/*/*')[1]: bad(f'read from the host: {seen}')
good('nothing outside was touched') if state() == before else bad(f'the container wrote to the host: {state()}')
PY
