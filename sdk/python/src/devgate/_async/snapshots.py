"""Snapshots of workspaces."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Optional
from urllib.parse import quote

from .._io_async import pause
from ..errors import Failed, TimedOut
from ..models import Snapshot
from .files import gone
from .transport import AsyncTransport

PATIENCE = 600.0
"""How long something that is awaited may take, in seconds."""

_LOOK = 0.5
"""How long to wait between two looks, in seconds."""


class AsyncSnapshots:
    """Snapshots, of one workspace or of all."""

    def __init__(self, transport: AsyncTransport, workspace: Optional[str] = None) -> None:
        self._transport = transport
        self._workspace = workspace

    async def list(self) -> AsyncIterator[Snapshot]:
        """Yields the snapshots."""
        cursor: Optional[str] = None
        while True:
            query = {"workspace": self._workspace, "cursor": cursor}
            page = await self._transport.json("GET", "/api/v1/snapshots", query=query)
            for item in page["items"]:
                yield Snapshot.model_validate(item)
            cursor = page.get("next")
            if cursor is None:
                return

    async def get(self, id: str) -> Snapshot:
        """Shows a snapshot."""
        where = f"/api/v1/snapshots/{quote(id, safe='')}"
        return Snapshot.model_validate(await self._transport.json("GET", where))

    async def create(
        self, name: str, *, description: Optional[str] = None, timeout: float = PATIENCE
    ) -> Snapshot:
        """Takes one of the workspace, and waits until it is ready."""
        if self._workspace is None:
            raise TypeError("a snapshot is taken of a workspace: use `workspace.snapshots`")
        asked: dict[str, Any] = {"name": name}
        if description is not None:
            asked["description"] = description
        where = f"/api/v1/workspaces/{quote(self._workspace, safe='')}/snapshots"
        said = await self._transport.json("POST", where, json=asked)
        return await self.ready(said["id"], timeout=timeout)

    async def ready(self, id: str, *, timeout: float = PATIENCE) -> Snapshot:
        """Waits until a snapshot is ready."""
        until = time.monotonic() + timeout
        while True:
            snapshot = await self.get(id)
            if snapshot.state == "ready":
                return snapshot
            if snapshot.state == "failed":
                why = snapshot.reason or "the server doesn't say why"
                text = f"the snapshot {snapshot.name} failed: {why}"
                raise Failed(text, code="snapshot-failed")
            if time.monotonic() > until:
                text = f"the snapshot {snapshot.name} isn't ready after {timeout} s"
                raise TimedOut(text, code="timed-out")
            await pause(_LOOK)

    async def delete(self, id: str) -> None:
        """Deletes one."""
        await gone(self._transport, f"/api/v1/snapshots/{quote(id, safe='')}")
