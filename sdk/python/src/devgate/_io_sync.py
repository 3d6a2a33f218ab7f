"""What waits, for threads. ``_io_async`` is the same for asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, TypeVar, Union

import httpx

from . import _io_async
from ._settings import KEEP_ALIVE, PIECE, Settings, break_off, socket_options

T = TypeVar("T")

Content = Union[bytes, bytearray, memoryview, str, Iterable[bytes]]
"""What is sent: at once, or as it comes."""


class _Loop:
    """One thread of this process, which all WebSockets share.

    The client for threads of `websockets` holds a lock while it sends, without which it can't
    receive: a program that has to be read before it takes more would wait for ever.
    """

    _only: Optional[_Loop] = None
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="devgate", daemon=True)
        thread.start()

    @classmethod
    def of_this_process(cls) -> _Loop:
        """Returns it. A fork has threads of its own."""
        with cls._lock:
            if cls._only is None or cls._only._process != os.getpid():
                cls._only = cls()
            return cls._only

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine, which ends when this is interrupted."""
        future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class Socket:
    """A WebSocket: one thread may receive while others send."""

    def __init__(self, loop: _Loop, socket: _io_async.Socket) -> None:
        self._loop = loop
        self._socket = socket

    def send(self, message: Union[str, bytes]) -> None:
        """Sends a message, and waits while the server doesn't read."""
        self._loop.run(self._socket.send(message))

    def receive(self, silence: float) -> Union[str, bytes]:
        """Waits for a message as long as anything comes within some seconds."""
        return self._loop.run(_io_async.receive(self._socket, silence))

    def close(self) -> None:
        """Closes it, once the server has as well."""
        self._loop.run(self._socket.close())

    def abort(self) -> None:
        """Closes it without waiting for what the server still has to say."""
        self._loop.run(_io_async.close_socket(self._socket))


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Does what blocks."""
    return function(*args)


def pause(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def connections(settings: Settings, timeout: httpx.Timeout) -> httpx.Client:
    """Makes a pool of connections."""
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEEP_ALIVE
    )
    transport = httpx.HTTPTransport(
        verify=settings.tls, limits=limits, socket_options=socket_options()
    )
    return httpx.Client(
        transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
    )


@contextmanager
def limited(answer: httpx.Response, until: Optional[float]) -> Iterator[None]:
    """Breaks an answer off at a time of ``time.monotonic``, however much comes of it."""
    if until is None:
        yield
        return
    timer = threading.Timer(max(0.0, until - time.monotonic()), break_off, [answer])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # Else it could end the connection when that is another request's already.
        timer.join()


def open_socket(url: str, **options: Any) -> Socket:
    """Opens a WebSocket."""
    loop = _Loop.of_this_process()
    return Socket(loop, loop.run(_io_async.open_socket(url, **options)))


def receive(socket: Socket, silence: float) -> Union[str, bytes]:
    """Waits for a message as long as anything comes within some seconds."""
    return socket.receive(silence)


def close_socket(socket: Socket) -> None:
    """Closes a WebSocket without waiting for what it still has to say."""
    socket.abort()


def pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yields what is sent as it comes."""
    yield from content


def cut(content: bytes) -> Iterator[bytes]:
    """Yields what is there in pieces, each of which has its own time."""
    for at in range(0, len(content), PIECE):
        yield content[at : at + PIECE]
