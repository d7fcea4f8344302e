#!/usr/bin/env bash
# Seconds and dates at the ends of their types, in every place that adds them up. Right: taken or refused, and the Pod
# after them runs.
[ -n "${BIN:-}" ] && export BIN=$(realpath "$BIN"); cd "$(dirname "$0")" && exec python3 - <<'PY'
from ez import *
s = Server(); most, big = 2**31 - 1, 2**63 - 1
probe = {'exec': {'command': ['true']}, 'periodSeconds': most, 'failureThreshold': most, 'initialDelaySeconds': most, 'timeoutSeconds': most}
s.make('pods', {'metadata': {'name': 'p'}, 'spec': {'terminationGracePeriodSeconds': big, 'activeDeadlineSeconds': most, 'containers': [{'name': 'c', 'image': 'busybox', 'command': ['sleep', '99'],
  'readinessProbe': probe, 'lifecycle': {'preStop': {'sleep': {'seconds': big}}}}]}})
t = {'metadata': {'labels': {'a': 'd'}}, 'spec': {'containers': [{'name': 'c', 'image': 'busybox', 'command': ['sleep', '99']}]}}
d = '/apis/apps/v1/namespaces/default/deployments/d'
s.make('deployments', {'metadata': {'name': 'd', 'annotations': {'deployment.kubernetes.io/revision': str(big)}}, 'spec': {'minReadySeconds': most - 1, 'progressDeadlineSeconds': most, 'selector': {'matchLabels': {'a': 'd'}}, 'template': t,
  'strategy': {'rollingUpdate': {'maxSurge': '99999999999%', 'maxUnavailable': 0}}}})
s.until(lambda: s.api('GET', '/api/v1/namespaces/default/pods/p')[1]['status'].get('phase') == 'Running', 10)
far = [{'type': 'Progressing', 'status': 'True', 'reason': 'ReplicaSetUpdated', 'lastUpdateTime': '9999-12-30T00:00:00Z', 'lastTransitionTime': '9999-12-30T00:00:00Z'}]
r = [s.api('PATCH', d + '/status', {'status': {'conditions': far}}, 'application/merge-patch+json')[0],
     s.api('GET', f'/api/v1/namespaces/default/pods/p/log?sinceSeconds={big}')[0], s.api('GET', f'/api/v1/namespaces/default/pods/p/log?sinceSeconds={-big}')[0],
     s.api('DELETE', '/api/v1/namespaces/default/pods/p')[0], s.api('DELETE', '/api/v1/namespaces/default/pods/p', {'gracePeriodSeconds': big})[0],
     s.api('DELETE', '/api/v1/namespaces/default/pods/p', {'gracePeriodSeconds': -big})[0], s.api('GET', '/api/v1/namespaces/default/pods/p?resourceVersion=' + '9' * 40)[0]]
s.pod('after'); ready = s.ready('after')
bad(f'{r}, the next Pod is ready: {ready}, stderr: {s.said()[:300]}') if not ready or 0 in r or 500 in r or 'panicked' in s.said() else good(f'{r}, the next Pod is ready')
PY
