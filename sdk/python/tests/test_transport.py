"""Requests: what is repeated, how refusals become errors, connections, time-outs."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

import pytest
from conftest import ENTRY, WORKSPACE, Asked, Server

from devgate import (
    AsyncDevgate,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Denied,
    Devgate,
    DevgateError,
    LimitReached,
    NotFound,
    PreconditionFailed,
    Retry,
    SignedOut,
    TimedOut,
    TooManyRequests,
    Unavailable,
)
from devgate._async.files import AsyncFiles
from devgate._sync.files import Files

Serving = Callable[[Callable[[Asked], None]], Server]

QUICK = Retry(first_pause=0.001, longest_pause=1.5)


def client(server: Server, **more: Any) -> Devgate:
    return Devgate(server.url, "dgt_secret", **{"retry": QUICK, **more})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad-path", BadRequest),
        (401, "no-token", SignedOut),
        (403, "outside", Denied),
        (404, "no-such-workspace", NotFound),
        (409, "workspace-exists", Conflict),
        (409, "disk-limit", LimitReached),
        (412, "changed", PreconditionFailed),
        (422, "cannot-start", BadRequest),
        (500, "internal", DevgateError),
    ],
)
def test_a_problem_becomes_the_error_of_its_status(
    serving: Serving, status: int, code: str, kind: type[DevgateError]
) -> None:
    server = serving(lambda asked: asked.refuse(status, code))
    with client(server) as devgate, pytest.raises(kind) as caught:
        devgate.workspaces.get("w")
    assert (type(caught.value), caught.value.status, caught.value.code) == (kind, status, code)
    assert str(caught.value) == f"GET /api/v1/workspaces/w: as the test wants it ({code})"
    assert len(server.asked) == 1


def test_a_page_of_a_proxy_is_an_error_as_well(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        asked.begin(404, content_type="text/html")
        asked.wfile.write(b"<h1>Not here</h1>")

    with client(serving(answer)) as devgate, pytest.raises(NotFound) as caught:
        devgate.workspaces.get("w")
    assert caught.value.code == "http-404"


def test_what_passes_is_asked_again_after_the_pause_that_the_server_asks_for(
    serving: Serving,
) -> None:
    times: list[float] = []

    def answer(asked: Asked) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            asked.refuse(503, "not-ready", retry_after="1")
        elif len(times) == 2:
            asked.refuse(502, "no-agent")
        else:
            asked.say(200, WORKSPACE)

    with client(serving(answer)) as devgate:
        assert devgate.workspaces.get("w").name == "demo"
    assert times[1] - times[0] >= 0.99


def test_repetitions_end_and_a_long_pause_is_believed_at_once(serving: Serving) -> None:
    server = serving(lambda asked: asked.refuse(504, "too-slow"))
    with client(server, retry=Retry(2, 0.001)) as devgate, pytest.raises(Unavailable) as caught:
        devgate.workspaces.get("w")
    assert (caught.value.attempts, len(server.asked)) == (3, 3)
    server = serving(lambda asked: asked.refuse(429, "locked-out", retry_after="3600"))
    with client(server) as devgate, pytest.raises(TooManyRequests):
        devgate.workspaces.get("w")
    assert len(server.asked) == 1


def test_what_is_not_safe_to_repeat_is_sent_once(serving: Serving) -> None:
    server = serving(lambda asked: asked.refuse(503, "no"))
    with client(server) as devgate:
        files = Files(devgate._transport, "w")
        calls: list[Callable[[], object]] = [
            lambda: files.append("a", b"text"),
            lambda: files.write("a", b"text"),
            lambda: files.write("a", iter([b"te", b"xt"]), create=True),
        ]
        for number, call in enumerate(calls, 1):
            with pytest.raises(Unavailable):
                call()
            assert len(server.asked) == number


def test_what_is_safe_to_repeat_is_repeated_as_it_was(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        if len(server.asked) % 2 == 1:
            asked.refuse(503, "not-ready")
        elif asked.command == "DELETE":
            asked.refuse(404, "no-such-file")
        else:
            asked.say(200, WORKSPACE if asked.command == "POST" else ENTRY)

    server = serving(answer)
    with client(server) as devgate:
        files = Files(devgate._transport, "w")
        files.write("a", "text", if_match='"0"')
        files.write("a", "text", create=True)
        files.delete("a")  # gone by its first attempt
        devgate.workspaces.create("demo", wait=False)
    said = [(asked.command, asked.body.decode()) for asked in server.asked]
    assert said[:6] == [("PUT", "text")] * 4 + [("DELETE", "")] * 2
    assert said[6] == said[7]
    keys = {asked.headers["idempotency-key"] for asked in server.asked[6:]}
    assert len(keys) == 1 and None not in keys


def test_a_broken_connection_is_made_anew_for_what_may_be_repeated(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        if len(server.asked) == 1 or asked.command == "POST":
            asked.cut()
        else:
            asked.say(200, ENTRY)

    server = serving(answer)
    with client(server) as devgate:
        files = Files(devgate._transport, "w")
        assert files.stat("a").name == "a"
        with pytest.raises(ConnectionFailed):
            files.append("a", b"text")
    assert [asked.command for asked in server.asked] == ["GET", "GET", "POST"]


def test_a_post_is_repeated_where_no_connection_came_about(serving: Serving) -> None:
    server = serving(lambda asked: asked.say(200))
    url = server.url
    server.shutdown()
    server.server_close()
    with (
        Devgate(url, "t", retry=Retry(2, 0.001, patience=0)) as devgate,
        pytest.raises(ConnectionFailed) as caught,
    ):
        devgate.request("POST", "/logout")
    assert caught.value.attempts == 3


def test_one_connection_serves_many_requests_refused_ones_as_well(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        if asked.path.endswith("none"):
            asked.refuse(404, "no-such-workspace")
        else:
            asked.say(200, WORKSPACE)

    server = serving(answer)
    with client(server) as devgate:
        for _ in range(20):
            devgate.workspaces.get("w")
            with pytest.raises(NotFound):
                devgate.workspaces.get("none")
    assert (len(server.asked), server.connections) == (40, 1)


def test_an_answer_that_does_not_come_is_late(serving: Serving) -> None:
    server = serving(lambda asked: time.sleep(2))
    with client(server, timeout=0.05, retry=Retry(0)) as devgate, pytest.raises(TimedOut):
        devgate.workspaces.get("w")


def test_a_task_that_is_cancelled_leaves_its_request_and_its_pause(serving: Serving) -> None:
    async def main(server: Server) -> None:
        async with AsyncDevgate(server.url, "t", retry=Retry(longest_pause=100)) as devgate:
            files = AsyncFiles(devgate._transport, "w")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(files.stat("a"), 0.2)

    began = time.monotonic()
    asyncio.run(main(serving(lambda asked: time.sleep(2))))
    asyncio.run(main(serving(lambda asked: asked.refuse(503, "no", retry_after="60"))))
    assert time.monotonic() - began < 2


def test_the_token_goes_to_the_server_alone_and_is_shown_nowhere(serving: Serving) -> None:
    def answer(asked: Asked) -> None:
        assert asked.headers["authorization"] == "Bearer dgt_secret"
        asked.say(302, location="https://elsewhere.example/")

    with client(serving(answer)) as devgate:
        with pytest.raises(DevgateError) as caught:
            devgate.workspaces.get("w")
        assert caught.value.status == 302
        shown = [devgate, devgate._transport, devgate._transport._settings, caught.value]
        assert "dgt_secret" not in repr(shown)
    with pytest.raises(ValueError, match="https only"):
        Devgate("http://dev.example.com", "t")


def test_what_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVGATE_URL", "DEVGATE_TOKEN", "DEVGATE_CA"):
        monkeypatch.setenv(name, "")
    with pytest.raises(ValueError, match="DEVGATE_URL"):
        Devgate()
    monkeypatch.setenv("DEVGATE_URL", "https://dev.example.com:8443/some/page")
    with pytest.raises(ValueError, match="DEVGATE_TOKEN"):
        Devgate()
    monkeypatch.setenv("DEVGATE_TOKEN", "t")
    monkeypatch.setenv("DEVGATE_CA", "/nowhere/ca.pem")
    with pytest.raises(FileNotFoundError, match="/nowhere/ca"):
        Devgate()
    monkeypatch.setenv("DEVGATE_CA", "/dev/null")
    with pytest.raises(ValueError, match="/dev/null is no authority"):
        Devgate()
    monkeypatch.delenv("DEVGATE_CA")
    Devgate().close()


@pytest.mark.parametrize("token", ["dgt_a\nb", "dgt_a b", "dgt_\u00e9"])
def test_a_token_that_can_not_be_one_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="the token has characters") as caught:
        Devgate("https://dev.example.com", token)
    assert "dgt_" not in str(caught.value)


def test_a_token_is_taken_as_a_file_has_it(serving: Serving) -> None:
    server = serving(lambda asked: asked.say(200, WORKSPACE))
    with Devgate(server.url, "dgt_secret\n") as devgate:
        devgate.workspaces.get("w")
    assert server.asked[0].headers["authorization"] == "Bearer dgt_secret"


def test_a_newer_server_is_understood(serving: Serving) -> None:
    newer = {**WORKSPACE, "state": "hibernating", "mood": "fine", "id": "a-longer-id-than-before"}
    server = serving(lambda asked: asked.say(200, newer))
    with client(server) as devgate:
        info = devgate.workspaces.get("w").info
    assert (info.state, info.id) == ("hibernating", "a-longer-id-than-before")


def test_applications_below_localhost_are_found_whatever_the_resolver_says(
    serving: Serving,
) -> None:
    def answer(asked: Asked) -> None:
        if asked.path == "/api/v1/workspaces/w":
            template = f"http://{{port}}--demo--ada.localhost:{server.server_port}/"
            asked.say(200, {**WORKSPACE, "urls": {"editor": "", "application_template": template}})
        elif asked.path.startswith("/api"):
            asked.refuse(404, "no-such-route")
        else:
            asked.say(200, [asked.headers["host"], asked.path])

    server = serving(answer)
    from devgate._sync.ports import Ports

    with client(server) as devgate, Ports(devgate._transport, "w").request(8000, "/a b") as found:
        assert found.status_code == 200
        found.read()
        assert found.json() == [f"8000--demo--ada.localhost:{server.server_port}", "/a%20b"]
