"""Ports of a workspace: what listens, who may open it, and requests to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Optional
from urllib.parse import quote

import httpx

from .._parsing import parsed
from .._settings import IDLE
from ..errors import ConnectionFailed, TimedOut
from ..models import Port, PortSetting
from .files import gone
from .lines import server_events
from .transport import AsyncTransport

_EARLY = 0.01
"""How much too early a timer may be, in seconds."""


class AsyncPorts:
    """The ports of one workspace."""

    def __init__(self, transport: AsyncTransport, id: str) -> None:
        self._transport = transport
        self._workspace = f"/api/v1/workspaces/{quote(id, safe='')}"
        self._base = f"{self._workspace}/ports"

    async def list(self) -> Sequence[Port]:
        """Lists the ports that something listens on, that others may open, or that are named."""
        said = await self._transport.json("GET", self._base)
        return [Port.model_validate(item) for item in said["items"]]

    async def follow(self, *, timeout: float = IDLE) -> AsyncIterator[Sequence[Port]]:
        """Yields the whole list, now and with each change. ``timeout`` is how long the server may
        be silent, in seconds."""
        async for ports in self._lists(timeout, None):
            yield ports

    async def wait_for(self, port: int, *, timeout: float = 60.0) -> Port:
        """Waits until something listens on a port."""
        until = time.monotonic() + timeout
        while True:
            late = until - _EARLY
            try:
                async for ports in self._lists(IDLE, until):
                    for one in ports:
                        if one.port == port and one.listening:
                            return one
            except TimedOut:
                pass  # the server was silent
            except ConnectionFailed:
                if time.monotonic() < late:
                    raise
            if time.monotonic() >= late:
                text = f"nothing listens on port {port} after {timeout} s"
                raise TimedOut(text, code="timed-out")

    async def share(
        self, port: int, visibility: str, *, until: Optional[datetime] = None
    ) -> PortSetting:
        """Says who may open a port (``private``, ``members``, ``public``), until a time or until
        somebody says otherwise."""
        asked: dict[str, Any] = {"visibility": visibility}
        if until is not None:
            asked["expires_at"] = until.astimezone().isoformat()
        said = await self._transport.json("PUT", f"{self._base}/{port}", json=asked)
        return PortSetting.model_validate(said)

    async def unshare(self, port: int) -> None:
        """Makes a port private."""
        await gone(self._transport, f"{self._base}/{port}")

    async def address(self, port: int) -> str:
        """Returns the address of a port's web application, for browsers."""
        said = await self._transport.json("GET", self._workspace)
        template: str = said["urls"]["application_template"]
        return template.replace("{port}", str(port))

    async def request(
        self, port: int, path: str = "/", *, method: str = "GET", **sending: Any
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Sends a request to a port's web application, as the owner of the token, and to nowhere
        else; redirects aren't followed. The answer is a context:
        ``async with await ports.request(8000) as answer``."""
        address = await self.address(port)
        base = address if address.endswith("/") else f"{address}/"
        return self._transport.stream(method, path.lstrip("/"), base=base, **sending)

    async def _lists(self, timeout: float, until: Optional[float]) -> AsyncIterator[Sequence[Port]]:
        headers = {"accept": "text/event-stream"}
        async with self._transport.stream(
            "GET", self._base, headers=headers, timeout=timeout, until=until
        ) as answer:
            async for event in server_events(answer.aiter_raw()):
                if event.name == "ports":
                    items = parsed(event.data)["items"]
                    yield [Port.model_validate(item) for item in items]
