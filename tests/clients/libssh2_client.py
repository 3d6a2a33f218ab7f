"""Everything that a workspace is used for, with libssh2 (by ssh2-python)."""

import base64
import socket

from ssh2.exceptions import ChannelFailure, SFTPProtocolError
from ssh2.session import Session
from ssh2.sftp import (
    LIBSSH2_FXF_CREAT,
    LIBSSH2_FXF_READ,
    LIBSSH2_FXF_TRUNC,
    LIBSSH2_FXF_WRITE,
    LIBSSH2_SFTP_S_IRUSR,
    LIBSSH2_SFTP_S_IWUSR,
)

from what import COMMAND, INPUT, MEBIBYTE, TYPED, digest, done, it, large, same


def connect():
    stream = socket.create_connection((it.host, it.port), timeout=20)
    session = Session()
    session.handshake(stream)
    key, _ = session.hostkey()
    assert base64.b64encode(key).decode() in [line.split()[1] for line in it.host_keys], "another server"
    session.userauth_publickey_fromfile(it.user, it.identity, "", f"{it.identity}.pub")
    session.set_timeout(20_000)
    return session


def everything(read):
    parts = []
    while True:
        size, part = read(MEBIBYTE)
        if size <= 0:
            return b"".join(parts)
        parts.append(part)


def commands(session):
    channel = session.open_session()
    channel.execute(COMMAND)
    channel.write(INPUT)
    channel.send_eof()
    same(everything(channel.read), INPUT)
    same(everything(channel.read_stderr), b"to-err\n")
    channel.wait_eof()
    channel.close()
    channel.wait_closed()
    same(channel.get_exit_status(), 7)
    channel = session.open_session()
    channel.execute(f"cat {it.large}")
    same(digest(everything(channel.read)), digest(large()))
    channel.close()
    done("exec")


def shell(session):
    channel = session.open_session()
    channel.pty("xterm")
    channel.shell()
    channel.write(TYPED)
    seen = everything(channel.read)
    assert b"24 80\r\n" in seen, seen
    assert b"is-a-terminal\r\n" in seen, seen
    channel.close()
    channel.wait_closed()
    same(channel.get_exit_status(), 5)
    done("shell")


def files(session):
    sftp = session.sftp_init()
    home = sftp.realpath(".")
    sftp.mkdir("libssh2", 0o700)
    mode = LIBSSH2_SFTP_S_IRUSR | LIBSSH2_SFTP_S_IWUSR
    flags = LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC | LIBSSH2_FXF_WRITE
    with sftp.open("libssh2/sent", flags, mode) as sent:
        sent.write(large())
    with sftp.open("libssh2/sent", LIBSSH2_FXF_READ, 0) as sent:
        same(digest(everything(sent.read)), digest(large()))
    sftp.rename("libssh2/sent", "libssh2/renamed")
    with sftp.opendir("libssh2") as folder:
        names = [name for _, name, _ in folder.readdir()]
        same(sorted(names), [b".", b"..", b"renamed"])
    same(sftp.stat(f"{home}/libssh2/renamed").filesize, len(large()))
    sftp.unlink("libssh2/renamed")
    sftp.rmdir("libssh2")
    try:
        sftp.stat("libssh2")
        raise AssertionError("it is there still")
    except SFTPProtocolError:
        done("sftp")


def copies(session):
    sent = large()
    channel = session.scp_send64("by-scp", 0o600, len(sent), 0, 0)
    channel.write(sent)
    channel.send_eof()
    channel.wait_eof()
    channel.close()
    channel.wait_closed()
    channel, status = session.scp_recv2("by-scp")
    back = b""
    while len(back) < status.st_size:
        _, part = channel.read(min(MEBIBYTE, status.st_size - len(back)))
        back += part
    same(digest(back), digest(sent))
    channel.close()
    done("scp")


def forwards(session):
    sent = large()
    channel = session.direct_tcpip_ex("127.0.0.1", it.echo, "127.0.0.1", 1)
    seen = b""
    # libssh2 does one thing at a time: what is sent has to be back before more is.
    while len(seen) < len(sent):
        channel.write(sent[len(seen) : len(seen) + 65536])
        expected = min(len(seen) + 65536, len(sent))
        while len(seen) < expected:
            _, part = channel.read(MEBIBYTE)
            seen += part
    same(digest(seen), digest(sent))
    channel.close()
    done("direct-tcpip")
    try:
        session.direct_tcpip_ex("127.0.0.1", it.closed, "127.0.0.1", 1)
        raise AssertionError("nobody listens there")
    except ChannelFailure:
        done("refused")
    listener, port = session.forward_listen_ex(8, "127.0.0.1", 0)
    inside = socket.create_connection(("127.0.0.1", port), timeout=20)
    channel = listener.forward_accept()
    inside.sendall(b"ping")
    same(channel.read(4), (4, b"ping"))
    channel.write(b"pong")
    channel.close()
    same(inside.recv(4), b"pong")
    same(inside.recv(4), b"")
    listener.forward_cancel()
    done("tcpip-forward")


def main():
    session = connect()
    commands(session)
    shell(session)
    files(session)
    copies(session)
    forwards(session)
    # Not sooner: libssh2 would take its answer for that to `tcpip-forward`.
    session.keepalive_config(True, 1)
    session.keepalive_send()
    commands(session)
    files(session)
    done("keepalive")
    session.disconnect()


main()
