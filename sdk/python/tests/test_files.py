"""Files: what comes and goes in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import ENTRY, Asked, Server

from devgate import AsyncDevgate, ConnectionFailed, Devgate, NotFound, Retry
from devgate._async.files import AsyncFiles
from devgate._async.lines import lines, server_events
from devgate._async.watch import AsyncWatch
from devgate._sync.files import Files
from devgate._sync.watch import Watch
from devgate.models import Entry

Serving = Callable[[Callable[[Asked], None]], Server]

QUICK = Retry(first_pause=0.001)


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_lines_are_whole_however_a_stream_is_cut() -> None:
    async def main() -> list[bytes]:
        cut = stream(b"a\nb", b"c\r\n", b"\xe2", b"\x82\xac", b"\n\nlast")
        return [line async for line in lines(cut)]

    assert asyncio.run(main()) == [b"a", b"bc", "€".encode(), b"", b"last"]


def test_an_event_that_the_end_cuts_off_is_none() -> None:
    async def main() -> list[tuple[str, str, str]]:
        cut = stream(b": hello\n\nid: 1\nevent: change\nda", b"ta: a\ndata: b\n\nid: 2\ndata: half")
        return [(one.id, one.name, one.data) async for one in server_events(cut)]

    assert asyncio.run(main()) == [("1", "change", "a\nb")]


def test_a_file_is_read_as_it_comes_and_leaving_it_ends_the_request(serving: Serving) -> None:
    ended = threading.Event()

    def answer(asked: Asked) -> None:
        asked.begin()
        try:
            while True:  # whoever wanted all of it would wait for ever
                asked.wfile.write(bytes(65536))
        except OSError:
            ended.set()

    server = serving(answer)
    with Devgate(server.url, "t") as devgate:
        size = 0
        reading = Files(devgate._transport, "w").read("endless")
        for part in reading:
            size += len(part)
            if size > 1_000_000:
                break
        reading.close()  # type: ignore[attr-defined]
        assert ended.wait(10)
    assert size < 10_000_000


def test_a_file_is_written_as_it_comes(serving: Serving) -> None:
    server = serving(lambda asked: asked.say(201, ENTRY))

    async def main() -> None:
        async with AsyncDevgate(server.url, "t") as devgate:
            files = AsyncFiles(devgate._transport, "w")
            await files.write("a b/é", stream(b"one", b"two"), mode="0755")

    asyncio.run(main())
    with Devgate(server.url, "t") as devgate:
        Files(devgate._transport, "w").write("a b/é", iter([b"one", b"two"]), mode="0755")
    for asked in server.asked:
        assert asked.headers["transfer-encoding"] == "chunked"
        assert asked.body == b"onetwo"
        start = "/api/v1/workspaces/w/files/content?path=a%20b%2F%C3%A9&mode=0755"
        assert asked.path.replace("+", "%20").startswith(start)
    assert len(server.asked) == 2


class Uploads:
    """Takes an upload, and breaks off in its midst."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.there = b""
        self.pieces = 0
        self.completed = ""

    def answer(self, asked: Asked) -> None:
        if asked.command == "PATCH":
            self.pieces += 1
            if int(asked.headers["upload-offset"]) != len(self.there):
                problem = {"code": "wrong-offset", "detail": "", "offset": len(self.there)}
                asked.say(409, problem)
                return
            if self.pieces == 2:
                self.there += asked.body[:500]  # half of it came
                asked.cut()
                return
            self.there += asked.body
            if self.pieces == 4:
                asked.cut()  # and the answer is lost
                return
        elif asked.path.endswith("/complete"):
            self.completed = json.loads(asked.body)["sha256"]
            asked.say(200, {**ENTRY, "size": len(self.there)})
            return
        elif "/stat?" in asked.path:
            asked.refuse(404, "not-found")
            return
        asked.say(200, self.state())

    def state(self) -> dict[str, Any]:
        return {
            "id": "u",
            "path": "/a",
            "size": len(self.content),
            "offset": len(self.there),
            "expires_at": "2026-01-01T00:00:00Z",
        }


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_an_upload_goes_on_where_it_was_cut_off(
    serving: Serving, tmp_path: Path, kind: str
) -> None:
    uploads = Uploads(bytes(index % 251 for index in range(10_000)))
    server = serving(uploads.answer)
    file = tmp_path / "file"
    file.write_bytes(uploads.content)
    told: list[int] = []
    more: dict[str, Any] = {"piece_size": 1000, "on_progress": lambda it: told.append(it.sent)}

    async def main() -> int:
        async with AsyncDevgate(server.url, "t", retry=QUICK) as devgate:
            files = AsyncFiles(devgate._transport, "w")
            return (await files.upload("a", file, **more)).size

    if kind == "async":
        size = asyncio.run(main())
    else:
        with Devgate(server.url, "t", retry=QUICK) as devgate:
            size = Files(devgate._transport, "w").upload("a", file, **more).size
    assert size == 10_000
    assert uploads.there == uploads.content
    assert uploads.completed == hashlib.sha256(uploads.content).hexdigest()
    assert told[:3] == [0, 1000, 1500] and told[-1] == 10_000


