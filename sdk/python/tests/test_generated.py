"""What is generated is what the gateway's document gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(
    not (HERE.parent.parent / "gateway/web/openapi.json").is_file(),
    reason="a source package has no document",
)
def test_what_is_generated_is_what_the_document_gives() -> None:
    command = [sys.executable, str(HERE / "scripts/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
