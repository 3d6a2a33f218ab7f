"""What happens to a workspace's files."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Callable, Optional
from urllib.parse import quote

from .._io_sync import pause
from .._parsing import parsed
from .._path import FilePath, named
from .._settings import IDLE
from ..errors import ConnectionFailed, DevgateError, NotFound, TimedOut, Unavailable
from ..models import Watch as WatchState
from ..models import WatchEvent
from .files import gone
from .lines import server_events
from .transport import Transport

_PAUSE = 0.1
"""The first pause before connecting again, in seconds; it doubles up to the longest."""

_LONGEST_PAUSE = 10.0


class Watch:
    """Events of a folder or file, in order, each once, over as many connections as it takes.

    An ``overflow`` says that something may have been missed, so that all has to be looked at
    again: there were more events than the server keeps, or the workspace was restarted.
    """

    state: WatchState
    """The watch as the server had it when it was made."""
    sequence: int
    """The number of the last event that was told of."""

    def __init__(
        self,
        transport: Transport,
        workspace: str,
        path: FilePath,
        *,
        recursive: bool = True,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        keep_seconds: Optional[int] = None,
        on_reconnect: Optional[Callable[[DevgateError], None]] = None,
    ) -> None:
        self._transport = transport
        self._base = f"/api/v1/workspaces/{quote(workspace, safe='')}/watches"
        self._asked: dict[str, Any] = {**named(path), "recursive": recursive}
        if include:
            self._asked["include"] = [*include]
        if exclude:
            self._asked["exclude"] = [*exclude]
        if keep_seconds is not None:
            self._asked["keep_seconds"] = keep_seconds
        self._on_reconnect = on_reconnect
        self._closed = False

    def _begin(self) -> None:
        said = self._transport.json("POST", self._base, json=self._asked)
        self.state = WatchState.model_validate(said)
        self.sequence = self.state.sequence

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[WatchEvent]:
        """Yields what happens until it is closed."""
        failures = 0
        lost = False
        while not self._closed:
            try:
                if lost:
                    # There is another one, which something may be missing from.
                    self._begin()
                    lost = False
                    yield WatchEvent(
                        sequence=self.sequence, kind="overflow", path=self.state.path, folder=True
                    )
                for event in self._connection():
                    failures = 0
                    yield event
            except NotFound as error:
                if self._closed:
                    return
                if lost or error.code == "no-such-workspace":
                    raise
                lost = True
                self._tell(error)
            except (ConnectionFailed, TimedOut, Unavailable) as error:
                self._tell(error)
            most = min(_LONGEST_PAUSE, _PAUSE * 2.0**failures)
            failures += 1
            pause(random.random() * most)

    def close(self) -> None:
        """Ends it on the server; who reads it gets to the end."""
        if self._closed:
            return
        self._closed = True
        # Else the server ends it by itself, as nobody follows it any more.
        with suppress(DevgateError):
            gone(self._transport, self._one(), timeout=5.0)

    def _connection(self) -> Iterator[WatchEvent]:
        sending: dict[str, Any] = {
            "query": {"since": self.sequence},
            "headers": {"accept": "text/event-stream"},
            "timeout": IDLE,
        }
        with self._transport.stream("GET", f"{self._one()}/events", **sending) as answer:
            for event in server_events(answer.iter_raw()):
                said = WatchEvent.model_validate(parsed(event.data))
                # One that came before the connection broke isn't told of again.
                if said.sequence > self.sequence:
                    self.sequence = said.sequence
                    yield said

    def _tell(self, error: DevgateError) -> None:
        if self._on_reconnect is not None and not self._closed:
            self._on_reconnect(error)

    def _one(self) -> str:
        return f"{self._base}/{quote(self.state.id, safe='')}"
