"""Makes what is generated: the models, from the OpenAPI document of the gateway, and the client
for threads, from that for asyncio.

    python scripts/generate.py [--check]

With ``--check`` it writes nothing and fails where something isn't as it would be made.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

HERE = Path(__file__).resolve().parent.parent
PACKAGE = HERE / "src/devgate"
DOCUMENT = HERE.parent.parent / "gateway/web/openapi.json"

CLASSES = [
    "Devgate",
    "Files",
    "Ports",
    "Processes",
    "Run",
    "Search",
    "Snapshots",
    "Transport",
    "Watch",
    "Workspace",
    "Workspaces",
]

# Beside what `unasync` knows: `async def`, `await`, `__aenter__` and the like.
WORDS = {
    **{f"Async{name}": name for name in CLASSES},
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "_io_async": "_io_sync",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}

FLAGS = [
    *("--input-file-type", "openapi"),
    *("--openapi-scopes", "schemas"),
    *("--output-model-type", "pydantic_v2.BaseModel"),
    *("--base-class", "devgate._model.Model"),
    *("--target-python-version", "3.10"),
    *("--enum-field-as-literal", "all"),
    # What Python 3.9 can evaluate.
    "--no-use-union-operator",
    "--collapse-root-models",
    "--use-annotated",
    "--use-schema-description",
    "--use-field-description",
    "--disable-timestamp",
    "--no-formatters",
]


def models(target: Path) -> None:
    """Makes the models."""
    command = [tool("datamodel-codegen"), "--input", DOCUMENT, "--output", target, *FLAGS]
    subprocess.run(command, check=True)


def for_threads(target: Path) -> None:
    """Makes the client for threads."""
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted((PACKAGE / "_async").glob("*.py"))
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        rule = unasync.Rule(
            fromdir=f"{PACKAGE}/_async/", todir=f"{made}/", additional_replacements=WORDS
        )
        unasync.unasync_files([str(source) for source in sources], [rule])
        for source in sources:
            text = (made / source.name).read_text()
            # In texts for people, which `unasync` leaves alone.
            text = text.replace("``async for``", "``for``")
            text = text.replace("``async with await ", "``with ")
            (target / source.name).write_text(text)
    doc = '"""The client for threads, made from that for asyncio (`scripts/generate.py`)."""\n'
    (target / "__init__.py").write_text(doc)


def generate(folder: Path) -> None:
    """Makes everything, formatted as what is written by hand."""
    models(folder / "models.py")
    for_threads(folder / "_sync")
    made = [folder / "models.py", folder / "_sync"]
    alone = ["--quiet", "--isolated", "--line-length=100", "--target-version=py39"]
    known = "--config=lint.isort.known-first-party=['devgate']"
    order = [tool("ruff"), "check", *alone, "--select=I", "--fix", known, *made]
    subprocess.run(order, check=True)
    subprocess.run([tool("ruff"), "format", *alone, *made], check=True)


def tool(name: str) -> Path:
    """Returns a program beside the Python that runs this."""
    return Path(sys.executable).with_name(name)


def main() -> int:
    """Generates, or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        generate(PACKAGE)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        generate(made)
        wanted = {file.relative_to(made): file.read_text() for file in made.rglob("*.py")}
    there = {
        file.relative_to(PACKAGE): file.read_text()
        for file in [PACKAGE / "models.py", *(PACKAGE / "_sync").glob("*.py")]
    }
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            print(f"{name} isn't what is generated: make sdk", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