def test_an_upload_that_was_begun_before_is_gone_on_with(serving: Serving) -> None:
    uploads = Uploads(b"0123456789")
    uploads.there = b"0123456"
    server = serving(uploads.answer)
    with Devgate(server.url, "t") as devgate:
        Files(devgate._transport, "w").upload("a", uploads.content, resume="u")
    assert uploads.there == uploads.content
    assert uploads.completed == hashlib.sha256(uploads.content).hexdigest()
    assert [asked.command for asked in server.asked] == ["GET", "PATCH", "GET", "POST"]


@pytest.mark.parametrize("etag", ['"1"', '"2"'])
def test_an_upload_has_succeeded_whose_last_answer_was_lost_where_the_file_is_new(
    serving: Serving, etag: str
) -> None:
    uploads = Uploads(b"abc")
    completions = 0

    def answer(asked: Asked) -> None:
        nonlocal completions
        if asked.path.endswith("/complete"):
            completions += 1
            if completions == 1:
                asked.cut()
            else:
                asked.refuse(404, "no-upload")
        elif asked.path.endswith("/files/stat?path=%2Fa"):
            tag = etag if completions else '"1"'
            asked.say(200, {**ENTRY, "size": 3, "etag": tag})
        else:
            uploads.answer(asked)

    server = serving(answer)
    with Devgate(server.url, "t", retry=QUICK) as devgate:
        files = Files(devgate._transport, "w")
        if etag == '"2"':
            assert files.upload("a", b"abc").etag == etag
        else:
            with pytest.raises(NotFound):
                files.upload("a", b"abc")
    assert completions == 2


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_what_a_list_tells_of_can_be_read_shown_and_deleted_whatever_bytes_its_name_has(
    serving: Serving, kind: str
) -> None:
    paths: list[str] = []

    def answer(asked: Asked) -> None:
        _, rest = asked.path.split("/workspaces/w/files")
        if rest.startswith("/list"):
            odd = {"path": "/home/\ufffd +%41", "raw_path": "/home/%FF%20%2B%2541"}
            items = [{**ENTRY, **odd}, {**ENTRY, "path": "/home/%41"}]
            asked.say(200, {"items": items, "next": None})
            return
        paths.append(f"{asked.command} {rest}")
        if asked.command == "DELETE":
            asked.say(204)
        else:
            asked.say(200, ENTRY)

    async def main(url: str) -> None:
        async with AsyncDevgate(url, "t") as devgate:
            files = AsyncFiles(devgate._transport, "w")
            async for entry in files.list():
                await files.stat(entry, follow=False)
                await files.read_bytes(entry)
                await files.delete(entry)
            await files.read_bytes(b"/\xff")
            await files.read_bytes(b"/\xff".decode("utf-8", "surrogateescape"))

    server = serving(answer)
    if kind == "async":
        asyncio.run(main(server.url))
    else:
        with Devgate(server.url, "t") as devgate:
            files = Files(devgate._transport, "w")
            for entry in files.list():
                files.stat(entry, follow=False)
                files.read_bytes(entry)
                files.delete(entry)
            files.read_bytes(b"/\xff")
            files.read_bytes(b"/\xff".decode("utf-8", "surrogateescape"))
    assert paths == [
        "GET /stat?follow=false&path=/home/%FF%20%2B%2541",
        "GET /content?path=/home/%FF%20%2B%2541",
        "DELETE ?recursive=false&path=/home/%FF%20%2B%2541",
        "GET /stat?path=%2Fhome%2F%2541&follow=false",
        "GET /content?path=%2Fhome%2F%2541",
        "DELETE ?path=%2Fhome%2F%2541&recursive=false",
        "GET /content?path=/%FF",
        "GET /content?path=/%FF",
    ]


