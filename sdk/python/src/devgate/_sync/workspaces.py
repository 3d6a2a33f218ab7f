"""Workspaces: their lives, and what is in them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from .._path import FilePath
from ..errors import DevgateError, Failed, NotFound, TimedOut
from ..models import Health, Snapshot, Statistics
from ..models import Workspace as WorkspaceInfo
from .files import Files, gone
from .ports import Ports
from .processes import Processes
from .snapshots import PATIENCE, Snapshots
from .transport import Transport
from .watch import Watch

_ONCE = 50
"""Most seconds that the server waits with an answer."""

_BASE = "/api/v1/workspaces"


class Workspaces:
    """The workspaces that the token may see."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        owner: Optional[str] = None,
        name: Optional[str] = None,
        state: Optional[str] = None,
    ) -> Iterator[Workspace]:
        """Yields the workspaces."""
        cursor: Optional[str] = None
        while True:
            query = {"owner": owner, "name": name, "state": state, "cursor": cursor}
            page = self._transport.json("GET", _BASE, query=query)
            for item in page["items"]:
                yield Workspace(self._transport, WorkspaceInfo.model_validate(item))
            cursor = page.get("next")
            if cursor is None:
                return

    def get(self, id: str) -> Workspace:
        """Returns one by its id."""
        said = self._transport.json("GET", f"{_BASE}/{quote(id, safe='')}")
        return Workspace(self._transport, WorkspaceInfo.model_validate(said))

    def named(self, name: str, *, owner: Optional[str] = None) -> Workspace:
        """Returns one by its name; several owners may have one of that name."""
        found = [one for one in self.list(name=name, owner=owner)]
        if not found:
            raise NotFound(f"there is no workspace {name}", code="no-such-workspace", status=404)
        if len(found) > 1:
            owners = ", ".join(one.info.owner for one in found)
            raise ValueError(f"there are several workspaces {name}: give the owner, of {owners}")
        return found[0]

    def create(
        self,
        name: str,
        *,
        template: Optional[str] = None,
        snapshot: Optional[str] = None,
        owner: Optional[str] = None,
        cpus: Optional[str] = None,
        memory: Optional[str] = None,
        start: bool = True,
        wait: bool = True,
        timeout: float = PATIENCE,
    ) -> Workspace:
        """Creates one and waits until it runs (or, without ``start``, until it is there).
        Repeated after a failure of the connection, it creates no second one."""
        wanted = {
            "name": name,
            "template": template,
            "snapshot": snapshot,
            "owner": owner,
            "cpus": cpus,
            "memory": memory,
            "start": start,
        }
        said = self._transport.json(
            "POST",
            _BASE,
            headers={"idempotency-key": str(uuid.uuid4())},
            json={name: value for name, value in wanted.items() if value is not None},
        )
        workspace = Workspace(self._transport, WorkspaceInfo.model_validate(said))
        if wait:
            workspace.settled(timeout=timeout)
            if start:
                workspace.must_be("running")
        return workspace


