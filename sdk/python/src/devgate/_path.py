"""Paths in a workspace, which are bytes there and as a rule text."""

from __future__ import annotations

from typing import Optional, Protocol, Union
from urllib.parse import quote, unquote_to_bytes


class Told(Protocol):
    """What tells of a file, as an ``Entry`` does."""

    path: str
    raw_path: Optional[str]


FilePath = Union[str, bytes, Told]
"""A text, bytes, or what tells of a file: its ``raw_path`` goes before its ``path``."""


def asked(path: FilePath) -> Union[str, bytes]:
    """Returns a path as it is asked for."""
    if isinstance(path, bytes):
        return path
    if isinstance(path, str):
        try:
            path.encode()
        except UnicodeEncodeError:
            # As Python itself writes what is no UTF-8 (PEP 383).
            return path.encode(errors="surrogateescape")
        return path
    return path.path if path.raw_path is None else unquote_to_bytes(path.raw_path)


def shown(path: FilePath) -> str:
    """Returns a path as near to it as text comes."""
    if isinstance(path, bytes):
        return path.decode(errors="replace")
    return path if isinstance(path, str) else path.path


def named(path: FilePath, name: str = "path") -> dict[str, str]:
    """Returns a path as a body has it, called ``name`` there."""
    wanted = asked(path)
    if isinstance(wanted, str):
        return {name: wanted}
    return {name: shown(wanted), f"raw_{name}": quote(wanted)}
