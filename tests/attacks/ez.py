"""What the attack scripts share: a server on a fresh folder, its API as kubectl speaks it, and its page.

A script is right when it ends with 0. Whatever it starts is ended by its process id and its folders are removed.
All traffic goes to 127.0.0.1, and every loop is bounded.
"""
import atexit
import base64
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
BIN = os.environ.get("BIN")
if not BIN:
    sys.exit("BIN names the program to try: BIN=target/release/eizoku")
BIN = os.path.realpath(BIN)

_servers = []
_folders = []


def _tidy():
    for server in _servers:
        server.stop(signal.SIGKILL)
    for path in _folders:
        shutil.rmtree(path, ignore_errors=True)


atexit.register(_tidy)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def folder():
    """An empty folder that anybody may enter, gone at the end."""
    path = tempfile.mkdtemp(prefix="eizoku-attack-")
    os.chmod(path, 0o755)
    _folders.append(path)
    return path


def _end(word, words, code):
    print(f"{word}: {words}")
    sys.exit(code)


def good(words):
    _end("ok", words, 0)


def bad(words):
    _end("BAD", words, 1)


def skip(words):
    _end("skipped", words, 0)


GROUPS = {
    "controllerrevisions": "apis/apps/v1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "storageclasses": "apis/storage.k8s.io/v1",
}
CLUSTER_SCOPED = ("namespaces", "nodes", "persistentvolumes", "storageclasses")


def path_of(kind, name=None, namespace="default"):
    """The API's path of a kind (its plural), or of one object."""
    group = GROUPS.get(kind, "api/v1")
    inside = "" if kind in CLUSTER_SCOPED else f"/namespaces/{namespace}"
    return f"/{group}{inside}/{kind}" + (f"/{name}" if name else "")


