"""What goes wrong on the way: answers that break off, pages that aren't the server's, slow lines,
networks that are gone."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import suppress
from typing import Any, Callable

import pytest
from conftest import ENTRY, WORKSPACE, Asked, Server
from test_streams import ENDED, PROCESS, STARTED, event, socket_server, watch_state
from websockets.http11 import Response
from websockets.sync.server import ServerConnection

from devgate import (
    AsyncDevgate,
    ConnectionFailed,
    Devgate,
    DevgateError,
    Failed,
    NotFound,
    Retry,
    TimedOut,
    TooManyRequests,
    Workspace,
)
from devgate import _retry as retry
from devgate._async import processes as async_processes
from devgate._async.files import AsyncFiles
from devgate._async.ports import AsyncPorts
from devgate._async.processes import AsyncProcesses
from devgate._sync import processes as sync_processes
from devgate._sync.files import Files
from devgate._sync.ports import Ports
from devgate._sync.processes import Processes
from devgate._sync.watch import Watch
from devgate.models import Workspace as WorkspaceInfo

Serving = Callable[[Callable[[Asked], None]], Server]

ONCE = Retry(0)
QUICK = Retry(first_pause=0.001)


def calls(devgate: Devgate) -> dict[str, Callable[[], object]]:
    """Calls that read an answer in all the ways there are; the last ones don't want JSON."""
    files, processes = Files(devgate._transport, "w"), Processes(devgate._transport, "w")
    return {
        "stat": lambda: files.stat("a"),
        "write": lambda: files.write("a", "text"),
        "find": lambda: list(files.find()),
        "grep": lambda: list(files.grep("", "x")),
        "exec": lambda: processes.exec(script="make"),
        "ports": lambda: Ports(devgate._transport, "w").list(),
        "request": lambda: devgate.request("GET", "/me"),
        "read": lambda: list(files.read("a")),
        "read_bytes": lambda: files.read_bytes("a"),
        "read_text": lambda: files.read_text("a"),
        "output": lambda: list(processes.output("p")),
    }


def cut(asked: Asked) -> None:
    """Begins an answer and breaks it off."""
    asked.send_response(200)
    asked.send_header("content-length", "1000")
    asked.end_headers()
    asked.wfile.write(b'{"half":')
    asked.cut()


def test_an_answer_that_breaks_off_is_a_failed_connection_however_it_is_read(
    serving: Serving,
) -> None:
    with Devgate(serving(cut).url, "t", retry=ONCE) as devgate:
        for call in calls(devgate).values():
            with pytest.raises(ConnectionFailed):
                call()


def test_a_page_that_is_not_the_servers_is_a_failed_connection_as_well(serving: Serving) -> None:
    def page(asked: Asked) -> None:
        asked.begin(content_type="text/html")
        asked.wfile.write(b"<h1>Welcome</h1>")

    with Devgate(serving(page).url, "t", retry=ONCE) as devgate:
        for call in [*calls(devgate).values()][:7]:
            with pytest.raises(ConnectionFailed) as caught:
                call()
            assert caught.value.code == "not-json"


def test_what_takes_as_long_as_there_are_files_is_not_ended_here_nor_begun_a_second_time(
    serving: Serving,
) -> None:
    def answer(asked: Asked) -> None:
        time.sleep(0.2)  # longer than the client has patience
        if asked.command == "DELETE":
            asked.say(204)
        else:
            asked.say(200, ENTRY)

    server = serving(answer)
    with Devgate(server.url, "t", timeout=0.1, retry=QUICK) as devgate:
        files = Files(devgate._transport, "w")
        files.copy("a", "b")
        files.move("a", "b")
        files.set_mode("a", "0755", recursive=True)
        files.delete("a", recursive=True)
    assert len(server.asked) == 4


