#!/usr/bin/env bash
# Volumes whose hostPath leads over links that another Pod made, mounted and reclaimed. Right: nothing of the host is seen, made or removed.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
out = folder(); os.makedirs(out + '/in/deep'); open(out + '/in/secret', 'w').write('HOST-SECRET'); open(out + '/in/deep/kept', 'w').write('mine')
def tree(): return sorted((d, tuple(sorted(f)), tuple(sorted(n))) for d, n, f in os.walk(out))
before = tree(); s = Server()
s.claim('d'); vol = lambda claim: [{'name': 'd', 'persistentVolumeClaim': {'claimName': claim}}]
s.pod('a', [{'name': 'd', 'mountPath': '/d'}], vol('d')); s.need('a')
s.exec('a', 'sh', '-c', f'ln -s {out} /d/link; ln -s ../../../../../../../../../..{out} /d/up; mkdir /d/own; ln -s {out}/in /d/own/x')
base = next(v['spec']['hostPath']['path'] for v in s.api('GET', '/api/v1/persistentvolumes')[1]['items'])
def volume(name, path, **more):
    v = {'metadata': {'name': name, **more}, 'spec': {'capacity': {'storage': '1Mi'}, 'accessModes': ['ReadWriteOnce'], 'storageClassName': 'byhand', 'persistentVolumeReclaimPolicy': 'Delete', 'hostPath': {'path': path}, 'claimRef': {'namespace': 'default', 'name': name}}}
    s.make('persistentvolumes', v); s.claim(name, storageClassName='byhand', volumeName=name)
# Mounted: what the Pod sees is never the host's.
for name, path in [('m1', base + '/link/in'), ('m2', base + '/up/in'), ('m3', base + '/own/x')]:
    volume(name, path); s.pod(name, [{'name': 'd', 'mountPath': '/m'}], vol(name))
    if s.ready(name, 6):
        seen = s.exec(name, 'cat', '/m/secret')[1]; s.exec(name, 'sh', '-c', 'echo x > /m/written; rm -rf /m/deep')
        if 'HOST' in seen: bad(f'{name} read {seen!r}')
if tree() != before: bad(f'a mount wrote to the host: {tree()}')
# Reclaimed: the provisioner removes no folder by way of a link, and no folder but its own.
mine = {'annotations': {'pv.kubernetes.io/provisioned-by': 'rancher.io/local-path'}}
for name, path in [('r1', base + '/link/in'), ('r2', base + '/up/in'), ('r3', base + '/own/x/deep'), ('r4', '/var/local-path-provisioner'), ('r5', '/var/local-path-provisioner/.')]:
    volume(name, path, **mine)
    s.until(lambda: s.api('GET', f'/api/v1/persistentvolumes/{name}')[1].get('status', {}).get('phase') == 'Bound', 8)
    s.api('DELETE', f'/api/v1/namespaces/default/persistentvolumeclaims/{name}')
    s.until(lambda: any(e['reason'] == 'VolumeFailedDelete' and e['involvedObject']['name'] == name for e in s.api('GET', '/api/v1/namespaces/default/events')[1]['items']) or s.api('GET', f'/api/v1/persistentvolumes/{name}')[0] == 404, 8)
if tree() != before: bad(f'reclaiming removed what is the host\'s: {tree()}')
if s.exec('a', 'ls', '/d')[1].split() != ['link', 'own', 'up']: bad("another volume's folder was removed: " + repr(s.exec('a', 'ls', '/d')))
# Its own folder goes, and what links in it lead to stays.
s.api('DELETE', '/api/v1/namespaces/default/pods/a'); s.until(lambda: s.api('GET', '/api/v1/namespaces/default/pods/a')[0] == 404, 10)
s.api('DELETE', '/api/v1/namespaces/default/persistentvolumeclaims/d')
gone = s.until(lambda: not os.path.lexists(s.data + '/node' + base), 10)
if tree() != before: bad(f'removing the volume followed a link: {tree()}')
good('stayed inside') if gone else bad('the volume was never removed')
PY
