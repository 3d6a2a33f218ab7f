"""What may be asked again, and when."""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Optional

import httpx
from websockets.exceptions import InvalidMessage

from .errors import ConnectionFailed, DevgateError, TimedOut

PASSING = frozenset({429, 502, 503, 504})
"""Answers after which the same request can go well."""

_AWAY_PAUSE = 2.0
"""The longest pause while a server is away, in seconds: it is soon back."""

_LOST = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError),
    # Of a WebSocket that is to be opened.
    *(OSError, InvalidMessage),
)
"""What is seen of a server that ends, or isn't there yet."""

_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


@dataclass(frozen=True)
class Retry:
    """How failures that pass are met."""

    retries: int = 4
    """Most repetitions of one request, but for ``patience``; 0: none at all."""
    first_pause: float = 0.2
    """The first pause at most, in seconds; it doubles with each repetition."""
    longest_pause: float = 20.0
    """The longest pause, in seconds, also of a server that asks for more."""
    patience: float = 60.0
    """For how long a request is repeated, however often, while the server can't be reached or
    answers 503, as when it starts again; in seconds since that was first seen."""


class Repetition:
    """The repetitions of one request."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0
        self._away: Optional[float] = None

    def pause(self, failure: DevgateError) -> Optional[float]:
        """Returns how long to wait before the next attempt: a random part of a time that doubles
        ("full jitter"), or what the server asks for. None: there is no other attempt."""
        retry, asked = self._retry, failure.retry_after
        self._failures += 1
        too_long = asked is not None and asked > retry.longest_pause
        if retry.retries == 0 or too_long or _lasts(failure):
            return None
        away = _is_away(failure)
        longest = min(retry.longest_pause, _AWAY_PAUSE) if away else retry.longest_pause
        most = min(longest, retry.first_pause * 2.0 ** min(self._failures - 1, 60))
        wait = asked if asked is not None else random.random() * most
        now = time.monotonic()
        if away and self._away is None:
            self._away = now
        until = self._away + retry.patience if away and self._away is not None else now
        if self._failures > retry.retries and now + wait > until:
            return None
        return wait


def _causes(failure: BaseException) -> Iterator[BaseException]:
    cause: Optional[BaseException] = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_away(failure: DevgateError) -> bool:
    """Whether the server can't be reached, or says that it isn't ready. A name that is unknown
    is no sign of it."""
    if failure.status == 503:
        return True
    for cause in _causes(failure):
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return False
    said = failure.__cause__
    if isinstance(said, httpx.RemoteProtocolError):
        return str(said).startswith(("Server disconnected", "peer closed"))
    return isinstance(said, _LOST)


def _lasts(failure: DevgateError) -> bool:
    """Whether the same would fail again: a certificate isn't what it should be, say."""
    return any(
        isinstance(cause, ssl.SSLError) and not isinstance(cause, _BROKEN_OFF)
        for cause in _causes(failure)
    )


def may_pass(failure: DevgateError) -> bool:
    """Whether what failed can go well when it is tried again."""
    return isinstance(failure, (ConnectionFailed, TimedOut)) or failure.status in PASSING


def repeatable(method: str, headers: Mapping[str, str], whole_body: bool) -> bool:
    """Whether sending a request twice does no more than sending it once: it reads, deletes,
    replaces what its precondition names, sets something whole, or says by a key that it is the
    same one."""
    if method in ("GET", "HEAD", "DELETE"):
        return True
    names = {name.lower(): value for name, value in headers.items()}
    if method == "PUT":
        json = names.get("content-type", "").startswith("application/json")
        return whole_body and (json or "if-match" in names or "if-none-match" in names)
    return method == "POST" and whole_body and "idempotency-key" in names


def seconds(retry_after: Optional[str]) -> Optional[float]:
    """Reads ``Retry-After`` (RFC 9110 §10.2.3), in seconds from now."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):  # Python 3.9 has the first for what is no date
        return None
