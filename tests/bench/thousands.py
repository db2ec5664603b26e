#!/usr/bin/env python3
"""Makes thousands of complete, recorded torrents and measures how `ttui` lives with them.

    thousands.py make  FOLDER --count 10000 [--pieces 1500] [--paused]
    thousands.py run   FOLDER --bin target/release/ttui [--seconds 60] [--json]

`make` writes FOLDER/data (sparse files of zeros, one a torrent), FOLDER/torrents (the `.torrent` files) and FOLDER/state:
a state folder in which all of them are in the list, complete and with resume data, as after a clean end.

`run` starts the interface on a terminal of its own with that state folder and prints: when the first row with a name was
on the screen, when torrents answered a handshake with a full bitfield (a sample of them; all are asked afterwards), memory,
threads, descriptors, processor time while idle, how long a key took to change the screen, and how long it took to end.
Everything stays on 127.0.0.1.
"""

import argparse
import hashlib
import json
import os
import pty
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

PIECE = 16 * 1024
ZERO = hashlib.sha1(bytes(PIECE)).digest()


def names(count):
    return [f"torrent-{n:05d}" for n in range(count)]


def info_dict(name, pieces):
    """The bencoded info dictionary of a file of zeros."""
    head = f"d6:lengthi{pieces * PIECE}e4:name{len(name)}:{name}12:piece lengthi{PIECE}e6:pieces{20 * pieces}:"
    return head.encode() + ZERO * pieces + b"e"