class Server:
    """The program with its embedded cluster. `pre` is a command that starts it, such as prlimit."""

    def __init__(self, data=None, args=(), pre=(), env=None):
        self.data = data or os.path.join(folder(), "data")
        self.errors = os.path.join(folder(), "stderr")
        self.owner, self.port, self.aport, self.prefix = {}, None, None, ""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("EIZOKU_", "KUBECONFIG"))}
        with open(self.errors, "wb") as errors:
            self.p = subprocess.Popen(
                [*pre, BIN, "--cluster", "embedded", "--data", self.data, "--port", "0", *args],
                stdout=subprocess.PIPE, stderr=errors, env={**clean, **(env or {})},
            )
        _servers.append(self)
        for line in self.p.stdout:
            found = re.search(rb"http://127\.0\.0\.1:(\d+)/(\?\S+)?", line)
            if found:
                self.port = int(found[1])
                query = (found[2] or b"").decode()
                break
        if self.port is None:
            return  # It did not start; said() tells why.
        threading.Thread(target=self.p.stdout.read, daemon=True).start()
        if query:
            self.owner = self._log_in(query)
        with open(f"{self.data}/kubeconfig") as kubeconfig:
            found = re.search(r"http://127\.0\.0\.1:(\d+)(/k/\w+)", kubeconfig.read())
        self.aport, self.prefix = int(found[1]), found[2]
        self.until(lambda: self.page("/readyz")[0] == 200, 5)

    def _log_in(self, query):
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        asking.request("GET", "/" + query)
        answer = asking.getresponse()
        answer.read()
        asking.close()
        kept = [value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        return {"Cookie": "; ".join(kept)} if kept else {}

    def said(self):
        """What it wrote to standard error."""
        with open(self.errors, errors="replace") as errors:
            return errors.read()

    def rss(self):
        """The memory of its main process in MiB; 0 once it has ended."""
        try:
            with open(f"/proc/{self.p.pid}/status") as status:
                return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))
        except (OSError, StopIteration):
            return 0

    def stop(self, how=signal.SIGTERM, patience=8):
        """Its exit code, or None if it had to be killed."""
        if self.p.poll() is None:
            self.p.send_signal(how)
        try:
            return self.p.wait(patience)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            return None

    @staticmethod
    def _ask(port, method, path, body, headers, timeout):
        """Status and body; status 0 when there was no answer."""
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            asking.request(method, path, body, headers)
            answer = asking.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            asking.close()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data

    def page(self, path, body=None, headers=None, method=None, timeout=10):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        return self._ask(self.port, method or ("GET" if body is None else "POST"), path, body, headers, timeout)

    def act(self, **action):
        """What a button of the owner's page sends."""
        return self.page("/act", action, headers=self.owner, timeout=20)

    def api(self, method, path, body=None, ct="application/json", timeout=20):
        headers = {} if body is None else {"Content-Type": ct}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self._ask(self.aport, method, self.prefix + path, body, headers, timeout)

    def make(self, kind, object, ns="default"):
        return self.api("POST", path_of(kind, namespace=ns), object)

    def pod(self, name, mounts=(), volumes=(), command=("sleep", "300"), image="busybox", **more):
        container = {"name": "c", "image": image, "command": list(command), "volumeMounts": list(mounts), **more}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": list(volumes)}
        return self.make("pods", {"metadata": {"name": name}, "spec": spec})

    def claim(self, name, **spec):
        asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, **spec}
        return self.make("persistentvolumeclaims", {"metadata": {"name": name}, "spec": asked})

    def until(self, check, patience=12):
        end = time.time() + patience
        while time.time() < end:
            if check():
                return True
            time.sleep(0.1)
        return False

    def ready(self, name, patience=15):
        def is_ready():
            status, pod = self.api("GET", path_of("pods", name))
            conditions = pod["status"].get("conditions", []) if status == 200 else []
            return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)

        return self.until(is_ready, patience)

    def need(self, name):
        """Without this Pod there is nothing to try, which is no success."""
        if not self.ready(name):
            bad(f"Pod {name} did not become Ready: nothing was tried")

    def exec(self, pod, *command, timeout=10):
        """Exit code (None if it did not end), standard output and standard error, as `kubectl exec` has them."""
        query = urllib.parse.urlencode([("command", part) for part in command] + [("stdout", "true"), ("stderr", "true")])
        sock, head, rest = ws_connect(
            self.aport, f"{self.prefix}{path_of('pods', pod)}/exec?{query}", ["Sec-WebSocket-Protocol: v5.channel.k8s.io"])
        if " 101 " not in head.split("\r\n")[0]:
            sock.close()
            return None, "", head
        sock.settimeout(timeout)
        said, code, frames = {1: b"", 2: b""}, None, Frames(sock, rest)
        try:
            while code is None:
                kind, data = frames.next()
                if kind == 8:
                    break
                if data[:1] in (b"\x01", b"\x02"):
                    said[data[0]] += data[1:]
                elif data[:1] == b"\x03":
                    status = json.loads(data[1:])
                    causes = (status.get("details") or {}).get("causes") or []
                    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
                    code = 0 if status.get("status") == "Success" else (codes or [1])[0]
        except (OSError, EOFError):
            pass
        sock.close()
        return code, said[1].decode("utf8", "replace"), said[2].decode("utf8", "replace")


def ws_connect(port, path, headers=()):
    """A WebSocket's socket, the head of the answer, and what came behind it."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers, "", "",
    ]
    sock.sendall("\r\n".join(lines).encode())
    got = b""
    while b"\r\n\r\n" not in got:
        more = sock.recv(4096)
        if not more:
            break
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    return sock, head.decode("latin1"), rest


def ws_send(sock, data):
    """One binary message, masked as a client has to (RFC 6455, 5.3)."""
    mask = os.urandom(4)
    length = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    sock.sendall(b"\x82" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))


class Frames:
    """The messages that come over a WebSocket's socket."""

    def __init__(self, sock, rest=b""):
        self.sock, self.rest = sock, rest

    def _take(self, count):
        while len(self.rest) < count:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def next(self):
        """The kind (8 closes) and the bytes of the next message."""
        first, length = self._take(2)
        length &= 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(length)
