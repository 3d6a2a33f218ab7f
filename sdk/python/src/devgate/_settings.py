"""Where the server is, and who asks."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import urlsplit

CONNECT = 10.0
"""How long a connection may take, in seconds."""

KEEP_ALIVE = 8.0
"""How long a connection is kept for another request, in seconds: the server ends it after 10."""

IDLE = 60.0
"""How long a stream of events may be silent, in seconds: a server says something every 15."""


class Settings:
    """What a client is told, or finds in ``DEVGATE_URL``, ``DEVGATE_TOKEN`` and ``DEVGATE_CA``."""

    def __init__(
        self, url: Optional[str], token: Optional[str], ca: Union[str, Path, None]
    ) -> None:
        url = url or os.environ.get("DEVGATE_URL")
        if not url:
            raise ValueError("no server is named: give `url`, or set DEVGATE_URL")
        token = token or os.environ.get("DEVGATE_TOKEN")
        if not token:
            raise ValueError("no token is given: give `token`, or set DEVGATE_TOKEN")
        parts = urlsplit(url)
        host = parts.hostname or ""
        here = host == "localhost" or host == "::1" or host.startswith("127.")
        if parts.scheme != "https" and not (parts.scheme == "http" and here):
            raise ValueError(f"{url}: a token goes over https only, or to this machine itself")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.authorization = f"Bearer {token}"
        self.tls = _tls(ca or os.environ.get("DEVGATE_CA"))

    def __repr__(self) -> str:
        return f"<{self.origin}>"

    def headers(self) -> dict[str, str]:
        """Returns what every request says. Files come as they are."""
        return {"authorization": self.authorization, "accept-encoding": "identity"}


def _tls(ca: Union[str, Path, None]) -> ssl.SSLContext:
    if not ca:
        return ssl.create_default_context()
    if isinstance(ca, str) and "-----BEGIN" in ca:
        return ssl.create_default_context(cadata=ca)
    return ssl.create_default_context(cafile=str(ca))


def socket_options() -> list[tuple[int, int, Any]]:
    """Returns options by which the system finds out that a peer is gone."""
    options: list[tuple[int, int, Any]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