def test_the_time_for_an_answer_begins_when_all_was_sent(serving: Serving) -> None:
    # Between two pauses comes more than the system keeps, so that they aren't one for the sender.
    size, timeout = 40 * 1024 * 1024, 3.0

    class Slow(Asked):
        def _any(self) -> None:
            left = int(self.headers["content-length"])
            assert left == size
            for step in range(40):
                left -= len(self.rfile.read(1024 * 1024))
                if step in (0, 13, 26):
                    time.sleep(timeout * 0.37)  # in all it is longer
            self.server.asked.append(self)
            self.say(200, {**ENTRY, "size": size - left})

        do_PUT = _any

    server = serving(lambda asked: None)
    server.RequestHandlerClass = Slow

    async def main() -> int:
        async with AsyncDevgate(server.url, "t", timeout=timeout, retry=QUICK) as devgate:
            files = AsyncFiles(devgate._transport, "w")
            return (await files.write("a", bytes(size), if_match='"1"')).size

    assert asyncio.run(main()) == size
    assert len(server.asked) == 1


def test_bodies_of_all_kinds_come_as_they_are(serving: Serving) -> None:
    server = serving(lambda asked: asked.say(200, ENTRY))
    large = "€" * 100_000
    raw = bytearray(large.encode())
    contents: list[Any] = ["", b"", "€", large, raw, memoryview(raw)[3:], bytes(65537)]

    async def main() -> None:
        async with AsyncDevgate(server.url, "t") as devgate:
            for content in contents:
                await AsyncFiles(devgate._transport, "w").write("a", content)

    asyncio.run(main())
    with Devgate(server.url, "t") as devgate:
        for content in contents:
            Files(devgate._transport, "w").write("a", content)
    wanted = [one.encode() if isinstance(one, str) else bytes(one) for one in contents]
    assert [asked.body for asked in server.asked] == wanted * 2
    sizes = [asked.headers["content-length"] for asked in server.asked]
    assert sizes == [str(len(one)) for one in wanted] * 2


def test_a_request_to_a_port_goes_to_its_application_and_the_token_nowhere_else(
    serving: Serving,
) -> None:
    other = serving(lambda asked: asked.say(200, {}))

    def answer(asked: Asked) -> None:
        if asked.path == "/api/v1/workspaces/w":
            template = f"{server.url}/apps/{{port}}/"
            asked.say(200, {**WORKSPACE, "urls": {"editor": "", "application_template": template}})
        elif asked.path.endswith("away"):
            asked.say(302, location=f"{other.url}/")
        else:
            assert asked.headers["authorization"] == "Bearer t"
            asked.say(200, asked.path)

    server = serving(answer)
    with Devgate(server.url, "t") as devgate:
        ports = Ports(devgate._transport, "w")
        for path in ("/x/y?z", "//x/y?z", "x/y?z"):
            with ports.request(8000, path) as found:
                found.read()
                assert found.json() == "/apps/8000/x/y?z"
        for path in (other.url, f"{other.url}/x", "../9000/", "https://evil.example/x"):
            with pytest.raises(ValueError, match="token"), ports.request(8000, path):
                pass
        with pytest.raises(DevgateError) as caught, ports.request(8000, "away"):
            pass
        assert caught.value.status == 302
    assert not other.asked


def test_a_redirected_websocket_takes_the_token_nowhere(serving: Serving) -> None:
    other = serving(lambda asked: asked.say(404))

    def redirect(socket: ServerConnection, _: object) -> Response:
        answer = socket.respond(302, "")  # type: ignore[arg-type]
        answer.headers["location"] = f"ws://127.0.0.1:{other.server_port}/"
        return answer

    with socket_server(lambda _: None, process_request=redirect) as url:
        with Devgate(url, "dgt_secret") as devgate, pytest.raises(DevgateError) as caught:
            Processes(devgate._transport, "w").run(["x"])
    assert caught.value.status == 302
    assert not other.asked


def test_a_token_goes_in_clear_text_to_this_machine_alone() -> None:
    for host in (
        "127.evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1\\@evil.example",
        "127.0.0.1@evil.example",
    ):
        with pytest.raises(ValueError):
            Devgate(f"http://{host}", "t")
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "a.localhost", "[::1]"):
        Devgate(f"http://{host}", "t").close()


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("said", [b": still here\n\n", b'event: ports\ndata: {"items":[]}\n\n'])
def test_a_port_is_not_awaited_for_longer_than_asked_whatever_comes(
    serving: Serving, kind: str, said: bytes
) -> None:
    ended = threading.Event()

    def answer(asked: Asked) -> None:
        asked.begin(content_type="text/event-stream")
        try:
            while True:
                asked.wfile.write(said)
                time.sleep(0.02)
        except OSError:
            ended.set()

    server = serving(answer)

    async def main() -> None:
        async with AsyncDevgate(server.url, "t") as devgate:
            await AsyncPorts(devgate._transport, "w").wait_for(8000, timeout=0.2)

    with pytest.raises(TimedOut, match="nothing listens on port 8000"):
        if kind == "async":
            asyncio.run(main())
        else:
            with Devgate(server.url, "t") as devgate:
                Ports(devgate._transport, "w").wait_for(8000, timeout=0.2)
    assert ended.wait(10)


