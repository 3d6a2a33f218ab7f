"""Runs ssh-audit as a client of today.

By itself it offers what OpenSSH 8.2 did, and sees what such a client is offered.
"""

import sys

from ssh_audit.ssh_audit import main
from ssh_audit.ssh_socket import SSH_Socket

METHODS = [
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
]

_, *others = SSH_Socket.send_kexinit.__defaults__
SSH_Socket.send_kexinit.__defaults__ = (METHODS, *others)
sys.exit(main())
