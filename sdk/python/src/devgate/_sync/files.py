"""Files of a workspace."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from .._io_sync import Content, in_thread
from .._parsing import parsed
from .._path import FilePath, asked, named, shown
from ..errors import ConnectionFailed, Failed, NotFound
from ..models import Entry, FileLine, GitStatus, ProcessResult, SearchEnd, Unpacked
from .lines import lines
from .transport import UNSET, Transport
from .upload import Progress, upload

Local = Union[str, "os.PathLike[str]"]


class Search:
    """Results as they are found; ``end`` is there once all were."""

    end: Optional[SearchEnd] = None

    def __init__(self, results: Callable[[Search], Iterator[Any]]) -> None:
        self._results = results

    def __iter__(self) -> Iterator[Any]:
        return self._results(self)


class Files:
    """The files of one workspace. Relative paths begin at the home. A path is also what tells of a
    file, or bytes: not every name is UTF-8."""

    def __init__(self, transport: Transport, id: str) -> None:
        self._transport = transport
        self._workspace = f"/api/v1/workspaces/{quote(id, safe='')}"
        self._base = f"{self._workspace}/files"

    def stat(self, path: FilePath, *, follow: bool = True) -> Entry:
        """Shows a file or folder."""
        query = {"path": asked(path), "follow": follow}
        said = self._transport.json("GET", f"{self._base}/stat", query=query)
        return Entry.model_validate(said)

    def exists(self, path: FilePath) -> bool:
        """Whether there is something."""
        try:
            self.stat(path, follow=False)
        except NotFound:
            return False
        return True

    def list(self, path: FilePath = "") -> Iterator[Entry]:
        """Yields what is in a folder, by name."""
        cursor: Optional[str] = None
        while True:
            query = {"path": asked(path), "limit": 1000, "cursor": cursor}
            page = self._transport.json("GET", f"{self._base}/list", query=query)
            for item in page["items"]:
                yield Entry.model_validate(item)
            cursor = page.get("next")
            if cursor is None:
                return

    def read(
        self, path: FilePath, *, start: Optional[int] = None, end: Optional[int] = None
    ) -> Iterator[bytes]:
        """Yields a file's bytes as they come, from byte ``start`` to before byte ``end``."""
        with self._transport.stream("GET", **self._content(path, start, end)) as answer:
            for part in answer.iter_raw():
                yield part

    def read_bytes(
        self, path: FilePath, *, start: Optional[int] = None, end: Optional[int] = None
    ) -> bytes:
        """Reads a whole file into memory."""
        with self._transport.stream("GET", **self._content(path, start, end)) as answer:
            return answer.read()

    def read_text(self, path: FilePath) -> str:
        """Reads a whole file into memory, as UTF-8."""
        return (self.read_bytes(path)).decode()

    def download(self, path: FilePath, local: Local) -> None:
        """Copies a file to one of this machine, which appears once it is whole. What breaks off
        goes on from where it was, as long as the file is still the same."""
        part = f"{os.fspath(local)}.{secrets.token_hex(6)}.part"
        try:
            with open(part, "xb") as file:  # noqa: ASYNC230
                for piece in self._resumed(path):
                    in_thread(file.write, piece)
            os.replace(part, local)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise

    def write(
        self,
        path: FilePath,
        content: Content,
        *,
        mode: Optional[str] = None,
        parents: bool = False,
        if_match: Optional[str] = None,
        create: bool = False,
        digest: Optional[str] = None,
        durable: bool = False,
    ) -> Entry:
        """Writes a file, all or nothing.

        With ``if_match`` (an ``etag``) it writes only over that very file, with ``create`` only
        where there is nothing yet; then it is safe to repeat, and is. ``digest`` is a
        ``Content-Digest`` that what arrives must have. With ``durable`` it answers only once it
        would survive a power failure.
        """
        said = self._transport.json(
            "PUT",
            f"{self._base}/content",
            query={"path": asked(path), "mode": mode, "parents": parents, "durable": durable},
            headers={
                "if-match": if_match,
                "if-none-match": "*" if create else None,
                "content-digest": digest,
            },
            content=content,
        )
        return Entry.model_validate(said)

    def append(
        self, path: FilePath, content: Content, *, parents: bool = False, durable: bool = False
    ) -> Entry:
        """Appends to a file, which is made where it is missing."""
        query = {"path": asked(path), "parents": parents, "durable": durable}
        where = f"{self._base}/append"
        said = self._transport.json("POST", where, query=query, content=content)
        return Entry.model_validate(said)

    def upload(
        self,
        path: FilePath,
        source: Union[bytes, bytearray, memoryview, Local],
        *,
        mode: Optional[str] = None,
        parents: bool = False,
        durable: bool = False,
        piece_size: int = 8 * 1024 * 1024,
        resume: Optional[str] = None,
        on_progress: Optional[Callable[[Progress], None]] = None,
    ) -> Entry:
        """Copies a file of this machine, or bytes, in pieces. What breaks off goes on from where
        the server has it; the whole is compared by its SHA-256. ``resume`` is the id of an
        upload that was begun before, as ``on_progress`` was told it."""
        return upload(
            self._transport,
            self._base,
            Path(source) if isinstance(source, (str, os.PathLike)) else bytes(source),
            path,
            {"mode": mode, "parents": parents},
            durable,
            piece_size,
            resume,
            on_progress,
        )

    def make_folder(
        self, path: FilePath, *, mode: Optional[str] = None, parents: bool = False
    ) -> Entry:
        """Makes a folder. With ``parents`` also those above it, and one that is there is fine."""
        return self._change("folder", {**named(path), "mode": mode, "parents": parents})

    def move(self, source: FilePath, to: FilePath, *, overwrite: bool = False) -> Entry:
        """Moves or renames. ``to`` is the thing's own new path."""
        body = {**named(source, "from"), **named(to, "to"), "overwrite": overwrite}
        return self._change("move", body, timeout=None)

    def copy(self, source: FilePath, to: FilePath, *, overwrite: bool = False) -> Entry:
        """Copies, folders with all that is in them."""
        body = {**named(source, "from"), **named(to, "to"), "overwrite": overwrite}
        return self._change("copy", body, timeout=None)

    def set_mode(self, path: FilePath, mode: str, *, recursive: bool = False) -> Entry:
        """Sets permissions: ``0755``."""
        body = {**named(path), "mode": mode, "recursive": recursive}
        return self._change("mode", body, timeout=None)

    def link(self, path: FilePath, target: str) -> Entry:
        """Makes a symbolic link."""
        return self._change("link", {**named(path), "target": target})

    def delete(self, path: FilePath, *, recursive: bool = False) -> None:
        """Deletes; a folder that has something in it with ``recursive`` only."""
        query = {"path": asked(path), "recursive": recursive}
        gone(self._transport, self._base, query, timeout=None)

    def download_tree(
        self, path: FilePath, *, format: str = "tar", unreadable: Optional[str] = None
    ) -> Iterator[bytes]:
        """Yields a folder as an archive: ``tar``, ``tar.gz`` or ``zip``.

        What may not be read has it refused, or, with ``unreadable="skip"``, is left out.
        """
        query = {"path": asked(path), "format": format, "unreadable": unreadable}
        where = f"{self._base}/tree"
        with self._transport.stream("GET", where, query=query, timeout=None) as answer:
            for part in answer.iter_raw():
                yield part

    def upload_tree(self, path: FilePath, archive: Content, *, format: str = "tar") -> Unpacked:
        """Unpacks an archive into a folder."""
        query = {"path": asked(path), "format": format}
        where = f"{self._base}/tree"
        said = self._transport.json("PUT", where, query=query, content=archive, timeout=None)
        return Unpacked.model_validate(said)

    def find(
        self,
        path: FilePath = "",
        *,
        name: Optional[str] = None,
        kind: Optional[str] = None,
        hidden: bool = False,
        ignored: bool = False,
        limit: Optional[int] = None,
    ) -> Search:
        """Finds files by their names, a glob. Yields ``Entry``."""
        query = {
            "path": asked(path),
            "name": name,
            "kind": kind,
            "hidden": hidden,
            "ignored": ignored,
            "limit": limit,
        }
        return Search(lambda search: self._search("find", query, Entry, search))

    def grep(
        self,
        path: FilePath,
        pattern: str,
        *,
        glob: Optional[str] = None,
        ignore_case: bool = False,
        fixed: bool = False,
        hidden: bool = False,
        ignored: bool = False,
        context: Optional[int] = None,
        limit: Optional[int] = None,
    ) -> Search:
        """Finds lines by a regular expression. Yields ``FileLine``."""
        query = {
            "path": asked(path),
            "pattern": pattern,
            "glob": glob,
            "ignore_case": ignore_case,
            "fixed": fixed,
            "hidden": hidden,
            "ignored": ignored,
            "context": context,
            "limit": limit,
        }
        return Search(lambda search: self._search("grep", query, FileLine, search))

    def git_status(self, path: str = "") -> GitStatus:
        """Shows how a git repository is."""
        where = f"{self._workspace}/git/status"
        said = self._transport.json("GET", where, query={"path": path})
        return GitStatus.model_validate(said)

    def git_clone(
        self,
        url: str,
        path: Optional[str] = None,
        *,
        branch: Optional[str] = None,
        depth: Optional[int] = None,
    ) -> None:
        """Clones a git repository into a folder, without ``path`` one of the home that is called
        as it is, and waits until it is there. When this is cancelled, git ends."""
        wanted = {"url": url, "path": path, "branch": branch, "depth": depth}
        said = self._transport.json(
            "POST",
            f"{self._workspace}/git/clone",
            query={"wait": True, "attached": True},
            json={name: value for name, value in wanted.items() if value is not None},
            timeout=None,
        )
        result = ProcessResult.model_validate(said)
        if result.process.exit_code != 0:
            raise Failed(result.stderr.strip() or "git didn't say why", code="clone-failed")

    def _change(
        self, what: str, asked: Mapping[str, Any], timeout: Optional[float] = UNSET
    ) -> Entry:
        body = {name: value for name, value in asked.items() if value is not None}
        where = f"{self._base}/{what}"
        said = self._transport.json("POST", where, json=body, timeout=timeout)
        return Entry.model_validate(said)

    def _search(
        self, what: str, query: Mapping[str, Any], kind: Any, search: Search
    ) -> Iterator[Any]:
        where = f"{self._base}/{what}"
        with self._transport.stream("GET", where, query=query, timeout=None) as answer:
            for line in lines(answer.iter_raw()):
                said = parsed(line)
                if "done" in said:
                    search.end = SearchEnd.model_validate(said)
                    return
                yield kind.model_validate(said)
        text = "the search was cut off before its end: narrow it, or try again"
        raise ConnectionFailed(text, code="cut-off")

    def _content(
        self, path: FilePath, start: Optional[int] = None, end: Optional[int] = None
    ) -> dict[str, Any]:
        ranged = start is not None or end is not None
        last = "" if end is None else end - 1
        return {
            "path": f"{self._base}/content",
            "query": {"path": asked(path)},
            "headers": {"range": f"bytes={start or 0}-{last}" if ranged else None},
        }

    def _resumed(self, path: FilePath) -> Iterator[bytes]:
        """Yields a file's bytes, asking again for what is missing where an answer breaks off."""
        at, etag, tries = 0, "", 0
        while True:
            sending = self._content(path)
            if at > 0:
                sending["headers"] = {"range": f"bytes={at}-", "if-range": etag}
            begun = False
            try:
                with self._transport.stream("GET", **sending) as answer:
                    begun = True
                    if at > 0 and answer.status_code != 206:
                        text = f"{shown(path)} has changed while it was read: read it again"
                        raise ConnectionFailed(text, code="changed")
                    etag = answer.headers.get("etag", "")
                    for part in answer.iter_raw():
                        at += len(part)
                        tries = 0
                        yield part
                    return
            except ConnectionFailed as error:
                tries += 1
                if not begun or error.code == "changed" or tries > 3 or not etag:
                    raise


def gone(
    transport: Transport, path: str, query: Optional[Mapping[str, Any]] = None, **more: Any
) -> None:
    """Deletes. One that was repeated may find that its first attempt was enough."""
    try:
        transport.json("DELETE", path, query=query, **more)
    except NotFound as error:
        if error.attempts == 1:
            raise
