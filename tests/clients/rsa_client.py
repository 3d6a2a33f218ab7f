"""Signs in with an RSA key, and with its certificate, as Paramiko did before it gave up SHA-1:
nothing that is signed so is taken, whatever the key may do otherwise.
"""

from unittest.mock import patch

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.auth_handler import AuthHandler

from what import done, it, same


def signs_in(key, algorithm):
    def agreed(handler, _):
        # What the signature says of itself.
        handler.transport._agreed_pubkey_algorithm = algorithm
        return algorithm

    with paramiko.Transport((it.host, it.port)) as transport:
        transport.start_client(timeout=20)
        with patch.object(AuthHandler, "_finalize_pubkey_algorithm", agreed):
            try:
                transport.auth_publickey(it.user, key)
            except paramiko.AuthenticationException:
                return False
        return True


def check(key, suffix):
    for hash, taken in (("rsa-sha2-512", True), ("ssh-rsa", False), ("rsa-sha2-256", True)):
        same((hash, signs_in(key, hash + suffix)), (hash, taken))


paramiko.RSAKey.HASHES.update({"ssh-rsa": hashes.SHA1, "ssh-rsa-cert-v01@openssh.com": hashes.SHA1})
key = paramiko.RSAKey.from_private_key_file(it.identity)
check(key, "")
done("key")
key.load_certificate(it.identity + "-cert.pub")
check(key, "-cert-v01@openssh.com")
done("certificate")
