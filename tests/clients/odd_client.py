"""What the protocol allows, or nearly, and most clients never send, with AsyncSSH: each has its
answer, and none of it ends the connection.
"""

import asyncio
from unittest.mock import patch

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.constants import MSG_REQUEST_FAILURE, OPEN_CONNECT_FAILED, OPEN_UNKNOWN_CHANNEL_TYPE
from asyncssh.packet import Boolean, String, UInt32

from what import done, it, same

# No UTF-8, as a path or a variable of another age.
ODD = b"caf\xe9"

# `intr` is ^X (RFC 4254 §8).
INTR = b"\x01\x00\x00\x00\x18"


def connect():
    known = "".join(f"[{it.host}]:{it.port} {key}\n" for key in it.host_keys)
    return asyncssh.connect(
        it.host,
        it.port,
        username=it.user,
        client_keys=[it.identity],
        agent_path=None,
        config=None,
        known_hosts=asyncssh.import_known_hosts(known),
    )


async def requests(connection):
    """Requests that want a reply get one."""
    process = await connection.create_process("exec sleep 600", encoding=None)

    async def ask(request, *args):
        return await process.channel._make_request(request, *args)

    size = [UInt32(number) for number in (80, 24, 0, 0)]
    same(await ask(b"env", String("LC_X"), String(ODD)), False)
    same(await ask(b"env", String(ODD), String("x")), False)
    same(await ask(b"env", String("LC_X"), String("x")), False)
    same(await ask(b"pty-req", String(ODD), *size, String(b"\0")), False)
    same(await ask(b"x11-req", Boolean(False), String("MIT-MAGIC-COOKIE-1"), String(ODD), UInt32(0)), False)
    same(await ask(b"subsystem", String(ODD)), False)
    same(await ask(b"signal", String(ODD)), False)
    same(await ask(ODD), False)
    for name in ("NONE", "SIGUSR1", "", "x" * 1000):
        same(await ask(b"signal", String(name)), False)
    same(await ask(b"break", UInt32(500)), False)
    same(await ask(b"window-change", *size), True)
    same(await ask(b"eow@openssh.com"), True)
    same(await ask(b"signal", String("USR1")), True)
    await process.wait()
    same(process.exit_signal[0], "USR1")
    done("requests")


async def modes(connection):
    """What can't be read of a terminal's modes ends them, and the rest is heeded."""
    for end in (b"\0after the end", b"\x35\0\0", b"\xc8of unknown length"):
        with patch.object(SSHClientChannel, "_make_request", with_modes(INTR + end)):
            ended = await connection.run("stty -a", term_type="xterm", check=True)
        assert "intr = ^X;" in ended.stdout, ended.stdout
    done("modes")


def with_modes(encoded):
    ask = SSHClientChannel._make_request

    async def ask_with_modes(channel, request, *args):
        if request == b"pty-req":
            args = (*args[:-1], String(encoded))
        return await ask(channel, request, *args)

    return ask_with_modes


async def refused(code, opening):
    try:
        await opening
        raise AssertionError("it is open")
    except asyncssh.ChannelOpenError as error:
        same(error.code, code)


async def channels(connection):
    """Channels that can't be are refused, or closed where the gateway opened them."""
    await refused(OPEN_CONNECT_FAILED, connection.create_process("true", max_pktsize=0))
    await refused(OPEN_CONNECT_FAILED, connection.open_connection(ODD, 80))
    await refused(OPEN_CONNECT_FAILED, connection.open_unix_connection(b"/tmp/" + ODD))
    await refused(OPEN_UNKNOWN_CHANNEL_TYPE, connection.create_tcp_channel(None)._open(ODD))
    listener = await connection.start_server(lambda *_: lambda *_: None, "127.0.0.1", 0, max_pktsize=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
    same(await reader.read(), b"")
    writer.close()
    listener.close()
    await listener.wait_closed()
    done("channels")


async def listeners(connection):
    """Listeners that can't be are refused, in their order among the other requests."""
    same(
        await asyncio.gather(
            failed(connection, b"tcpip-forward", String(ODD), UInt32(0)),
            failed(connection, b"cancel-tcpip-forward", String(ODD), UInt32(1)),
            failed(connection, b"streamlocal-forward@openssh.com", String(b"/tmp/" + ODD)),
            failed(connection, b"tcpip-forward", String("127.0.0.1"), UInt32(0)),
            failed(connection, b"cancel-streamlocal-forward@openssh.com", String(ODD)),
            failed(connection, ODD),
            failed(connection, b"keepalive@openssh.com"),
            failed(connection, b"hostkeys-prove-00@openssh.com", String(b"")),
        ),
        [True, True, True, False, True, True, True, True],
    )
    done("listeners")


async def failed(connection, request, *args):
    kind, _ = await connection._make_global_request(request, *args)
    return kind == MSG_REQUEST_FAILURE


async def main():
    async with connect() as connection:
        await requests(connection)
        await modes(connection)
        await channels(connection)
        await listeners(connection)
        ended = await connection.run("echo alive", check=True)
        same(ended.stdout, "alive\n")
        done("alive")


asyncio.run(main())
