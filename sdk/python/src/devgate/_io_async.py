"""What waits, for asyncio. ``_io_sync`` is the same for threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Callable, TypeVar, Union

import httpx
from websockets.asyncio.client import ClientConnection, connect

from ._settings import KEEP_ALIVE, Settings, socket_options

T = TypeVar("T")

Content = Union[bytes, str, AsyncIterable[bytes]]
"""What is sent: at once, or as it comes."""

Socket = ClientConnection


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
        transport=transport, timeout=timeout, headers=settings.headers(), trust_env=False
    )


async def open_socket(url: str, **options: Any) -> Socket:
    """Opens a WebSocket."""
    return await connect(url, **options)


async def close_socket(socket: Socket) -> None:
    """Closes a WebSocket without waiting for what it still has to say."""
    socket.transport.abort()
    await socket.wait_closed()


async def pieces(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yields what is sent as it comes."""
    async for piece in content:
        yield piece