def test_a_port_is_not_awaited_for_longer_than_asked_where_nothing_comes(serving: Serving) -> None:
    over = threading.Event()
    server = serving(lambda asked: over.wait(10) and None)
    with Devgate(server.url, "t") as devgate:
        with pytest.raises(TimedOut, match="nothing listens on port 8000"):
            Ports(devgate._transport, "w").wait_for(8000, timeout=0.2)
    over.set()
    server = serving(lambda asked: asked.refuse(503, "starting", retry_after="15"))
    with Devgate(server.url, "t") as devgate, pytest.raises(DevgateError):
        Ports(devgate._transport, "w").wait_for(8000, timeout=0.2)
    assert len(server.asked) == 1


def test_a_refusal_says_for_how_long_to_wait(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serving(lambda asked: asked.refuse(429, "locked-out", retry_after="3600"))
    with Devgate(server.url, "t") as devgate, pytest.raises(TooManyRequests) as caught:
        devgate.workspaces.get("w")
    assert caught.value.retry_after == 3600
    assert retry.seconds("soon") is None
    assert retry.seconds("²") is None
    assert retry.seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0

    def old(_: str) -> None:
        raise TypeError("cannot unpack non-iterable NoneType object")

    # As in Python 3.9.
    monkeypatch.setattr(retry, "parsedate_to_datetime", old)
    assert retry.seconds("soon") is None


def idle(socket: ServerConnection) -> None:
    """Begins a program of which nothing is heard any more."""
    socket.recv()
    socket.send(STARTED)
    socket.recv()


def test_closing_a_client_ends_its_programs_connections() -> None:
    closed = threading.Semaphore(0)

    def handler(socket: ServerConnection) -> None:
        try:
            idle(socket)
        except Exception:
            closed.release()

    async def main(url: str) -> None:
        client = AsyncDevgate(url, "dgt_secret")
        run = await AsyncProcesses(client._transport, "w").run(["x"])
        waiting = asyncio.ensure_future(run.wait())
        await client.close()
        with pytest.raises(ConnectionFailed):
            await waiting

    with socket_server(handler) as url:
        asyncio.run(main(url))
        assert closed.acquire(timeout=10)
        client = Devgate(url, "dgt_secret")
        run = Processes(client._transport, "w").run(["x"])
        client.close()
        with pytest.raises(ConnectionFailed):
            run.wait()
        assert closed.acquire(timeout=10)


def test_a_program_whose_server_is_silent_has_lost_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(async_processes, "IDLE", 0.1)
    monkeypatch.setattr(sync_processes, "IDLE", 0.1)

    async def main(url: str) -> None:
        async with AsyncDevgate(url, "dgt_secret") as devgate:
            run = await AsyncProcesses(devgate._transport, "w").run(["x"])
            with pytest.raises(ConnectionFailed, match="silent"):
                await run.wait()

    def handler(socket: ServerConnection) -> None:
        with suppress(Exception):
            idle(socket)

    with socket_server(handler, ping_interval=None) as url:
        asyncio.run(main(url))
        with Devgate(url, "dgt_secret") as devgate:
            run = Processes(devgate._transport, "w").run(["x"])
            with pytest.raises(ConnectionFailed, match="silent"):
                run.wait()


def test_a_program_that_is_silent_itself_has_not_nor_one_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync_processes, "IDLE", 1.0)
    size = 32 * 1024 * 1024

    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        for _ in range(30):
            socket.ping()
            time.sleep(0.05)
        for _ in range(size // 65536):
            socket.send(b"\x01" + bytes(65536))
        socket.send(ENDED)

    with socket_server(handler, ping_interval=None) as url, Devgate(url, "dgt_secret") as client:
        run = Processes(client._transport, "w").run(["x"])
        came = 0
        for output in run:
            if came == 0:
                time.sleep(1.5)  # in which nothing is read
            came += len(output.data)
        assert came == size


def test_what_is_not_understood_of_a_program_is_an_error() -> None:
    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send("<h1>Welcome</h1>")

    with socket_server(handler) as url, Devgate(url, "dgt_secret") as client:
        with pytest.raises(ConnectionFailed, match="isn't JSON"):
            Processes(client._transport, "w").run(["x"])


def test_stdin_takes_all_that_is_bytes() -> None:
    heard: list[object] = []

    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        heard.extend(socket.recv() for _ in range(2))
        socket.send(ENDED)

    with socket_server(handler) as url, Devgate(url, "dgt_secret") as client:
        with Processes(client._transport, "w").run(["cat"], stdin="open") as run:
            run.write(bytearray(b"one"))
            run.write(memoryview(b"two"))
            run.wait()
    assert heard == [b"\x00one", b"\x00two"]


def test_a_watch_is_made_anew_over_as_many_connections_as_it_takes(serving: Serving) -> None:
    made = 0

    def answer(asked: Asked) -> None:
        nonlocal made
        if asked.command == "DELETE":
            asked.say(204)
        elif asked.command == "POST":
            made += 1
            if made == 2:
                asked.refuse(503, "not-ready")
            elif made == 3:
                asked.cut()
            elif made == 4:
                cut(asked)
            else:
                asked.say(201, watch_state(f"v{made}"))
        elif made < 5:
            asked.refuse(404, "no-such-watch")
        else:
            asked.begin()
            asked.wfile.write(event(1, "created"))
            asked.cut()

    reasons: list[str] = []
    with Devgate(serving(answer).url, "t", retry=QUICK) as client:
        tell: Callable[[DevgateError], None] = lambda error: reasons.append(error.code)  # noqa: E731
        watch = Watch(client._transport, "w", "a", on_reconnect=tell)
        watch._begin()
        seen = []
        with watch:
            for one in watch:
                seen.append(one.kind)
                if one.kind == "created":
                    break
    assert seen == ["overflow", "created"]
    assert reasons[:2] == ["no-such-watch", "not-ready"]
    assert len(reasons) == 4


def test_a_watch_of_what_is_gone_ends(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        if len(server.asked) == 1:
            asked.say(201, watch_state())
        else:
            asked.refuse(404, "no-such-file" if asked.command == "POST" else "no-such-watch")

    server = serving(answer)
    with Devgate(server.url, "t") as client:
        watch = Watch(client._transport, "w", "a")
        watch._begin()
        with pytest.raises(NotFound) as caught:
            next(iter(watch))
    assert caught.value.code == "no-such-file"


def test_a_repository_is_cloned_and_why_it_can_not_be_is_an_error(serving: Serving) -> None:
    code = 0

    def answer(asked: Asked) -> None:
        what = asked.path.rpartition("/workspaces/wwwwwwwwwwwwwwww/")[2]
        if what == "health":
            asked.say(200, {"status": "ok", "version": "1", "uptime_seconds": 3})
        elif what == "statistics?window=day":
            size = {"interval_seconds": 60, "cpu_count": 2, "memory_total": 1, "disk_total": 1}
            asked.say(200, {**size, "samples": []})
        else:
            assert what == "git/clone?wait=true&attached=true"
            assert json.loads(asked.body) == {"url": "https://x/y.git", "depth": 1}
            process = {**PROCESS, "state": "ended", "exit_code": code}
            said = {"stdout": "", "stderr": "fatal: no such repository\n"}
            more = {"stdout_truncated": False, "stderr_truncated": False}
            asked.say(200, {"process": process, **said, **more})

    with Devgate(serving(answer).url, "t") as client:
        workspace = Workspace(client._transport, WorkspaceInfo.model_validate(WORKSPACE))
        workspace.files.git_clone("https://x/y.git", depth=1)
        code = 128
        with pytest.raises(Failed, match=r"^fatal: no such repository"):
            workspace.files.git_clone("https://x/y.git", depth=1)
        assert workspace.health().uptime_seconds == 3
        assert workspace.statistics(window="day").cpu_count == 2
