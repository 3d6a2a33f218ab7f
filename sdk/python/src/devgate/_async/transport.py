"""Requests: one pool of connections, the token, time-outs, repetitions, errors."""

from __future__ import annotations

import json as encoding
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Optional, Union
from urllib.parse import quote, urlsplit

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException

from .._io_async import (
    Content,
    Socket,
    close_socket,
    connections,
    cut,
    limited,
    open_socket,
    pause,
    pieces,
)
from .._parsing import parsed
from .._retry import PASSING, Repetition, Retry, may_pass, repeatable, seconds
from .._settings import CONNECT, PIECE, Settings, may_have_token
from ..errors import ConnectionFailed, DevgateError, TimedOut, error_of

Body = Union[bytes, AsyncIterable[bytes]]

Query = Mapping[str, Union[str, bytes, int, float, bool, None]]

_MAX_PROBLEM = 256 * 1024
"""Longest body of an error that is read, in bytes."""

_MAX_MESSAGE = 64 * 1024 * 1024
"""Largest message of a WebSocket that is taken, in bytes."""

_LOCAL, _HERE = ".localhost", "127.0.0.1"
"""What RFC 6761 says is here, whatever the system's resolver knows of it."""

UNSET = -1.0
"""The time-out of the client."""


class AsyncTransport:
    """Sends requests."""

    def __init__(self, settings: Settings, timeout: float, retry: Retry) -> None:
        self._settings = settings
        self._timeout = timeout
        self._retry = retry
        self._client = connections(settings, _patience(timeout))
        self._sockets: set[Socket] = set()

    async def close(self) -> None:
        """Ends all connections, WebSockets included."""
        sockets, self._sockets = self._sockets, set()
        for socket in sockets:
            await close_socket(socket)
        await self._client.aclose()

    def repetition(self) -> Repetition:
        """Begins with something that may be tried several times."""
        return Repetition(self._retry)

    async def json(self, method: str, path: str, **sending: Any) -> Any:
        """Sends a request and returns JSON, or None where the answer is empty."""
        answer = await self.open(method, path, **sending)
        try:
            body = await answer.aread()
        except httpx.RequestError as error:
            raise _broken(f"{method} {path}", error, code="cut-off") from error
        finally:
            await answer.aclose()
        return parsed(body) if body else None

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, until: Optional[float] = None, **sending: Any
    ) -> AsyncIterator[httpx.Response]:
        """Sends a request for an answer that is read as it comes, and that breaks off ``until`` a
        time of ``time.monotonic``."""
        answer = await self.open(method, path, until=until, **sending)
        try:
            with limited(answer, until):
                yield answer
        except httpx.RequestError as error:
            raise _broken(f"{method} {path}", error, code="cut-off") from error
        finally:
            await answer.aclose()

    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Query] = None,
        headers: Optional[Mapping[str, Optional[str]]] = None,
        json: Any = None,
        content: Optional[Content] = None,
        timeout: Optional[float] = UNSET,
        until: Optional[float] = None,
        base: Optional[str] = None,
        again: Optional[bool] = None,
    ) -> httpx.Response:
        """Sends a request and returns an answer that doesn't refuse, and whose body is still to
        be read; closing it is the caller's. ``timeout`` is how long it may be silent, in
        seconds; None: for ever. ``base`` is where the token may go, an application's address
        with a slash at its end instead of the server's: ``path`` is below it. ``again`` says
        whether it is safe to repeat, whatever its method."""
        said = {name: value for name, value in (headers or {}).items() if value is not None}
        if json is not None:
            content = encoding.dumps(json)
            said["content-type"] = "application/json"
        elif content is not None:
            said.setdefault("content-type", "application/octet-stream")
        body: Optional[Body]
        if isinstance(content, str):
            body = content.encode()
        elif isinstance(content, (bytearray, memoryview)):
            body = bytes(content)
        else:
            body = content
        whole = body is None or isinstance(body, bytes)
        timeout = self._timeout if timeout == UNSET else timeout
        again = repeatable(method, said, whole) if again is None else again and whole
        repetition = self.repetition()
        attempts = 0
        while True:
            attempts += 1
            asked = f"{method} {urlsplit(path).path}"
            failure: DevgateError
            patience = _patience(timeout, until)
            request = self._request(method, path, query, said, body, patience, base)
            try:
                answer = await self._client.send(request, stream=True)
            except httpx.RequestError as error:
                failure = _broken(asked, error, attempts)
                failure.__cause__ = error
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if not (again or (unsent and whole)):
                    raise failure from error
            else:
                if answer.is_success:
                    return answer
                retry_after = seconds(answer.headers.get("retry-after"))
                problem = await _problem(answer)
                failure = error_of(answer.status_code, problem, asked, attempts, retry_after)
                if not (again and answer.status_code in PASSING):
                    raise failure
            wait = repetition.pause(failure)
            if wait is None or (until is not None and time.monotonic() + wait > until):
                raise failure
            await pause(wait)

    async def socket(self, path: str, query: Optional[Query] = None) -> Socket:
        """Opens a WebSocket, once the server has agreed. What is wanted of it is said later, so
        that this is repeated as anything that reads."""
        repetition = self.repetition()
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._open_socket(path, query, attempts)
            except DevgateError as failure:
                wait = repetition.pause(failure) if may_pass(failure) else None
                if wait is None:
                    raise
            await pause(wait)

    async def _open_socket(self, path: str, query: Optional[Query], attempts: int) -> Socket:
        url = self._url(path, query)
        scheme = "wss" if url.scheme == "https" else "ws"
        asked = f"GET {urlsplit(path).path}"
        try:
            socket = await open_socket(
                str(url.copy_with(scheme=scheme)),
                **({"host": _HERE} if url.host.endswith(_LOCAL) else {}),
                ssl=self._settings.tls if scheme == "wss" else None,
                additional_headers={"authorization": self._settings.authorization},
                open_timeout=CONNECT + self._timeout,
                compression=None,
                max_size=_MAX_MESSAGE,
                # A program that nobody reads is silent, and so would be its answers.
                ping_interval=None,
                close_timeout=2,
                proxy=None,
            )
        except InvalidStatus as error:
            answer = error.response
            problem = _json_or_none(bytes(answer.body or b""))
            retry_after = seconds(answer.headers.get("retry-after"))
            refusal = error_of(answer.status_code, problem, asked, attempts, retry_after)
            raise refusal from error
        except (WebSocketException, OSError) as error:
            text = str(error) or type(error).__name__
            raise ConnectionFailed(
                text, code="connection-failed", asked=asked, attempts=attempts
            ) from error
        self._sockets.add(socket)
        return socket

    def forget(self, socket: Socket) -> None:
        """Leaves the end of a WebSocket to whoever it is for."""
        self._sockets.discard(socket)

    def _request(
        self,
        method: str,
        path: str,
        query: Optional[Query],
        headers: Mapping[str, str],
        body: Optional[Body],
        patience: Optional[httpx.Timeout],
        base: Optional[str] = None,
    ) -> httpx.Request:
        url = self._url(path, query, base)
        extensions: dict[str, Any] = {}
        # Files come as they are.
        said = httpx.Headers(
            {"authorization": self._settings.authorization, "accept-encoding": "identity"}
        )
        said.update(headers)
        if url.host.endswith(_LOCAL):
            extensions["sni_hostname"] = url.host
            said["host"] = url.netloc.decode("ascii")
            url = url.copy_with(host=_HERE)
        content: Union[bytes, AsyncIterable[bytes], None] = None
        if isinstance(body, bytes):
            said["content-length"] = str(len(body))
            content = cut(body) if len(body) > PIECE else body
        elif body is not None:
            content = pieces(body)
        return self._client.build_request(
            method,
            url,
            headers=said,
            content=content,
            timeout=patience,
            extensions=extensions or None,
        )

    def _url(self, path: str, query: Optional[Query], base: Optional[str] = None) -> httpx.URL:
        """Returns where a request goes. Whatever its path says, the token stays below its base."""
        below = httpx.URL(base or f"{self._settings.origin}/")
        url = below.join(path)
        if not str(url).startswith(str(below)) or not may_have_token(below):
            raise ValueError(f"the token isn't sent to {url}, which isn't below {below}")
        chosen: dict[str, str] = {}
        raw: list[bytes] = []
        for name, value in (query or {}).items():
            if isinstance(value, bytes):
                raw.append(f"{name}={quote(value)}".encode())
            elif value is not None:
                chosen[name] = _word(value)
        if chosen:
            url = url.copy_merge_params(chosen)
        # At last: whatever is set after it makes UTF-8 of it.
        return url.copy_with(query=b"&".join([url.query, *raw]).lstrip(b"&")) if raw else url


def _patience(silence: Optional[float], until: Optional[float] = None) -> httpx.Timeout:
    connect = CONNECT
    if until is not None:
        left = max(0.001, until - time.monotonic())
        connect = min(connect, left)
        silence = left if silence is None else min(silence, left)
    return httpx.Timeout(silence, connect=connect, pool=None)


async def _problem(answer: httpx.Response) -> object:
    """Reads the body of an answer that refuses, so that its connection can be used again."""
    body = b""
    try:
        async for part in answer.aiter_raw():
            body += part
            if len(body) > _MAX_PROBLEM:
                break
    except httpx.RequestError:
        pass  # the status is enough
    finally:
        await answer.aclose()
    return _json_or_none(body)


def _json_or_none(body: bytes) -> object:
    try:
        return encoding.loads(body)
    except ValueError:
        return None


def _broken(
    asked: str, error: httpx.RequestError, attempts: int = 1, code: str = "connection-failed"
) -> Union[ConnectionFailed, TimedOut]:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(
            f"the server was silent for too long ({type(error).__name__})",
            code="timed-out",
            asked=asked,
            attempts=attempts,
        )
    return ConnectionFailed(text, code=code, asked=asked, attempts=attempts)


def _word(value: Union[str, int, float, bool]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
