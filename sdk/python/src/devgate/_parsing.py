"""JSON, as every answer is where it is a devgate server that answers."""

from __future__ import annotations

import json
from typing import Any, Union

from .errors import ConnectionFailed


def parsed(text: Union[str, bytes]) -> Any:
    """Reads JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        detail = (
            "the answer isn't JSON: look at the server's address, and at what is on the way to it"
        )
        raise ConnectionFailed(detail, code="not-json") from error
