"""A server that ends and starts again, as far as what is safe to repeat is concerned."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import ENTRY, WORKSPACE, Asked, Server
from test_streams import PROCESS, socket_server
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection

import devgate._async.transport as async_transport
import devgate._sync.transport as sync_transport
from devgate import AsyncDevgate, ConnectionFailed, Devgate, DevgateError, Retry, Unavailable
from devgate._async.files import AsyncFiles
from devgate._async.processes import AsyncProcesses
from devgate._sync.files import Files
from devgate._sync.processes import Processes

QUICK = Retry(first_pause=0.001, longest_pause=0.01)

MANY = 20
"""More failures than there are repetitions otherwise."""


@pytest.mark.parametrize("away", [Asked.cut, lambda asked: asked.refuse(503, "draining")])
def test_what_is_safe_is_repeated_for_as_long_as_the_server_is_away(
    serving: Callable[..., Server], away: Callable[[Asked], None]
) -> None:
    def answer(asked: Asked) -> None:
        if len(server.asked) <= MANY:
            away(asked)
        else:
            asked.say(200, WORKSPACE)

    server = serving(answer)
    with Devgate(server.url, "t", retry=QUICK) as devgate:
        assert devgate.workspaces.get("w").name == "demo"
    assert len(server.asked) == MANY + 1


def test_patience_ends_and_other_failures_do_not_have_it(serving: Callable[..., Server]) -> None:
    server = serving(lambda asked: asked.refuse(503, "draining"))
    with Devgate(server.url, "t", retry=Retry(2, 0.001, patience=0)) as devgate:
        with pytest.raises(Unavailable):
            devgate.workspaces.get("w")
    assert len(server.asked) == 3
    server = serving(lambda asked: asked.refuse(502, "agent-lost"))
    with Devgate(server.url, "t", retry=QUICK) as devgate, pytest.raises(Unavailable):
        devgate.workspaces.get("w")
    assert len(server.asked) == 5


def test_what_no_pause_mends_fails_at_once(serving: Callable[..., Server]) -> None:
    server = serving(lambda asked: asked.say(200))
    url = server.url.replace("http:", "https:")
    with Devgate(url, "t") as devgate, pytest.raises(ConnectionFailed) as caught:
        devgate.workspaces.get("w")
    assert (caught.value.attempts, server.connections) == (1, 1)


def test_a_pause_is_cancelled(serving: Callable[..., Server]) -> None:
    async def main(url: str) -> None:
        async with AsyncDevgate(url, "t") as devgate:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(devgate.workspaces.get("w"), 0.2)

    asyncio.run(main(serving(Asked.cut).url))


REFUSED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

STARTED = json.dumps({"started": PROCESS})


class Sockets:
    """A server of WebSockets that isn't there when many come, and then is for one."""

    def __init__(self, refusal: bytes) -> None:
        self.refusal = refusal
        self.tries = 0
        self.asked: list[str] = []
        self.said: list[Any] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.tries += 1
                if self.tries % (MANY + 1):
                    connection.recv(65536)
                    connection.sendall(self.refusal)
                    connection.close()
                else:
                    threading.Thread(target=self.follow, args=(connection,), daemon=True).start()

    def follow(self, connection: socket.socket) -> None:
        protocol = ServerProtocol()
        with connection:
            while data := connection.recv(65536):
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if isinstance(event, Request):
                        protocol.send_response(protocol.accept(event))
                        self.asked.append(event.path)
                        if "attach" in event.path and len(self.asked) == 3:
                            protocol.send_text(STARTED.encode())
                    elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        self.said.append(json.loads(event.data))
                        protocol.send_text(STARTED.encode())
                for part in protocol.data_to_send():
                    connection.sendall(part)
                if len(self.asked) == 2:
                    return  # before it said what it follows


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("refusal", [b"", REFUSED])
def test_a_program_is_run_and_followed_as_soon_as_the_server_is_there_again(
    refusal: bytes, kind: str
) -> None:
    server = Sockets(refusal)

    async def main() -> None:
        async with AsyncDevgate(server.url, "t", retry=QUICK) as devgate:
            processes = AsyncProcesses(devgate._transport, "w")
            assert (await processes.run(script="make")).process.id == "p"
            assert (await processes.attach("p", stdout_from=7)).process.id == "p"

    with closing(server.listener):
        if kind == "async":
            asyncio.run(main())
        else:
            with Devgate(server.url, "t", retry=QUICK) as devgate:
                processes = Processes(devgate._transport, "w")
                assert processes.run(script="make").process.id == "p"
                assert processes.attach("p", stdout_from=7).process.id == "p"
    assert server.tries == 3 * (MANY + 1)
    path = "/api/v1/workspaces/w/processes"
    attach = f"{path}/p/attach?stdout_from=7&stderr_from=0"
    assert server.asked == [f"{path}/run", attach, attach]
    assert server.said == [{"script": "make", "detach": False}]


