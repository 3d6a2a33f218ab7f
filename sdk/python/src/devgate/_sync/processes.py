"""Programs in a workspace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed

from .._io_sync import Content, Socket, close_socket, pause, receive
from .._options import ProcessOptions
from .._parsing import parsed
from .._retry import may_pass
from .._settings import IDLE
from ..errors import ConnectionFailed, DevgateError, error_of
from ..models import Process, ProcessResult
from .files import gone
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

_PIECE = 256 * 1024
"""Most that one message to a program's stdin has, in bytes."""

_ONCE = 50
"""Most seconds that the server waits with an answer."""


@dataclass(frozen=True)
class Output:
    """A part of what a program writes."""

    stream: str
    """``stdout`` or ``stderr``."""
    data: bytes


class Processes:
    """The programs of one workspace that were started over the API.

    ``run``, ``exec`` and ``start`` take a ``command`` or a ``script`` for the log-in shell, and
    what else a process can have, as ``ProcessOptions`` says: ``cwd``, ``env``, ``stdin="open"``,
    ``input`` (a text; bytes are written to what ``run(stdin="open")`` returns), ``pty``
    (``{"columns": 80, "rows": 24}``), ``timeout_seconds``, ``label``, ``keep_bytes``.
    """

    def __init__(self, transport: Transport, id: str) -> None:
        self._transport = transport
        self._base = f"/api/v1/workspaces/{quote(id, safe='')}/processes"

    def run(
        self,
        command: Optional[Sequence[str]] = None,
        *,
        script: Optional[str] = None,
        detach: bool = False,
        **more: Unpack[ProcessOptions],
    ) -> Run:
        """Runs a program and returns at once; what it writes is read from the result. It stops
        while nobody reads, and ends with this program, unless ``detach`` is said."""
        asked = _request(command, script, more)
        asked["detach"] = detach
        socket = self._transport.socket(f"{self._base}/run")
        run = Run(self._transport, socket)
        run._begin(asked)
        return run

    def attach(self, process: str, *, stdout_from: int = 0, stderr_from: int = 0) -> Run:
        """Follows a program that was started before, from some of its bytes on."""
        query = {"stdout_from": stdout_from, "stderr_from": stderr_from}
        path = f"{self._base}/{quote(process, safe='')}/attach"
        repetition = self._transport.repetition()
        while True:
            run = Run(self._transport, self._transport.socket(path, query))
            try:
                run._begin(None)
                return run
            except DevgateError as failure:
                wait = repetition.pause(failure) if may_pass(failure) else None
                if wait is None:
                    raise
            pause(wait)

    def exec(
        self,
        command: Optional[Sequence[str]] = None,
        *,
        script: Optional[str] = None,
        **more: Unpack[ProcessOptions],
    ) -> ProcessResult:
        """Runs a program to its end and returns what it wrote, up to ``keep_bytes`` of each
        output. An exit code other than 0 is no error. When this is cancelled, the program ends.

        What it wrote is a text: U+FFFD stands for what isn't UTF-8 there. The bytes are what
        ``run`` yields, or ``output`` of the result's ``process.id``."""
        asked = _request(command, script, more)
        query = {"wait": True, "attached": True}
        said = self._transport.json("POST", self._base, query=query, json=asked, timeout=None)
        return ProcessResult.model_validate(said)

    def start(
        self,
        command: Optional[Sequence[str]] = None,
        *,
        script: Optional[str] = None,
        **more: Unpack[ProcessOptions],
    ) -> Process:
        """Starts a program that goes on by itself."""
        asked = _request(command, script, more)
        return Process.model_validate(self._transport.json("POST", self._base, json=asked))

    def list(self, *, state: Optional[str] = None) -> Iterator[Process]:
        """Yields the programs, oldest first: all, or those in a ``state``."""
        cursor: Optional[str] = None
        while True:
            query = {"state": state, "cursor": cursor}
            page = self._transport.json("GET", self._base, query=query)
            for item in page["items"]:
                yield Process.model_validate(item)
            cursor = page.get("next")
            if cursor is None:
                return

    def get(self, process: str) -> Process:
        """Shows a program."""
        return Process.model_validate(self._transport.json("GET", self._one(process)))

    def wait(self, process: str) -> Process:
        """Waits for the end of a program."""
        while True:
            query = {"wait_seconds": _ONCE}
            said = self._transport.json("GET", self._one(process), query=query, timeout=2.0 * _ONCE)
            now = Process.model_validate(said)
            if now.state == "ended":
                return now

    def output(
        self, process: str, stream: str = "stdout", *, start: int = 0, follow: bool = False
    ) -> Iterator[bytes]:
        """Yields what is kept of an output, and with ``follow`` what comes, to its end."""
        query = {"stream": stream, "from": start, "follow": follow}
        where = f"{self._one(process)}/output"
        with self._transport.stream("GET", where, query=query, timeout=None) as answer:
            for part in answer.iter_raw():
                yield part

    def input(self, process: str, content: Content, *, close: bool = False) -> None:
        """Writes to a program's stdin, if it was started with ``stdin="open"``."""
        where = f"{self._one(process)}/input"
        query = {"close": close}
        self._transport.json("POST", where, query=query, content=content, timeout=None)

    def signal(self, process: str, signal: str) -> None:
        """Sends a signal, ``INT`` say, to a program's group."""
        self._transport.json("POST", f"{self._one(process)}/signal", json={"signal": signal})

    def end(self, process: str) -> None:
        """Ends a program (TERM, and KILL 5 s later) and forgets it."""
        gone(self._transport, self._one(process))

    def _one(self, process: str) -> str:
        return f"{self._base}/{quote(process, safe='')}"


