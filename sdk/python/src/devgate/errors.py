"""What goes wrong, as errors that programs can tell apart.

Every answer that refuses is a problem (RFC 9457) with a stable ``code``; the class follows from
the status, so that a program need not know all codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

__all__ = [
    "DevgateError",
    "BadRequest",
    "SignedOut",
    "Denied",
    "NotFound",
    "Conflict",
    "LimitReached",
    "PreconditionFailed",
    "TooManyRequests",
    "Unavailable",
    "ConnectionFailed",
    "TimedOut",
    "Failed",
]


class DevgateError(Exception):
    """Anything that this library raises by itself."""

    status: int
    """The HTTP status; 0 where there was no answer."""
    code: str
    """A stable word for programs."""
    detail: str
    """A sentence for people that says what to do next."""
    problem: Mapping[str, Any]
    """All that the server said: ``offset`` of ``wrong-offset``, say."""
    asked: Optional[str]
    """The request, where there was one."""
    attempts: int
    """How often it was sent."""
    retry_after: Optional[float]
    """How long the server asks to wait before another attempt, in seconds."""

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int = 0,
        problem: Optional[Mapping[str, Any]] = None,
        asked: Optional[str] = None,
        attempts: int = 1,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(f"{asked}: {detail} ({code})" if asked else f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.problem = problem or {}
        self.asked = asked
        self.attempts = attempts
        self.retry_after = retry_after


class BadRequest(DevgateError):
    """The request is wrong as it is: 400, 413, 415, 422 and the like."""


class SignedOut(DevgateError):
    """Nobody is signed in: the token is missing, wrong, over or revoked. 401."""


class Denied(DevgateError):
    """The token or its user may not do this. 403."""


class NotFound(DevgateError):
    """It isn't there, or the caller may not see it. 404."""


class Conflict(DevgateError):
    """It doesn't go with how things are now: a taken name, a workspace that doesn't run. 409."""


class LimitReached(Conflict):
    """There would be more than there may be: workspaces, processors, memory, disk. 409, 507."""


class PreconditionFailed(DevgateError):
    """The file isn't the one that the request was about. 412."""


class TooManyRequests(DevgateError):
    """Too many requests; ``retry_after`` says for how long to wait, where the server does. 429."""


class Unavailable(DevgateError):
    """The server, or the workspace, can't answer just now. 502, 503, 504."""


class ConnectionFailed(DevgateError):
    """There was no answer, or it broke off."""


class TimedOut(DevgateError):
    """It took longer than it was given."""


class Failed(DevgateError):
    """What was waited for will not come: a workspace or a snapshot has failed."""


_BY_STATUS: dict[int, type[DevgateError]] = {
    401: SignedOut,
    403: Denied,
    404: NotFound,
    408: TimedOut,
    409: Conflict,
    410: NotFound,
    412: PreconditionFailed,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: LimitReached,
}


def error_of(
    status: int,
    said: object,
    asked: Optional[str] = None,
    attempts: int = 1,
    retry_after: Optional[float] = None,
) -> DevgateError:
    """Returns the error that an answer is. One without a whole problem, as of a proxy on the
    way, is completed."""
    problem: Mapping[str, Any] = said if isinstance(said, dict) else {}

    def text(name: str, default: str) -> str:
        value = problem.get(name)
        return value if isinstance(value, str) else default

    code = text("code", f"http-{status}")
    if status == 409 and code.endswith("-limit"):
        kind: type[DevgateError] = LimitReached
    else:
        other = BadRequest if 400 <= status < 500 else DevgateError
        kind = _BY_STATUS.get(status, other)
    detail = text("detail", f"the server answered {status} and didn't say why")
    return kind(
        detail,
        code=code,
        status=status,
        problem=problem,
        asked=asked,
        attempts=attempts,
        retry_after=retry_after,
    )
