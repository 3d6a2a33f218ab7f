"""Requests: one pool of connections, the token, time-outs, repetitions, errors."""

from __future__ import annotations

import json as encoding
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Optional, Union
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException

from .._io_async import Content, Socket, connections, open_socket, pause, pieces
from .._retry import PASSING, Retry, repeatable
from .._settings import CONNECT, Settings
from ..errors import ConnectionFailed, TimedOut, error_of

Query = Mapping[str, Union[str, int, float, bool, None]]

_MAX_PROBLEM = 256 * 1024
"""Longest body of an error that is read, in bytes."""

_MAX_MESSAGE = 64 * 1024 * 1024
"""Largest message of a WebSocket that is taken, in bytes."""

UNSET = -1.0
"""The time-out of the client."""


class AsyncTransport:
    """Sends requests."""

    def __init__(self, settings: Settings, timeout: float, retry: Retry) -> None:
        self._settings = settings
        self._timeout = timeout
        self._retry = retry
        self._client = connections(settings, self._patience(timeout))

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.aclose()

    async def json(self, method: str, path: str, **sending: Any) -> Any:
        """Sends a request and returns JSON, or None where the answer is empty."""
        answer = await self.open(method, path, **sending)
        try:
            body = await answer.aread()
        except httpx.TransportError as error:
            raise _broken(f"{method} {path}", error) from error
        finally:
            await answer.aclose()
        return encoding.loads(body) if body else None

    @asynccontextmanager
    async def stream(self, method: str, path: str, **sending: Any) -> AsyncIterator[httpx.Response]:
        """Sends a request for an answer that is read as it comes."""
        answer = await self.open(method, path, **sending)
        try:
            yield answer
        except httpx.TransportError as error:
            raise _broken(f"{method} {path}", error) from error
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
    ) -> httpx.Response:
        """Sends a request and returns an answer that doesn't refuse, and whose body is still to
        be read; closing it is the caller's. ``timeout`` is how long it may be silent, in
        seconds; None: for ever."""
        said = {name: value for name, value in (headers or {}).items() if value is not None}
        if json is not None:
            content = encoding.dumps(json)
            said["content-type"] = "application/json"
        elif content is not None:
            said.setdefault("content-type", "application/octet-stream")
        whole = content is None or isinstance(content, (bytes, bytearray, str))
        again = repeatable(method, said, whole)
        attempts = 0
        while True:
            attempts += 1
            asked = f"{method} {urlsplit(path).path}"
            retry_after: Optional[str] = None
            failure: Exception
            try:
                request = self._request(method, path, query, said, content, timeout)
                answer = await self._client.send(request, stream=True)
            except httpx.TransportError as error:
                failure = _broken(asked, error, attempts)
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if not (again or (unsent and whole)):
                    raise failure from error
            else:
                if answer.is_success:
                    return answer
                retry_after = answer.headers.get("retry-after")
                failure = error_of(answer.status_code, await _problem(answer), asked, attempts)
                if not (again and answer.status_code in PASSING):
                    raise failure
            wait = self._retry.pause(attempts, retry_after)
            if wait is None:
                raise failure
            await pause(wait)

    async def socket(self, path: str, query: Optional[Query] = None) -> Socket:
        """Opens a WebSocket, once the server has agreed."""
        request = self._request("GET", path, query, {}, None, UNSET)
        scheme = "wss" if request.url.scheme == "https" else "ws"
        asked = f"GET {urlsplit(path).path}"
        try:
            return await open_socket(
                str(request.url.copy_with(scheme=scheme)),
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
            body = error.response.body or b""
            raise error_of(error.response.status_code, _parsed(bytes(body)), asked) from error
        except (WebSocketException, OSError) as error:
            text = str(error) or type(error).__name__
            raise ConnectionFailed(text, code="connection-failed", asked=asked) from error

    def _request(
        self,
        method: str,
        path: str,
        query: Optional[Query],
        headers: Mapping[str, str],
        content: Optional[Content],
        timeout: Optional[float],
    ) -> httpx.Request:
        url = httpx.URL(self._settings.origin).join(path)
        chosen = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        if chosen:
            url = url.copy_merge_params(chosen)
        extensions: dict[str, Any] = {}
        said = dict(headers)
        if url.host.endswith(".localhost"):
            # RFC 6761 says where that is, whatever the system's resolver knows of it.
            extensions["sni_hostname"] = url.host
            said["host"] = url.netloc.decode("ascii")
            url = url.copy_with(host="127.0.0.1")
        if content is not None and not isinstance(content, (bytes, bytearray, str)):
            content = pieces(content)
        return self._client.build_request(
            method,
            url,
            headers=said,
            content=content,
            timeout=self._patience(self._timeout if timeout == UNSET else timeout),
            extensions=extensions or None,
        )

    @staticmethod
    def _patience(seconds: Optional[float]) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=CONNECT, pool=None)


async def _problem(answer: httpx.Response) -> object:
    """Reads the body of an answer that refuses, so that its connection can be used again."""
    body = b""
    try:
        async for part in answer.aiter_raw():
            body += part
            if len(body) > _MAX_PROBLEM:
                break
    except httpx.TransportError:
        pass  # the status is enough
    finally:
        await answer.aclose()
    return _parsed(body)


def _parsed(body: bytes) -> object:
    try:
        return encoding.loads(body)
    except ValueError:
        return None


def _broken(
    asked: str, error: httpx.TransportError, attempts: int = 1
) -> Union[ConnectionFailed, TimedOut]:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(
            f"the server was silent for too long ({type(error).__name__})",
            code="timed-out",
            asked=asked,
            attempts=attempts,
        )
    return ConnectionFailed(text, code="connection-failed", asked=asked, attempts=attempts)


def _word(value: Union[str, int, float, bool]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
