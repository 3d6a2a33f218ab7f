"""Streams of text, cut into lines."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from ..errors import ConnectionFailed

_MAX_LINE = 16 * 1024 * 1024
"""Longest line that is taken, in bytes: more is no answer of this API."""


async def lines(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yields the lines of a stream as they come, without their ends."""
    rest = b""
    async for part in stream:
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise ConnectionFailed("a line of the answer is too long", code="too-long")
        for line in whole:
            yield line[:-1] if line.endswith(b"\r") else line
    if rest:
        yield rest


@dataclass
class ServerEvent:
    """One of the Server-Sent Events of a stream."""

    id: str
    name: str
    data: str


async def server_events(stream: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """Yields Server-Sent Events; one that the end cut off is none."""
    id = ""
    name = "message"
    data: list[str] = []
    async for line in lines(stream):
        if not line:
            if data:
                yield ServerEvent(id, name, "\n".join(data))
            name = "message"
            data = []
            continue
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
