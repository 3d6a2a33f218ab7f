"""Ports of a workspace: what listens, who may open it, and requests to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Optional
from urllib.parse import quote, urljoin

import httpx

from .._settings import IDLE
from ..errors import TimedOut
from ..models import Port, PortSetting
from .files import gone
from .lines import server_events
from .transport import Transport


class Ports:
    """The ports of one workspace."""

    def __init__(self, transport: Transport, id: str) -> None:
        self._transport = transport
        self._workspace = f"/api/v1/workspaces/{quote(id, safe='')}"
        self._base = f"{self._workspace}/ports"

    def list(self) -> Sequence[Port]:
        """Lists the ports that something listens on, that others may open, or that are named."""
        said = self._transport.json("GET", self._base)
        return [Port.model_validate(item) for item in said["items"]]

    def follow(self, *, timeout: float = IDLE) -> Iterator[Sequence[Port]]:
        """Yields the whole list, now and with each change."""
        headers = {"accept": "text/event-stream"}
        with self._transport.stream("GET", self._base, headers=headers, timeout=timeout) as answer:
            for event in server_events(answer.iter_raw()):
                if event.name == "ports":
                    items = json.loads(event.data)["items"]
                    yield [Port.model_validate(item) for item in items]

    def wait_for(self, port: int, *, timeout: float = 60.0) -> Port:
        """Waits until something listens on a port."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                for ports in self.follow(timeout=max(0.001, left)):
                    for one in ports:
                        if one.port == port and one.listening:
                            return one
                    if time.monotonic() > until:
                        break
            except TimedOut:
                pass
            if time.monotonic() > until:
                text = f"nothing listens on port {port} after {timeout} s"
                raise TimedOut(text, code="timed-out")

    def share(self, port: int, visibility: str, *, until: Optional[datetime] = None) -> PortSetting:
        """Says who may open a port (``private``, ``members``, ``public``), until a time or until
        somebody says otherwise."""
        asked: dict[str, Any] = {"visibility": visibility}
        if until is not None:
            asked["expires_at"] = until.astimezone().isoformat()
        said = self._transport.json("PUT", f"{self._base}/{port}", json=asked)
        return PortSetting.model_validate(said)

    def unshare(self, port: int) -> None:
        """Makes a port private."""
        gone(self._transport, f"{self._base}/{port}")

    def address(self, port: int) -> str:
        """Returns the address of a port's web application, for browsers."""
        said = self._transport.json("GET", self._workspace)
        template: str = said["urls"]["application_template"]
        return template.replace("{port}", str(port))

    def request(
        self, port: int, path: str = "/", *, method: str = "GET", **sending: Any
    ) -> AbstractContextManager[httpx.Response]:
        """Sends a request to a port's web application, as the owner of the token. The answer is
        a context: ``with ports.request(8000) as answer``."""
        base = self.address(port)
        where = urljoin(base if base.endswith("/") else f"{base}/", path.lstrip("/"))
        return self._transport.stream(method, where, **sending)
