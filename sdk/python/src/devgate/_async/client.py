"""Where to begin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

from .._retry import Retry
from .._settings import Settings
from .snapshots import AsyncSnapshots
from .transport import AsyncTransport
from .workspaces import AsyncWorkspaces


class AsyncDevgate:
    """A devgate server, asked with an API token over one pool of connections.

    What isn't given is taken from ``DEVGATE_URL``, ``DEVGATE_TOKEN`` and ``DEVGATE_CA``. ``ca`` is
    the one authority that the server's certificate has to be of: PEM, or a file with it.
    ``timeout`` is how long the server may be silent, in seconds.
    """

    workspaces: AsyncWorkspaces
    """The workspaces that the token may see."""
    snapshots: AsyncSnapshots
    """The snapshots of all of them."""

    def __init__(
        self,
        url: Optional[str] = None,
        token: Optional[str] = None,
        ca: Union[str, Path, None] = None,
        *,
        timeout: float = 60.0,
        retry: Optional[Retry] = None,
    ) -> None:
        self._transport = AsyncTransport(Settings(url, token, ca), timeout, retry or Retry())
        self.workspaces = AsyncWorkspaces(self._transport)
        self.snapshots = AsyncSnapshots(self._transport)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """Asks for what has no method of its own here: ``request("GET", "/me")``. ``path`` is
        below ``/api/v1``, as in the API's document, whose schemas are in ``devgate.models``."""
        where = f"/api/v1/{path.lstrip('/')}"
        return await self._transport.json(method, where, query=query, json=json, headers=headers)

    async def close(self) -> None:
        """Ends all connections, and what is run over them."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncDevgate:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()