def test_what_may_have_been_started_is_not_run_again() -> None:
    heard = []

    def handler(socket: ServerConnection) -> None:
        heard.append(socket.recv())
        socket.socket.shutdown(2)

    with socket_server(handler) as url, Devgate(url, "dgt_secret", retry=QUICK) as devgate:
        with pytest.raises(ConnectionFailed):
            Processes(devgate._transport, "w").run(script="make")
    assert len(heard) == 1


class Restarting:
    """A server for one file. In the midst of it it ends, and it comes back on its port after some
    pauses of whoever waits for it."""

    def __init__(self, serving: Callable[..., Server], content: bytes) -> None:
        self.serving = serving
        self.content = content
        self.there = b""
        self.ended = threading.Event()
        self.pauses = 0
        self.server = serving(self.answer)

    def end(self, asked: Asked) -> None:
        self.server.shutdown()
        self.server.socket.close()
        self.ended.set()
        asked.cut()

    def pause(self, _: float) -> None:
        """Is what a client does in place of a pause."""
        assert self.ended.wait(10)
        self.pauses += 1
        if self.pauses == MANY:
            self.server = self.serving(self.answer, self.server.server_port)

    def answer(self, asked: Asked) -> None:
        first = not self.ended.is_set()
        if asked.command == "PATCH":
            self.there += asked.body
            if first and len(self.there) > len(self.content) // 2:
                self.end(asked)
                return
        elif asked.path.endswith("/complete"):
            asked.say(200, {**ENTRY, "size": len(self.there)})
            return
        elif "/stat?" in asked.path:
            asked.refuse(404, "not-found")
            return
        elif "/content?" in asked.path:
            self.send(asked, first)
            return
        state = {"id": "u", "path": "/a", "size": len(self.content), "offset": len(self.there)}
        asked.say(200, {**state, "expires_at": "2026-01-01T00:00:00Z"})

    def send(self, asked: Asked, first: bool) -> None:
        wanted = asked.headers.get("range", "bytes=0-")
        part = self.content[int(wanted[len("bytes=") : -1]) :]
        asked.send_response(206 if "range" in asked.headers else 200)
        asked.send_header("etag", '"1"')
        asked.send_header("content-length", str(len(part)))
        asked.end_headers()
        if first:
            asked.wfile.write(part[: len(part) // 2])
            self.end(asked)
        else:
            asked.wfile.write(part)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_files_come_whole_although_the_server_is_away_meanwhile(
    serving: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    content = bytes(index % 251 for index in range(10_000))
    local = tmp_path / "file"

    for what in ("upload", "download"):
        other = Restarting(serving, content)

        async def pause(seconds: float, other: Restarting = other) -> None:
            await asyncio.to_thread(other.pause, seconds)

        monkeypatch.setattr(async_transport, "pause", pause)
        monkeypatch.setattr(sync_transport, "pause", other.pause)
        asked: dict[str, Any] = {"source": content, "piece_size": 1000}
        asked = asked if what == "upload" else {"local": local}

        async def main(url: str, what: str, asked: dict[str, Any]) -> None:
            async with AsyncDevgate(url, "t") as devgate:
                await getattr(AsyncFiles(devgate._transport, "w"), what)("a", **asked)

        if kind == "async":
            asyncio.run(main(other.server.url, what, asked))
        else:
            with Devgate(other.server.url, "t") as devgate:
                getattr(Files(devgate._transport, "w"), what)("a", **asked)
        assert other.pauses >= MANY
        assert (other.there if what == "upload" else local.read_bytes()) == content


def test_a_server_that_is_not_there_is_awaited_no_longer_than_asked() -> None:
    retry = Retry(first_pause=0.001, longest_pause=0.01, patience=0.1)
    with Devgate("http://127.0.0.1:1", "t", retry=retry) as devgate:
        with pytest.raises(DevgateError) as caught:
            devgate.workspaces.get("w")
    assert caught.value.attempts > 5
