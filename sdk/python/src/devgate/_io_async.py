"""What waits, for asyncio. ``_io_sync`` is the same for threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, TypeVar, Union

import httpx
from websockets.asyncio.client import ClientConnection, connect

from ._settings import KEEP_ALIVE, PIECE, Settings, break_off, socket_options
from .errors import ConnectionFailed

T = TypeVar("T")

Content = Union[bytes, bytearray, memoryview, str, AsyncIterable[bytes]]
"""What is sent: at once, or as it comes."""


class Socket(ClientConnection):
    """A WebSocket that knows when its server was last heard."""

    heard = 0.0

    def data_received(self, data: bytes) -> None:
        """Takes what comes, pings included."""
        self.heard = time.monotonic()
        super().data_received(data)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Union[Exception, str]:
        return exc  # the token would go along


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Does what blocks."""
    return await asyncio.to_thread(function, *args)


async def pause(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


def connections(settings: Settings, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """Makes a pool of connections."""
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEEP_ALIVE
    )
    transport = httpx.AsyncHTTPTransport(
        verify=settings.tls, limits=limits, socket_options=socket_options()
    )
    return httpx.AsyncClient(
        transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
    )


@contextmanager
def limited(answer: httpx.Response, until: Optional[float]) -> Iterator[None]:
    """Breaks an answer off at a time of ``time.monotonic``, however much comes of it."""
    if until is None:
        yield
        return
    loop = asyncio.get_running_loop()
    timer = loop.call_later(until - time.monotonic(), break_off, answer)
    try:
        yield
    finally:
        timer.cancel()


async def open_socket(url: str, **options: Any) -> Socket:
    """Opens a WebSocket."""
    socket: Any = await _Connect(url, create_connection=Socket, **options)
    for option in socket_options():
        socket.transport.get_extra_info("socket").setsockopt(*option)
    return socket  # type: ignore[no-any-return]


async def receive(socket: Socket, silence: float) -> Union[str, bytes]:
    """Waits for a message as long as anything comes within some seconds, pings included."""
    # What comes isn't heard while nobody receives.
    began = time.monotonic()
    while True:
        left = max(began, socket.heard) + silence - time.monotonic()
        if left <= 0:
            socket.transport.abort()
            raise ConnectionFailed(f"the server was silent for {silence} s", code="cut-off")
        try:
            return await asyncio.wait_for(socket.recv(), left)
        except asyncio.TimeoutError:
            pass


async def close_socket(socket: Socket) -> None:
    """Closes a WebSocket without waiting for what it still has to say."""
    socket.transport.abort()
    await socket.wait_closed()


async def pieces(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yields what is sent as it comes."""
    async for piece in content:
        yield piece


async def cut(content: bytes) -> AsyncIterator[bytes]:
    """Yields what is there in pieces, each of which has its own time."""
    for at in range(0, len(content), PIECE):
        yield content[at : at + PIECE]
