"""Everything that a workspace is used for, with Paramiko."""

import base64
import socket
import threading

import paramiko

from what import COMMAND, INPUT, MEBIBYTE, TERMINAL, TYPED, digest, done, it, large, local, same, same_file


def connect():
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for line in it.host_keys:
        kind, key = line.split()
        if kind == "ssh-ed25519":
            known = paramiko.Ed25519Key(data=base64.b64decode(key))
            client.get_host_keys().add(f"[{it.host}]:{it.port}", kind, known)
    client.connect(
        it.host, it.port, it.user, key_filename=it.identity, look_for_keys=False, allow_agent=False, timeout=20
    )
    client.get_transport().set_keepalive(1)
    return client


def commands(client):
    stdin, stdout, stderr = client.exec_command(COMMAND)
    stdin.write(INPUT)
    stdin.channel.shutdown_write()
    same(stdout.read(), INPUT)
    same(stderr.read(), b"to-err\n")
    same(stdout.channel.recv_exit_status(), 7)
    _, stdout, _ = client.exec_command(f"cat {it.large}")
    same(digest(stdout.read()), digest(large()))
    same(stdout.channel.recv_exit_status(), 0)
    done("exec")


def shell(client):
    columns, rows = TERMINAL
    channel = client.invoke_shell("xterm", columns, rows)
    channel.sendall(TYPED.encode())
    seen = b""
    while part := channel.recv(4096):
        seen += part
    assert f"{rows} {columns}\r\n".encode() in seen, seen
    assert b"is-a-terminal\r\n" in seen, seen
    same(channel.recv_exit_status(), 5)
    done("shell")


def files(client):
    with client.open_sftp() as sftp:
        home = sftp.normalize(".")
        sftp.mkdir("paramiko", 0o700)
        sftp.chdir("paramiko")
        sftp.put(it.large, "sent")  # It asks for the size afterwards.
        sftp.get("sent", local("back"))
        same_file(it.large, local("back"))
        sftp.posix_rename("sent", "renamed")
        sftp.symlink("renamed", "link")
        same(sftp.readlink("link"), "renamed")
        same(sorted(sftp.listdir()), ["link", "renamed"])
        same(sftp.stat("link").st_size, len(large()))
        sftp.remove("link")
        sftp.remove("renamed")
        sftp.rmdir(f"{home}/paramiko")
        try:
            sftp.stat(f"{home}/paramiko")
            raise AssertionError("it is there still")
        except FileNotFoundError:
            done("sftp")


def echo(stream, close):
    sent = large()
    threading.Thread(target=lambda: (stream.sendall(sent), close())).start()
    seen = b""
    while part := stream.recv(MEBIBYTE):
        seen += part
    same(digest(seen), digest(sent))


def forwards(transport):
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", it.echo), ("127.0.0.1", 1))
    echo(channel, channel.shutdown_write)
    done("direct-tcpip")
    try:
        transport.open_channel("direct-tcpip", ("127.0.0.1", it.closed), ("127.0.0.1", 1))
        raise AssertionError("nobody listens there")
    except paramiko.ChannelException as refused:
        same(refused.code, 2)
    done("refused")
    port = transport.request_port_forward("127.0.0.1", 0)
    inside = socket.create_connection(("127.0.0.1", port), timeout=20)
    channel = transport.accept(20)
    inside.sendall(b"ping")
    same(channel.recv(4), b"ping")
    channel.sendall(b"pong")
    channel.close()
    same(inside.recv(4), b"pong")
    same(inside.recv(4), b"")
    transport.cancel_port_forward("127.0.0.1", port)
    done("tcpip-forward")


def main():
    with connect() as client:
        commands(client)
        shell(client)
        files(client)
        transport = client.get_transport()
        forwards(transport)
        transport.renegotiate_keys()
        commands(client)
        # From here on keys change with every MiB. Not sooner: Paramiko locks itself up where
        # a channel's CLOSE comes after it has begun to.
        transport.packetizer.REKEY_BYTES = MEBIBYTE
        files(client)
        done("rekeyed")


main()
