"""Where the server is, and who asks."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional, Union

import httpx

CONNECT = 10.0
"""How long a connection may take, in seconds."""

KEEP_ALIVE = 8.0
"""How long a connection is kept for another request, in seconds: the server ends it after 10."""

PIECE = 64 * 1024
"""How much is sent before the time for it begins anew, in bytes."""

IDLE = 60.0
"""How long a stream of events or a WebSocket may be silent, in seconds: a server says something,
or pings, every 15."""


class Settings:
    """What a client is told, or finds in ``DEVGATE_URL``, ``DEVGATE_TOKEN`` and ``DEVGATE_CA``."""

    def __init__(
        self, url: Optional[str], token: Optional[str], ca: Union[str, Path, None]
    ) -> None:
        url = url or os.environ.get("DEVGATE_URL")
        if not url:
            raise ValueError("no server is named: give `url`, or set DEVGATE_URL")
        # What is read from a file ends in a newline.
        token = (token or os.environ.get("DEVGATE_TOKEN") or "").strip()
        if not token:
            raise ValueError("no token is given: give `token`, or set DEVGATE_TOKEN")
        if not all("!" <= character <= "~" for character in token):
            raise ValueError("the token has characters that none can have")
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{url} is no address: {error}") from error
        if not may_have_token(parts):
            raise ValueError(f"{url}: a token goes over https only, or to this machine itself")
        self.origin = f"{parts.scheme}://{parts.netloc.decode('ascii')}"
        self.authorization = f"Bearer {token}"
        self.tls = _tls(ca or os.environ.get("DEVGATE_CA"))

    def __repr__(self) -> str:
        return f"<{self.origin}>"


def may_have_token(url: httpx.URL) -> bool:
    """Whether nobody on the way can read what is sent there."""
    return url.scheme == "https" or (url.scheme == "http" and _is_here(url.host))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761


def _tls(ca: Union[str, Path, None]) -> ssl.SSLContext:
    if not ca:
        return ssl.create_default_context()
    is_text = isinstance(ca, str) and "-----BEGIN" in ca
    text = str(ca) if is_text else Path(ca).read_text()
    refusal = f"{'what `ca` says' if is_text else ca} is no authority's certificate, PEM"
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(refusal)
    try:
        return ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"{refusal}: {error}") from error


def break_off(answer: httpx.Response) -> None:
    """Ends the connection of an answer, whoever waits for more of it."""
    if answer.is_closed:
        return
    wire = answer.extensions["network_stream"].get_extra_info("socket")
    with suppress(OSError):
        if isinstance(wire, socket.socket):
            # That of TLS takes away what another thread reads with.
            socket.socket.shutdown(wire, socket.SHUT_RDWR)
        else:
            wire.shutdown(socket.SHUT_RDWR)


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
