"""Everything that a workspace is used for, with AsyncSSH."""

import asyncio

import asyncssh

from what import COMMAND, INPUT, MEBIBYTE, TERMINAL, TYPED, digest, done, it, large, local, same, same_file


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
        rekey_bytes=MEBIBYTE,
        keepalive_interval=0.6,
        keepalive_count_max=3,
    )


async def commands(connection):
    ended = await connection.run(COMMAND, input=INPUT, encoding=None)
    same((ended.stdout, ended.stderr, ended.exit_status), (INPUT, b"to-err\n", 7))
    ended = await connection.run(f"cat {it.large}", encoding=None, check=True)
    same(digest(ended.stdout), digest(large()))
    ended = await connection.run("kill -TERM $$")
    same(ended.exit_signal[0], "TERM")
    done("exec")


async def shell(connection):
    columns, rows = TERMINAL
    ended = await connection.run(None, input=TYPED, term_type="xterm", term_size=TERMINAL)
    assert f"{rows} {columns}\r\n" in ended.stdout, ended.stdout
    assert "is-a-terminal\r\n" in ended.stdout, ended.stdout
    same(ended.exit_status, 5)
    done("shell")


async def files(connection):
    async with connection.start_sftp_client() as sftp:
        await sftp.mkdir("asyncssh")
        await sftp.chdir("asyncssh")
        await sftp.put(it.large, "sent", preserve=True)
        await sftp.get("sent", local("back"))
        same_file(it.large, local("back"))
        await sftp.copy("sent", "copy", remote_only=True)
        same((await sftp.stat("copy")).size, len(large()))
        await sftp.posix_rename("sent", "copy")
        await sftp.symlink("copy", "link")
        same(sorted(await sftp.listdir()), [".", "..", "copy", "link"])
        same((await sftp.statvfs("copy")).namemax, 255)
        await sftp.chdir("..")
        await sftp.rmtree("asyncssh")
        same(await sftp.exists("asyncssh"), False)
    done("sftp")


async def copies(connection):
    await asyncssh.scp(it.large, (connection, "by-scp"))
    await asyncssh.scp((connection, "by-scp"), local("back"))
    same_file(it.large, local("back"))
    await connection.run("rm by-scp", check=True)
    done("scp")


async def echo(reader, writer):
    sent = large()

    async def send():
        writer.write(sent)
        writer.write_eof()
        await writer.drain()

    _, seen = await asyncio.gather(send(), reader.read(-1))
    same(digest(seen), digest(sent))
    writer.close()


async def forwards(connection):
    await echo(*await connection.open_connection("127.0.0.1", it.echo))
    listener = await connection.forward_local_port("127.0.0.1", 0, "localhost", it.echo)
    await echo(*await asyncio.open_connection("127.0.0.1", listener.get_port()))
    done("direct-tcpip")
    try:
        await connection.open_connection("127.0.0.1", it.closed)
        raise AssertionError("nobody listens there")
    except asyncssh.ChannelOpenError as refused:
        same(refused.code, asyncssh.OPEN_CONNECT_FAILED)
    done("refused")
    remote = await connection.forward_remote_port("localhost", 0, "127.0.0.1", it.echo)
    await echo(*await asyncio.open_connection("127.0.0.1", remote.get_port()))
    remote.close()
    await remote.wait_closed()
    done("tcpip-forward")


async def sockets(connection):
    here, there = local("here"), local("there")
    server = await asyncio.start_unix_server(answer, here)
    await echo(*await connection.open_unix_connection(here))
    server.close()
    done("direct-streamlocal")
    server = await asyncio.start_unix_server(answer, f"{here}-too")
    listener = await connection.forward_remote_path(there, f"{here}-too")
    await echo(*await asyncio.open_unix_connection(there))
    listener.close()
    await listener.wait_closed()
    server.close()
    done("streamlocal-forward")


async def answer(reader, writer):
    while part := await reader.read(MEBIBYTE):
        writer.write(part)
        await writer.drain()
    writer.write_eof()


async def main():
    async with connect() as connection:
        await commands(connection)
        await shell(connection)
        await files(connection)
        await copies(connection)
        await forwards(connection)
        await sockets(connection)
        # Unanswered keep-alives would have ended this before.
        ended = await connection.run("sleep 3; echo alive", check=True)
        same(ended.stdout, "alive\n")
        done("keepalive")


asyncio.run(main())
