"""Programs over WebSockets, and watches."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
from conftest import Asked, Server
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from devgate import (
    AsyncDevgate,
    BadRequest,
    ConnectionFailed,
    Denied,
    Devgate,
    Failed,
    Retry,
)
from devgate._async.processes import AsyncProcesses
from devgate._sync.processes import Processes
from devgate._sync.watch import Watch

Serving = Callable[[Callable[[Asked], None]], Server]

PROCESS = {
    "id": "p",
    "pid": 1,
    "cwd": "/",
    "state": "running",
    "started": "2026-01-01T00:00:00Z",
    "timed_out": False,
    "stdout_bytes": 0,
    "stderr_bytes": 0,
    "dropped_bytes": 0,
}
STARTED = json.dumps({"started": PROCESS})
ENDED = json.dumps({"ended": {**PROCESS, "state": "ended", "exit_code": 3}})


@contextmanager
def socket_server(handler: Callable[[ServerConnection], None], **more: Any) -> Iterator[str]:
    def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.headers["authorization"] == "Bearer dgt_secret"
        assert socket.request.path == "/api/v1/workspaces/w/processes/run"
        handler(socket)

    with serve(handle, "127.0.0.1", 0, compression=None, **more) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_what_a_program_writes_comes_in_order_and_then_how_it_ended() -> None:
    def handler(socket: ServerConnection) -> None:
        assert json.loads(socket.recv()) == {"script": "make", "cwd": "a", "detach": False}
        for message in (STARTED, b"\x01out", b"\x02err", b"\x01more", ENDED):
            socket.send(message)

    async def main(url: str) -> None:
        async with AsyncDevgate(url, "dgt_secret") as devgate:
            processes = AsyncProcesses(devgate._transport, "w")
            async with await processes.run(script="make", cwd="a") as run:
                assert run.process.state == "running"
                said = [(output.stream, output.data) async for output in run]
            assert said == [("stdout", b"out"), ("stderr", b"err"), ("stdout", b"more")]
            assert run.process.exit_code == 3

    with socket_server(handler) as url:
        asyncio.run(main(url))
        with Devgate(url, "dgt_secret") as devgate:
            run = Processes(devgate._transport, "w").run(script="make", cwd="a")
            assert run.wait().exit_code == 3


def test_a_program_that_can_not_be_started_is_an_error_and_so_is_a_refused_socket() -> None:
    def handler(socket: ServerConnection) -> None:
        problem = {"status": 422, "title": "", "code": "cannot-start", "detail": "no such program"}
        socket.send(json.dumps({"error": problem}))

    def refuse(socket: ServerConnection, _: object) -> Response:
        problem = {"status": 403, "title": "", "code": "token-narrow", "detail": "not with this"}
        return socket.respond(403, json.dumps(problem))  # type: ignore[arg-type]

    with socket_server(handler) as url, Devgate(url, "dgt_secret") as devgate:
        with pytest.raises(BadRequest, match="no such program"):
            Processes(devgate._transport, "w").run(["x"])
    with socket_server(handler, process_request=refuse) as url:
        with Devgate(url, "dgt_secret") as devgate, pytest.raises(Denied, match="not with this"):
            Processes(devgate._transport, "w").run(["x"])
    with pytest.raises(TypeError, match="use `script`"):
        Processes(devgate._transport, "w").run("make all")


def test_stdin_signals_and_sizes_go_to_the_program() -> None:
    heard: list[Any] = []

    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        heard.extend(socket.recv() for _ in range(5))
        socket.send(ENDED)

    with socket_server(handler) as url, Devgate(url, "dgt_secret") as devgate:
        with Processes(devgate._transport, "w").run(["cat"], stdin="open") as run:
            run.write("hello")
            run.write("")  # which isn't its end
            run.close_input()
            run.signal("INT")
            run.resize(80, 24)
            run.detach()
            run.wait()
            with pytest.raises(ConnectionFailed):
                run.write("late")
    assert heard[:2] == [b"\x00hello", b"\x00"]
    said = [json.loads(text) for text in heard[2:]]
    assert said == [{"signal": "INT"}, {"resize": {"columns": 80, "rows": 24}}, {"detach": True}]


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_program_whose_output_nobody_reads_has_to_wait_and_nothing_is_lost(kind: str) -> None:
    size = 64 * 1024 * 1024
    sent = 0

    def handler(socket: ServerConnection) -> None:
        nonlocal sent
        socket.recv()
        socket.send(STARTED)
        while sent < size:
            socket.send(b"\x01" + bytes(65536))
            sent += 65536
        socket.send(ENDED)

    async def main(url: str) -> int:
        async with AsyncDevgate(url, "dgt_secret") as devgate:
            run = await AsyncProcesses(devgate._transport, "w").run(["yes"])
            await asyncio.sleep(0.5)
            assert sent < size / 2
            return sum([len(output.data) async for output in run])

    with socket_server(handler) as url:
        if kind == "async":
            assert asyncio.run(main(url)) == size
            return
        with Devgate(url, "dgt_secret") as devgate:
            run = Processes(devgate._transport, "w").run(["yes"])
            time.sleep(0.5)
            assert sent < size / 2
            assert sum(len(output.data) for output in run) == size


def test_input_and_output_flow_at_the_same_time_for_threads_as_well() -> None:
    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        # A program that writes as much as it reads, and reads no more before that is taken.
        while (message := socket.recv()) != b"\x00":
            assert isinstance(message, bytes)
            socket.send(b"\x01" + message[1:])
        socket.send(ENDED)

    size = 32 * 1024 * 1024
    with socket_server(handler, max_size=None) as url, Devgate(url, "dgt_secret") as devgate:
        run = Processes(devgate._transport, "w").run(["cat"], stdin="open")

        def feed() -> None:
            run.write(bytes(size))
            run.close_input()

        thread = threading.Thread(target=feed)
        thread.start()
        assert sum(len(output.data) for output in run) == size
        thread.join()


def test_a_connection_that_breaks_is_an_error_after_all_that_came() -> None:
    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        socket.send(b"\x01half")
        socket.socket.shutdown(2)

    with socket_server(handler) as url, Devgate(url, "dgt_secret") as devgate:
        run = Processes(devgate._transport, "w").run(script="make")
        said = b""
        with pytest.raises(ConnectionFailed):
            for output in run:
                said += output.data
    assert said == b"half"


def test_a_run_that_is_left_or_cancelled_is_seen_to_be_gone() -> None:
    gone = threading.Semaphore(0)

    def handler(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(STARTED)
        try:
            socket.recv()
        except Exception:
            gone.release()

    async def main(url: str) -> None:
        async with AsyncDevgate(url, "dgt_secret") as devgate:
            run = await AsyncProcesses(devgate._transport, "w").run(script="make")
            async with run:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(run.wait(), 0.1)

    with socket_server(handler) as url:
        asyncio.run(main(url))
        assert gone.acquire(timeout=10)
        with Devgate(url, "dgt_secret") as devgate:
            with Processes(devgate._transport, "w").run(script="make"):
                pass
            assert gone.acquire(timeout=10)


def event(sequence: int, kind: str = "modified") -> bytes:
    said = {"sequence": sequence, "kind": kind, "path": "/a", "folder": False}
    return f"id: {sequence}\nevent: change\ndata: {json.dumps(said)}\n\n".encode()


def watch_state(id: str = "v") -> dict[str, Any]:
    return {
        "id": id,
        "path": "/a",
        "recursive": True,
        "include": [],
        "exclude": [],
        "created": "2026-01-01T00:00:00Z",
        "sequence": 0,
        "listeners": 0,
        "keep_seconds": 600,
        "incomplete": False,
    }


def test_a_watch_goes_on_after_its_connection_broke_and_tells_of_each_event_once(
    serving: Serving,
) -> None:
    since: list[str] = []

    def answer(asked: Asked) -> None:
        if asked.command == "POST":
            asked.say(201, watch_state())
        elif asked.command == "DELETE":
            asked.say(204)
        else:
            since.append(asked.path.partition("since=")[2])
            asked.begin(content_type="text/event-stream")
            if len(since) == 1:
                asked.wfile.write(event(1) + event(2) + b'id: 3\ndata: {"sequ')  # within an event
            elif len(since) == 2:
                asked.wfile.write(event(2) + event(3))  # one too many
            else:
                asked.wfile.write(event(4))
            asked.cut()

    server = serving(answer)
    with Devgate(server.url, "t") as devgate:
        watch = Watch(devgate._transport, "w", "a")
        watch._begin()
        seen = []
        with watch:
            for one in watch:
                seen.append(one.sequence)
                if one.sequence == 4:
                    break
    assert (seen, since) == ([1, 2, 3, 4], ["0", "2", "3"])
    assert server.asked[-1].command == "DELETE"


def test_a_watch_that_is_gone_is_made_anew_and_says_that_something_may_be_missing(
    serving: Serving,
) -> None:
    made = 0

    def answer(asked: Asked) -> None:
        nonlocal made
        if asked.command == "POST":
            made += 1
            asked.say(201, watch_state(f"v{made}"))
        elif asked.command == "DELETE":
            asked.say(204)
        elif "/v1/events" in asked.path:
            asked.refuse(404, "no-such-watch")
        else:
            asked.begin()
            asked.wfile.write(event(1, "created"))
            asked.cut()

    server = serving(answer)

    async def main() -> list[str]:
        from devgate._async.watch import AsyncWatch

        async with AsyncDevgate(server.url, "t") as devgate:
            watch = AsyncWatch(devgate._transport, "w", "a")
            await watch._begin()
            seen = []
            async with watch:
                async for one in watch:
                    seen.append(one.kind)
                    if one.kind == "created":
                        break
            return seen

    assert asyncio.run(main()) == ["overflow", "created"]


def test_a_watch_that_may_not_look_any_more_ends(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        if asked.command == "POST":
            asked.say(201, watch_state())
        else:
            asked.refuse(403, "token-narrow")

    with Devgate(serving(answer).url, "t", retry=Retry(0)) as devgate:
        watch = Watch(devgate._transport, "w", "a")
        watch._begin()
        with pytest.raises(Denied):
            next(iter(watch))


def test_a_workspace_that_fails_to_start_says_why(serving: Serving) -> None:
    from conftest import WORKSPACE

    def answer(asked: Asked) -> None:
        if len(server.asked) < 3:
            asked.say(202, {**WORKSPACE, "state": "starting"})
        else:
            reason = {"code": "no-image", "detail": "there is no such image"}
            asked.say(200, {**WORKSPACE, "state": "failed", "reason": reason})

    server = serving(answer)
    with Devgate(server.url, "t") as devgate, pytest.raises(Failed, match="there is no such image"):
        devgate.workspaces.create("demo")
    assert len(server.asked) == 3


def test_what_a_process_can_not_have_is_refused_before_it_is_asked_for(
    serving: Callable[[Callable[[Asked], None]], Server],
) -> None:
    server = serving(lambda asked: asked.refuse(400, "bad-request"))
    with Devgate(server.url, "t") as devgate:
        processes = Processes(devgate._transport, "w")
        for content in (b"x", bytearray(b"x"), memoryview(b"x")):
            with pytest.raises(TypeError, match="stdin"):
                processes.exec(["cat"], input=content)  # type: ignore[arg-type]
        assert not server.asked
        # Whoever checks types is told, too.
        for call in (processes.exec, processes.start):
            with pytest.raises(BadRequest):
                call(["true"], timout_seconds=3)  # type: ignore[call-arg]
