"""devgate for programs. ``Devgate`` is where to begin, ``AsyncDevgate`` for asyncio."""

from __future__ import annotations

from . import errors, models
from ._async.client import AsyncDevgate
from ._async.files import AsyncFiles, AsyncSearch
from ._async.ports import AsyncPorts
from ._async.processes import AsyncProcesses, AsyncRun
from ._async.snapshots import AsyncSnapshots
from ._async.watch import AsyncWatch
from ._async.workspaces import AsyncWorkspace, AsyncWorkspaces
from ._options import ProcessOptions, Pty
from ._retry import Retry
from ._sync.client import Devgate
from ._sync.files import Files, Search
from ._sync.ports import Ports
from ._sync.processes import Processes, Run
from ._sync.snapshots import Snapshots
from ._sync.watch import Watch
from ._sync.workspaces import Workspace, Workspaces
from .errors import (
    BadRequest,
    Conflict,
    ConnectionFailed,
    Denied,
    DevgateError,
    Failed,
    LimitReached,
    NotFound,
    PreconditionFailed,
    SignedOut,
    TimedOut,
    TooManyRequests,
    Unavailable,
)

__all__ = [
    "AsyncDevgate",
    "AsyncFiles",
    "AsyncPorts",
    "AsyncProcesses",
    "AsyncRun",
    "AsyncSearch",
    "AsyncSnapshots",
    "AsyncWatch",
    "AsyncWorkspace",
    "AsyncWorkspaces",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Denied",
    "Devgate",
    "DevgateError",
    "Failed",
    "Files",
    "LimitReached",
    "NotFound",
    "Ports",
    "PreconditionFailed",
    "ProcessOptions",
    "Processes",
    "Pty",
    "Retry",
    "Run",
    "Search",
    "SignedOut",
    "Snapshots",
    "TimedOut",
    "TooManyRequests",
    "Unavailable",
    "Watch",
    "Workspace",
    "Workspaces",
    "errors",
    "models",
]