def test_a_download_goes_on_where_it_was_cut_off_unless_the_file_has_changed(
    serving: Serving, tmp_path: Path
) -> None:
    changed = False

    def answer(asked: Asked) -> None:
        if len(server.asked) == 1:
            asked.send_response(200)
            asked.send_header("etag", '"1"')
            asked.send_header("content-length", "10")
            asked.end_headers()
            asked.wfile.write(b"01234")
            asked.cut()
        elif changed:
            asked.begin(200, etag='"2"')
            asked.wfile.write(b"another one")
        else:
            assert asked.headers["range"] == "bytes=5-"
            assert asked.headers["if-range"] == '"1"'
            asked.begin(206, etag='"1"')
            asked.wfile.write(b"56789")

    server = serving(answer)
    file = tmp_path / "file"
    with Devgate(server.url, "t", retry=QUICK) as devgate:
        files = Files(devgate._transport, "w")
        files.download("a", file)
        assert file.read_bytes() == b"0123456789"
        changed = True
        server.asked.clear()
        with pytest.raises(ConnectionFailed, match="has changed"):
            files.download("a", file)
    assert file.read_bytes() == b"0123456789"
    assert list(tmp_path.iterdir()) == [file]


def test_a_search_tells_how_it_ended_and_one_without_an_end_is_an_error(serving: Serving) -> None:
    whole = True

    def answer(asked: Asked) -> None:
        asked.begin()
        line = {"path": "/a", "line": 1, "text": "x", "matches": [], "context": False}
        asked.wfile.write(json.dumps(line).encode() + b"\n")
        if whole:
            asked.wfile.write(b'{"done":true,"truncated":true,"found":1,"unreadable":0}\n')
        asked.cut()

    server = serving(answer)
    with Devgate(server.url, "t") as devgate:
        files = Files(devgate._transport, "w")
        search = files.grep("", "x", ignore_case=True)
        assert [hit.path for hit in search] == ["/a"]
        assert search.end is not None and search.end.truncated
        assert "ignore_case=true" in server.asked[-1].path
        whole = False
        with pytest.raises(ConnectionFailed):
            list(files.grep("", "x"))


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_what_is_no_utf_8_is_moved_copied_made_and_watched_too(serving: Serving, kind: str) -> None:
    raw = {"path": "/\ufffd+", "raw_path": "/%FF%2B"}
    upload = {"id": "u", "path": "/\ufffd+", "size": 1, "offset": 1}
    watch = {"id": "v", "recursive": True, "include": [], "exclude": [], "sequence": 0}
    watch.update({"created": "2026-01-01T00:00:00Z", "listeners": 0, "keep_seconds": 1})
    bodies: list[Any] = []
    stats: list[str] = []

    def answer(asked: Asked) -> None:
        if asked.command == "GET":
            stats.append(asked.path.partition("?")[2])
            asked.refuse(404, "no-file")
            return
        said = json.loads(asked.body)
        bodies.append((asked.path.rpartition("/")[2], said))
        if asked.path.endswith("/uploads"):
            asked.say(201, {**upload, "expires_at": "2026-01-01T00:00:00Z"})
        elif asked.path.endswith("/watches"):
            asked.say(201, {**watch, "path": "/\ufffd+", "incomplete": False})
        else:
            asked.say(200, ENTRY)

    entry = Entry.model_validate({**ENTRY, **raw})

    async def main(url: str) -> None:
        async with AsyncDevgate(url, "t") as devgate:
            files = AsyncFiles(devgate._transport, "w")
            await files.move(entry, "plain")
            await files.copy("plain", b"/\xff+", overwrite=True)
            await files.set_mode(entry, "0600")
            await files.make_folder(b"/\xff+", parents=True)
            await files.link(entry, "target")
            await files.upload(b"/\xff+", b"x")
            await AsyncWatch(devgate._transport, "w", entry)._begin()

    server = serving(answer)
    if kind == "async":
        asyncio.run(main(server.url))
    else:
        with Devgate(server.url, "t") as devgate:
            files = Files(devgate._transport, "w")
            files.move(entry, "plain")
            files.copy("plain", b"/\xff+", overwrite=True)
            files.set_mode(entry, "0600")
            files.make_folder(b"/\xff+", parents=True)
            files.link(entry, "target")
            files.upload(b"/\xff+", b"x")
            Watch(devgate._transport, "w", entry)._begin()
    to = {"to": "/\ufffd+", "raw_to": "/%FF%2B"}
    source = {"from": raw["path"], "raw_from": raw["raw_path"]}
    assert [body for body in bodies if body[0] != "complete"] == [
        ("move", {**source, "to": "plain", "overwrite": False}),
        ("copy", {"from": "plain", **to, "overwrite": True}),
        ("mode", {**raw, "mode": "0600", "recursive": False}),
        ("folder", {**raw, "parents": True}),
        ("link", {**raw, "target": "target"}),
        ("uploads", {**raw, "size": 1, "parents": False}),
        ("watches", {**raw, "recursive": True}),
    ]
    assert stats == ["path=/%FF%2B"]
