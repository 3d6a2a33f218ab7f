"""What may be asked again, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Optional

PASSING = frozenset({429, 502, 503, 504})
"""Answers after which the same request can go well."""


@dataclass(frozen=True)
class Retry:
    """How failures that pass are met."""

    retries: int = 4
    """Most repetitions of one request; 0: none."""
    first_pause: float = 0.2
    """The first pause at most, in seconds; it doubles with each repetition."""
    longest_pause: float = 20.0
    """The longest pause, in seconds, also of a server that asks for more."""

    def pause(self, attempts: int, asked: Optional[float]) -> Optional[float]:
        """Returns how long to wait before the next attempt: a random part of a time that doubles
        ("full jitter"), or what the server asks for. None: there is no other attempt."""
        if attempts > self.retries or (asked is not None and asked > self.longest_pause):
            return None
        most = min(self.longest_pause, self.first_pause * 2.0 ** (attempts - 1))
        return asked if asked is not None else random.random() * most


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
