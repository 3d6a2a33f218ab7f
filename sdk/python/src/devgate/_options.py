"""What a process can be asked to have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Optional, TypedDict


class Pty(TypedDict, total=False):
    """A terminal."""

    columns: int
    """Its width, in cells."""
    rows: int
    """Its height, in cells."""
    term: str
    """What programs are told that it is."""


class ProcessOptions(TypedDict, total=False):
    """What ``run``, ``exec`` and ``start`` take beside what is run."""

    cwd: Optional[str]
    """Where it begins, a relative path from the home."""
    env: Optional[Mapping[str, str]]
    """Variables over those that a session has."""
    stdin: Optional[Literal["none", "open"]]
    """What it reads: nothing, or what is sent."""
    input: Optional[str]
    """A text that it reads, and then the end of its input."""
    pty: Optional[Pty]
    """Has it run on a terminal."""
    timeout_seconds: Optional[int]
    """After how long it is ended."""
    label: Optional[str]
    """What it is called by whoever starts it."""
    keep_bytes: Optional[int]
    """How much of the end of each output is kept."""
