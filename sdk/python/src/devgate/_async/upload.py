"""Uploads in pieces, which a broken connection only interrupts."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from .._io_async import in_thread, pause
from .._path import FilePath, asked, named
from ..errors import Conflict, ConnectionFailed, Denied, NotFound, TimedOut, Unavailable
from ..models import Entry, Upload
from .transport import AsyncTransport

_TRIES = 8
"""How often in a row a piece, or the end, may fail."""

_PAUSE = 0.2
"""The first pause after what failed, in seconds; it doubles."""


@dataclass(frozen=True)
class Progress:
    """How far an upload is."""

    id: str
    sent: int
    size: int


class _Reading:
    """Reads what is uploaded, and takes its SHA-256 as it goes."""

    def __init__(self, source: Union[bytes, Path]) -> None:
        self._file = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        self.size = self._file.seek(0, 2)
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._last = (0, b"")

    def read(self, at: int, most: int) -> bytes:
        self._file.seek(at)
        piece = self._file.read(min(most, self.size - at))
        if not piece:
            raise ValueError("the file has become shorter while it was uploaded: upload it again")
        self._last = (at, piece)
        return piece

    def hash_to(self, end: int) -> None:
        """Takes into the digest what is before a place."""
        while self._hashed < end:
            at, piece = self._last
            if not at <= self._hashed < at + len(piece):
                at, piece = self._hashed, self.read(self._hashed, 1024 * 1024)
            part = memoryview(piece)[self._hashed - at :][: end - self._hashed]
            self._hash.update(part)
            self._hashed += len(part)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()


async def upload(
    transport: AsyncTransport,
    files: str,
    source: Union[bytes, Path],
    path: FilePath,
    wanted: Mapping[str, Any],
    durable: bool,
    piece_size: int,
    resume: Optional[str],
    on_progress: Optional[Callable[[Progress], None]],
) -> Entry:
    """Uploads a file."""
    base = f"{files}/uploads"
    reading = _Reading(source)
    try:
        if resume is None:
            body = {name: value for name, value in wanted.items() if value is not None}
            body = {**body, **named(path), "size": reading.size}
            # One that nobody goes on with is given up by the server.
            said = await transport.json("POST", base, json=body, again=True)
        else:
            said = await transport.json("GET", f"{base}/{quote(resume, safe='')}")
        state = Upload.model_validate(said)
        if state.size != reading.size:
            raise ValueError(
                f"the upload {state.id} is of {state.size} bytes, and this has {reading.size}"
            )
        one = f"{base}/{quote(state.id, safe='')}"
        at = state.offset
        await in_thread(reading.hash_to, at)
        while at < reading.size:
            if on_progress is not None:
                on_progress(Progress(state.id, at, reading.size))
            piece = await in_thread(reading.read, at, piece_size)
            at = await _send(transport, one, at, piece)
            await in_thread(reading.hash_to, at)
        if on_progress is not None:
            on_progress(Progress(state.id, at, reading.size))
        ending = {"sha256": reading.digest(), "durable": durable}
        # What the server says of a path is text, and so less than what isn't UTF-8.
        place = state.path if isinstance(asked(path), str) else path
        return await _complete(transport, files, (state, place), ending)
    finally:
        reading.close()


async def _complete(
    transport: AsyncTransport,
    files: str,
    uploaded: tuple[Upload, FilePath],
    ending: Mapping[str, Any],
) -> Entry:
    """Gives an upload its name. Where the answer to that is lost, the file says whether it has
    it."""
    state, path = uploaded
    where = f"{files}/uploads/{quote(state.id, safe='')}/complete"
    before = await _there(transport, files, path)
    try:
        said = await transport.json("POST", where, json=ending, timeout=None, again=True)
        return Entry.model_validate(said)
    except (NotFound, ConnectionFailed) as error:
        lost = error.attempts > 1 and error.code == "no-upload"
        if not lost and error.code != "cut-off":
            raise
        now = await _there(transport, files, path)
        if now is None or now.kind != "file" or now.size != state.size:
            raise
        if before is not None and before.etag == now.etag:
            raise
        return now


async def _there(transport: AsyncTransport, files: str, path: FilePath) -> Optional[Entry]:
    """Shows what is at a path, if something is and the token may see it."""
    try:
        said = await transport.json("GET", f"{files}/stat", query={"path": asked(path)})
    except (NotFound, Denied):
        return None
    return Entry.model_validate(said)


async def _send(transport: AsyncTransport, one: str, at: int, piece: bytes) -> int:
    """Sends a piece until the server has it or some of it, and returns where the next begins."""
    tries = 0
    while True:
        tries += 1
        try:
            headers = {"upload-offset": str(at)}
            said = await transport.json("PATCH", one, headers=headers, content=piece, timeout=None)
            return Upload.model_validate(said).offset
        except Conflict as error:
            offset = error.problem.get("offset")
            if not isinstance(offset, int) or offset == at:
                raise
            return offset
        except (ConnectionFailed, TimedOut, Unavailable):
            if tries >= _TRIES:
                raise
        await pause(random.random() * _PAUSE * 2.0**tries)
        # What came before the cut counts.
        there = Upload.model_validate(await transport.json("GET", one)).offset
        if there != at:
            return there