class Workspace:
    """One workspace."""

    files: Files
    """Its files."""
    processes: Processes
    """Its programs."""
    ports: Ports
    """Its ports."""
    snapshots: Snapshots
    """Its snapshots."""
    info: WorkspaceInfo
    """All that was known of it when the server was last asked."""

    def __init__(self, transport: Transport, info: WorkspaceInfo) -> None:
        self._transport = transport
        self.info = info
        self.files = Files(transport, info.id)
        self.processes = Processes(transport, info.id)
        self.ports = Ports(transport, info.id)
        self.snapshots = Snapshots(transport, info.id)

    def __repr__(self) -> str:
        return f"<workspace {self.info.owner}/{self.info.name}: {self.info.state}>"

    @property
    def id(self) -> str:
        """Its id, which no other will ever have."""
        return self.info.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.info.name

    def refresh(self) -> WorkspaceInfo:
        """Asks the server how it is."""
        return self._look(0)

    def settled(self, *, timeout: float = PATIENCE) -> WorkspaceInfo:
        """Waits until it is neither starting nor stopping."""
        until = time.monotonic() + timeout
        while self.info.state in ("created", "starting", "stopping"):
            left = until - time.monotonic()
            if left <= 0:
                doing = f" ({self.info.doing})" if self.info.doing else ""
                text = f"{self.name} is still {self.info.state}{doing} after {timeout} s"
                raise TimedOut(text, code="timed-out")
            before = self.info.state
            self._look(max(1, min(_ONCE, int(left))))
            if before == "created" == self.info.state:
                break  # without `start` it stays so
        return self.info

    def must_be(self, state: str) -> None:
        """Raises unless it was in this state when the server was last asked."""
        if self.info.state != state:
            reason = self.info.reason
            why = reason.detail if reason else "the server doesn't say why"
            text = f"{self.name} is {self.info.state} and not {state}: {why}"
            raise Failed(text, code=f"workspace-{self.info.state}")

    def start(self, *, timeout: float = PATIENCE) -> None:
        """Starts it, and waits until it runs."""
        self._act("start", timeout)
        self.must_be("running")

    def stop(self, *, timeout: float = PATIENCE) -> None:
        """Stops it, and waits until it has."""
        self._act("stop", timeout)
        self.must_be("stopped")

    def restart(self, *, timeout: float = PATIENCE) -> None:
        """Stops and starts it, and waits until it runs."""
        self._act("restart", timeout)
        self.must_be("running")

    def delete(self, *, purge: bool = False) -> None:
        """Deletes it. Its home is kept for as long as the server says, unless with ``purge``."""
        query = {"purge": purge, "wait": _ONCE}
        gone(self._transport, self._one(), query, timeout=2.0 * _ONCE)

    def restore(self, snapshot: Union[str, Snapshot], *, timeout: float = PATIENCE) -> None:
        """Makes it anew from a snapshot, and waits until it runs or has stopped again."""
        id = snapshot if isinstance(snapshot, str) else snapshot.id
        where = f"/api/v1/snapshots/{quote(id, safe='')}/restore"
        said = self._transport.json(
            "POST", where, query={"wait": _ONCE}, json={"workspace": self.id}, timeout=2.0 * _ONCE
        )
        self.info = WorkspaceInfo.model_validate(said)
        self.settled(timeout=timeout)
        if self.info.state == "failed":
            self.must_be("running")

    def statistics(self, *, window: Optional[str] = None) -> Statistics:
        """Shows what it used: processors, memory, disk, network. ``window`` is how far back,
        ``hour`` or ``day``."""
        where = f"{self._one()}/statistics"
        said = self._transport.json("GET", where, query={"window": window})
        return Statistics.model_validate(said)

    def health(self) -> Health:
        """Asks its agent how it is."""
        return Health.model_validate(self._transport.json("GET", f"{self._one()}/health"))

    def watch(
        self,
        path: FilePath,
        *,
        recursive: bool = True,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        keep_seconds: Optional[int] = None,
        on_reconnect: Optional[Callable[[DevgateError], None]] = None,
    ) -> Watch:
        """Watches a folder or a file from now on. Relative paths begin at the home.

        ``include`` and ``exclude`` are patterns (``*.rs``, ``src/**``). The server keeps events
        for ``keep_seconds`` while nobody is connected, 600 unless told otherwise.
        """
        watch = Watch(
            self._transport,
            self.id,
            path,
            recursive=recursive,
            include=include,
            exclude=exclude,
            keep_seconds=keep_seconds,
            on_reconnect=on_reconnect,
        )
        watch._begin()
        return watch

    def _act(self, what: str, timeout: float) -> None:
        where = f"{self._one()}/{what}"
        query = {"wait": _ONCE}
        said: Any = self._transport.json("POST", where, query=query, timeout=2.0 * _ONCE)
        self.info = WorkspaceInfo.model_validate(said)
        self.settled(timeout=timeout)

    def _look(self, wait: int) -> WorkspaceInfo:
        query = {"wait": wait}
        said = self._transport.json("GET", self._one(), query=query, timeout=2.0 * _ONCE)
        self.info = WorkspaceInfo.model_validate(said)
        return self.info

    def _one(self) -> str:
        return f"{_BASE}/{quote(self.id, safe='')}"
