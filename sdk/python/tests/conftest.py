"""A server of this machine for tests: real sockets, and answers that a test decides about."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

import pytest

WORKSPACE = {
    "id": "wwwwwwwwwwwwwwww",
    "name": "demo",
    "owner": "ada",
    "state": "running",
    "reason": None,
    "doing": None,
    "template": None,
    "out_of_memory": None,
    "startup": None,
    "notices": [],
    "created": "2026-01-01T00:00:00Z",
    "changed": "2026-01-01T00:00:00Z",
    "expires_at": None,
    "deleted_at": None,
    "restorable_until": None,
    "agent": None,
    "home": "/home/dev",
    "ssh": "ssh demo@localhost",
    "urls": {"editor": "http://localhost/", "application_template": "http://localhost/{port}/"},
    "may_enter": True,
}

ENTRY = {
    "name": "a",
    "path": "/a",
    "kind": "file",
    "size": 1,
    "mode": "0644",
    "modified": "2026-01-01T00:00:00Z",
    "uid": 1,
    "gid": 1,
    "etag": '"1"',
}


class Asked(BaseHTTPRequestHandler):
    """One request, for a test to answer."""

    protocol_version = "HTTP/1.1"
    server: Server
    body: bytes

    def _any(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = b""
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        # One handler serves all requests of a connection.
        self.server.asked.append(copy.copy(self))
        self.server.answer(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def say(self, status: int, value: Any = None, **headers: str) -> None:
        """Answers with JSON."""
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, code: str, **headers: str) -> None:
        """Answers with a problem."""
        problem = {"status": status, "title": "", "code": code, "detail": "as the test wants it"}
        self.say(status, problem, **headers)

    def begin(self, status: int = 200, **headers: str) -> None:
        """Begins an answer that ends with the connection."""
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("connection", "close")
        self.end_headers()

    def cut(self) -> None:
        """Breaks the connection."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Callable[[Asked], None]

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Asked)
        self.asked: list[Asked] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_: Any) -> None:
        """Clients that are gone are what the tests are about."""


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them."""
    servers: list[Server] = []

    def start(answer: Callable[[Asked], None], port: int = 0) -> Server:
        server = Server(port)
        server.answer = answer
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