class Run:
    """A program that runs. Read it (``for``), or ``wait`` for it, which leaves out what it
    writes: one that nobody reads waits. Use it as a context manager, so that its connection ends,
    and with it the program, when something goes wrong."""

    process: Process
    """The program as it was when this was last told: at its start, and at its end."""
    dropped: int
    """How much of what it wrote was left out, in bytes: none of what ``run`` started."""

    def __init__(self, transport: Transport, socket: Socket) -> None:
        self._transport = transport
        self._socket = socket
        self._over = False
        self.dropped = 0

    def _begin(self, asked: Optional[Mapping[str, Any]]) -> None:
        try:
            if asked is not None:
                # Where that can't be sent any more, what came instead says why.
                with suppress(ConnectionFailed):
                    self._send(json.dumps(asked))
            begun = False
            while not begun:
                message = self._receive()
                begun = isinstance(message, str) and self._hear(parsed(message))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Output]:
        """Yields what it writes, in order, to its end."""
        while not self._over:
            message = self._receive()
            if isinstance(message, str):
                self._hear(parsed(message))
            elif message[:1] == b"\x01":
                yield Output("stdout", message[1:])
            elif message[:1] == b"\x02":
                yield Output("stderr", message[1:])
        self.close()

    def wait(self) -> Process:
        """Waits for its end, and leaves out what it writes from now on."""
        for _ in self:
            pass
        return self.process

    def write(self, data: Union[str, bytes, bytearray, memoryview]) -> None:
        """Writes to its stdin, and waits while it doesn't read."""
        content = data.encode() if isinstance(data, str) else bytes(data)
        # Nothing at all would be the end.
        for at in range(0, len(content), _PIECE):
            self._send(b"\x00" + content[at : at + _PIECE])

    def close_input(self) -> None:
        """Ends its stdin."""
        self._send(b"\x00")

    def signal(self, signal: str) -> None:
        """Sends a signal, ``INT`` say, to its group."""
        self._send(json.dumps({"signal": signal}))

    def resize(self, columns: int, rows: int) -> None:
        """Says how large its terminal is, in cells."""
        self._send(json.dumps({"resize": {"columns": columns, "rows": rows}}))

    def detach(self) -> None:
        """Lets it go on when this connection ends."""
        self._send(json.dumps({"detach": True}))

    def close(self) -> None:
        """Closes the connection; a program that still runs is hung up, unless it was detached."""
        self._transport.forget(self._socket)
        if self._over:
            self._socket.close()
        else:
            close_socket(self._socket)

    def _send(self, message: Union[str, bytes]) -> None:
        try:
            self._socket.send(message)
        except ConnectionClosed as error:
            text = "the program has ended, or its connection has"
            raise ConnectionFailed(text, code="closed") from error

    def _receive(self) -> Union[str, bytes]:
        try:
            return receive(self._socket, IDLE)
        except ConnectionClosed as error:
            self._transport.forget(self._socket)
            text = f"the connection to the program ended ({error})"
            raise ConnectionFailed(text, code="cut-off") from error

    def _hear(self, notice: Mapping[str, Any]) -> bool:
        """Takes what the server says, and returns whether it is the program's begin."""
        if "error" in notice:
            problem = notice["error"]
            raise error_of(int(problem.get("status", 0)), problem)
        if "dropped" in notice:
            self.dropped += notice["dropped"]["bytes"]
        elif "ended" in notice:
            self.process = Process.model_validate(notice["ended"])
            self._over = True
        elif "started" in notice:
            self.process = Process.model_validate(notice["started"])
            return True
        elif "attached" in notice:
            self.process = Process.model_validate(notice["attached"]["process"])
            return True
        return False


def _request(
    command: Optional[Sequence[str]], script: Optional[str], more: ProcessOptions
) -> dict[str, Any]:
    if isinstance(command, str):
        raise TypeError("`command` is a list, a program and its arguments: use `script` for a text")
    if isinstance(more.get("input"), (bytes, bytearray, memoryview)):
        raise TypeError(
            '`input` is a text: write bytes to what `run(..., stdin="open")` returns, and then '
            "`close_input`"
        )
    asked = {"command": None if command is None else [*command], "script": script, **more}
    return {name: value for name, value in asked.items() if value is not None}
