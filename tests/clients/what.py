"""What the Python clients are told, and how they tell what they did.

A client gets the path of a file with lines `NAME=VALUE`: where to connect and as whom, the
server's host keys, a folder of its own, a large file, and ports beside the workspace of
which one echoes and one is closed. It prints a line `done: STEP` for each step, and ends
with an exception where something isn't as it should be.
"""

import hashlib
import os
import sys
from types import SimpleNamespace

with open(sys.argv[1], encoding="utf-8") as lines:
    it = SimpleNamespace(**dict(line.rstrip("\n").split("=", 1) for line in lines))
it.host_keys = it.host_keys.split(",")
it.port, it.echo, it.closed = int(it.port), int(it.echo), int(it.closed)

MEBIBYTE = 1 << 20

# Its output and its errors are apart, and its status is no other's.
COMMAND = "cat; echo to-err >&2; exit 7"
INPUT = b"typed\0\xff\r\n"

# What an interactive shell is told: its terminal's size, without the command's own echo.
TYPED = 'stty size; test -t 0 && echo "is"-a-terminal; exit 5\n'
TERMINAL = (132, 43)


def done(step):
    print("done:", step, flush=True)


def same(seen, expected):
    if seen != expected:
        raise AssertionError(f"{seen!r} instead of {expected!r}")


def large():
    with open(it.large, "rb") as file:
        return file.read()


def digest(content):
    return hashlib.sha256(content).hexdigest()


def local(name):
    return os.path.join(it.folder, name)


def same_file(path, other):
    with open(path, "rb") as one, open(other, "rb") as two:
        same(digest(one.read()), digest(two.read()))