def resume_base(info_hash, pieces, path, boot):
    """The resume data (version 4) of a complete torrent of one file that was closed cleanly."""
    stat = os.stat(path)
    out = b"TTUIBASE" + struct.pack("<IQQQ", 4, 1 + random.getrandbits(60), 1, 1)
    out += info_hash + struct.pack("<IIQI", pieces, PIECE, pieces * PIECE, 1)
    out += bytes([1, 1]) + struct.pack("<Q", stat.st_dev)
    out += bytes([len(boot)]) + boot
    out += struct.pack("<QqQq", stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns)
    out += struct.pack("<QqQq", 2**64 - 1, 0, 0, 0)
    bits = bytearray(b"\xff" * (pieces // 8))
    if pieces % 8:
        bits.append(0xFF << (8 - pieces % 8) & 0xFF)
    out += bytes(bits) * 2 + bytes(len(bits))
    return out + hashlib.sha1(out).digest()


def make(args):
    folder = args.folder.resolve()
    data, torrents, state = folder / "data", folder / "torrents", folder / "state"
    for each in (data, torrents, state / "torrents"):
        each.mkdir(parents=True, exist_ok=True)
    os.chmod(state, 0o700)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    place = hashlib.sha1(str(data.resolve()).encode()).hexdigest()[:12]
    size = args.pieces * PIECE
    entries = []
    for name in names(args.count):
        info = info_dict(name, args.pieces)
        info_hash = hashlib.sha1(info).digest()
        path = data / name
        with open(path, "wb") as file:
            file.truncate(size)
        bytes_ = b"d4:info" + info + b"e"
        (torrents / f"{name}.torrent").write_bytes(bytes_)
        (state / "torrents" / f"{info_hash.hex()}.torrent").write_bytes(bytes_)
        (state / f"{info_hash.hex()}-{place}.resume").write_bytes(resume_base(info_hash, args.pieces, path, boot))
        entries.append(
            f'[[torrent]]\ninfo_hash = "{info_hash.hex()}"\nname = "{name}"\ndir = "{data}"\n'
            f"paused = {str(args.paused).lower()}\nwhole = true\nadded = 1700000000\nfinished = 1700000000\n"
            f"size = {size}\nwanted = {size}\ndone = {size}\npieces = {args.pieces}\nhave = {args.pieces}\n"
        )
    (state / "session.toml").write_text("\n".join(entries))
    print(f"{args.count} torrents of {args.pieces} pieces in {folder}")


class Screen:
    """A program on a terminal of its own; remembers when bytes came."""

    def __init__(self, command):
        self.began = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(command[0], command)
        import fcntl
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self.text, self.lock = bytearray(), threading.Lock()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                got = os.read(self.master, 1 << 16)
            except OSError:
                return
            with self.lock:
                self.text += got

    def wait(self, what, since=0, limit=120.0):
        """Seconds until these bytes (a regular expression) came after `since` bytes; None if they did not."""
        began = time.monotonic()
        while time.monotonic() - began < limit:
            with self.lock:
                if re.search(what, bytes(self.text[since:])):
                    return time.monotonic() - began
            time.sleep(0.002)
        return None

    def length(self):
        with self.lock:
            return len(self.text)


def ask(port, info_hash, pieces, patience=5.0):
    """Whether the torrent answers a handshake with word of all pieces."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as peer:
            reserved = bytes([0, 0, 0, 0, 0, 0, 0, 4])
            peer.sendall(b"\x13BitTorrent protocol" + reserved + info_hash + b"-XX0000-" + os.urandom(12))
            got = b""
            while len(got) < 68 + 5:
                more = peer.recv(65536)
                if not more:
                    return False
                got += more
            return got[28:48] == info_hash and got[72] in (14, 5)
    except OSError:
        return False


def status(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    number = lambda key: int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))
    return {
        "rss_mib": round(number("VmRSS") / 1024, 1),
        "peak_mib": round(number("VmHWM") / 1024, 1),
        "threads": number("Threads"),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
    }


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(args):
    folder = args.folder.resolve()
    listed = (folder / "state" / "session.toml").read_text()
    hashes = [bytes.fromhex(h) for h in re.findall(r'^info_hash = "([0-9a-f]{40})"', listed, re.M)]
    paused = "paused = true" in listed
    pieces = int(re.search(r"^pieces = (\d+)", listed, re.M).group(1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--no-dht --no-lsd --no-port-map --bind 127.0.0.1 --port {port}".split()
    screen = Screen([
        str(args.bin.resolve()), *options, "--state-dir", str(folder / "state"), "--dir", str(folder / "data"),
    ])  # fmt: skip
    out = {"torrents": len(hashes), "first_rows": screen.wait(rb"torrent-\d{5}")}
    if not paused:
        sample = random.Random(1).sample(hashes, min(40, len(hashes))) + hashes[-1:]
        while sample and time.monotonic() - screen.began < args.patience:
            sample = [h for h in sample if not ask(port, h, pieces)]
            time.sleep(0.05)
        out["ready"] = round(time.monotonic() - screen.began, 2) if not sample else None
        out["cpu_until_ready"] = round(cpu(screen.pid), 2)
    else:
        time.sleep(args.settle)
    out["at_ready"] = status(screen.pid)
    if not paused and args.all:
        out["answered"] = sum(ask(port, h, pieces) for h in hashes)
    time.sleep(args.settle)
    before = cpu(screen.pid)
    time.sleep(args.seconds)
    out["idle_cpu_percent"] = round(100 * (cpu(screen.pid) - before) / args.seconds, 2)
    out.update(status(screen.pid))
    keys = []
    for key in (b"j", b"j", b"k", b"G", b"g", b"j", b"k"):
        at, began = screen.length(), time.monotonic()
        os.write(screen.master, key)
        while screen.length() == at and time.monotonic() - began < 5:
            time.sleep(0.0005)
        keys.append(round(1000 * (time.monotonic() - began), 1))
        time.sleep(0.3)
    out["key_ms"] = keys
    began = time.monotonic()
    os.kill(screen.pid, signal.SIGTERM)
    while os.waitpid(screen.pid, os.WNOHANG)[0] == 0:
        if time.monotonic() - began > 60:
            os.kill(screen.pid, signal.SIGKILL)
            out["killed"] = True
        time.sleep(0.01)
    out["stop"] = round(time.monotonic() - began, 2)
    if out["first_rows"] is not None:
        out["first_rows"] = round(out["first_rows"], 3)
    print(json.dumps(out) if args.json else "\n".join(f"{key:18} {value}" for key, value in out.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    todo = parser.add_subparsers(required=True)
    it = todo.add_parser("make")
    it.add_argument("folder", type=Path)
    it.add_argument("--count", type=int, default=10000)
    it.add_argument("--pieces", type=int, default=1500)
    it.add_argument("--paused", action="store_true")
    it.set_defaults(do=make)
    it = todo.add_parser("run")
    it.add_argument("folder", type=Path)
    it.add_argument("--bin", type=Path, default=Path("target/release/ttui"))
    it.add_argument("--seconds", type=float, default=60, help="how long the idle program is watched")
    it.add_argument("--settle", type=float, default=5, help="how long it is left alone before that")
    it.add_argument("--patience", type=float, default=180, help="how long it may take until all are ready")
    it.add_argument("--all", action="store_true", help="ask every torrent, not only a sample")
    it.add_argument("--json", action="store_true")
    it.set_defaults(do=run)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    sys.exit(main())
