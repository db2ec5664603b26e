"""A Deluge daemon that a test drives: one JSON object a line in, one answer a line out, as lt.py has it.

Its task stands in the JSON file that is named; the daemon is a child of this, so it ends with this one's process group.
"""

import base64
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
import zlib

import rencode

task = json.load(open(sys.argv[1]))
home = task["home"]


def settings():
    """What the daemon finds at its start: it looks for peers at trackers alone."""
    ours = {
        "listen_interface": task["ip"], "outgoing_interface": task["ip"],
        "random_port": False, "listen_ports": [task["port"], task["port"]],
        "dht": False, "upnp": False, "natpmp": False, "utpex": False, "lsd": False, "new_release_check": False,
        "enc_in_policy": task["encryption"], "enc_out_policy": task["encryption"],
        "download_location": task["dir"], "max_active_limit": -1, "max_active_seeding": -1,
        "max_active_downloading": -1, "allow_remote": False,
    }
    return json.dumps({"file": 1, "format": 1}) + json.dumps(ours)


# Of torrents that it manages by itself it looks only twice a minute which to start.
OPTIONS = {"add_paused": False, "auto_managed": False}


class Daemon:
    """Deluge's own protocol: a version, a length, and that many bytes of rencode, compressed, over TLS."""

    def __init__(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # It makes its certificate itself, a moment ago.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        self.asked = 0

    def read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("the daemon hung up")
            data += part
        return data

    def call(self, method, *args, **kwargs):
        self.asked += 1
        body = zlib.compress(rencode.dumps([[self.asked, method, args, kwargs]]))
        self.socket.sendall(struct.pack("!BI", 1, len(body)) + body)
        while True:
            _, length = struct.unpack("!BI", self.read(5))
            kind, number, *rest = rencode.loads(zlib.decompress(self.read(length)), decode_utf8=True)
            # 1 answers, 2 tells an error, 3 tells of an event.
            if kind == 1 and number == self.asked:
                return rest[0]
            if kind == 2 and number == self.asked:
                raise RuntimeError(repr(rest))


def start():
    with open(os.path.join(home, "core.conf"), "w") as file:
        file.write(settings())
    log = open(os.path.join(home, "log"), "a")
    args = ["deluged", "-d", "-c", home, "-p", str(task["rpc"]), "-u", "127.0.0.1", "-L", "warning"]
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while child.poll() is None:
        try:
            words = [line.strip().split(":") for line in open(os.path.join(home, "auth"))]
            password = next(w[1] for w in words if w[0] == "localclient")
            daemon = Daemon(task["rpc"])
            daemon.call("daemon.login", "localclient", password, client_version="2.0.3")
            return child, daemon
        except (OSError, StopIteration):
            time.sleep(0.05)
    raise RuntimeError("deluged ended with %r" % child.returncode)


def add(ask):
    name = os.path.basename(ask["torrent"])
    content = base64.b64encode(open(ask["torrent"], "rb").read()).decode()
    daemon.call("core.add_torrent_file", name, content, OPTIONS | {"download_location": ask["dir"]})


def stat(ask):
    # What it tells is a second old, so a torrent that it was just given may be told as one that is here, or not at all.
    keys = ["state", "progress", "is_finished", "message", "num_peers"]
    told = daemon.call("core.get_torrents_status", {}, keys)
    if child.poll() is not None:
        raise RuntimeError("deluged ended with %r" % child.returncode)
    rows = []
    for it in told.values():
        error = it["message"] if it["state"] == "Error" else ""
        rows.append({"done": it["state"] == "Seeding" and it["progress"] == 100, "error": error, "peers": it["num_peers"]})
    return {"torrents": rows}


OPS = {"open": lambda ask: None, "add": add, "stat": stat}

child, daemon = start()
for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = OPS[ask["op"]](ask) or {}
    except Exception as e:
        answer = {"error": repr(e)}
    print(json.dumps(answer), flush=True)
os._exit(0)
