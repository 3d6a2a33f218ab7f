"""Writes files, finds them again and copies one from this machine: python files.py NAME [FILE]"""

import sys

from devgate import Devgate, PreconditionFailed

MAKEFILE = """\
all:
\t@for n in 1 2 3; do echo "compiling $$n"; sleep 0.1; done
\t@echo done > result
"""

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
with Devgate() as devgate:
    files = devgate.workspaces.named(name).files

    files.write("project/Makefile", MAKEFILE, parents=True)
    entry = files.write("project/build.sh", "#!/bin/sh\nexec make\n", mode="0755")
    print(f"wrote {entry.path}, {entry.size} bytes, {entry.mode}")

    # Two programs never overwrite each other's changes.
    files.write("project/build.sh", "#!/bin/sh\nset -e\nmake\n", if_match=entry.etag)
    try:
        files.write("project/build.sh", "too late\n", if_match=entry.etag)
    except PreconditionFailed:
        print("somebody else was faster")

    for found in files.find("project", kind="file"):
        print(f"found {found.name}")
    for hit in files.grep("project", "set -."):
        print(f"{hit.path}:{hit.line}: {hit.text}")

    if len(sys.argv) > 2:
        local = sys.argv[2]
        uploaded = files.upload(
            "project/uploaded", local, on_progress=lambda it: print(f"sent {it.sent} of {it.size}")
        )
        print(f"uploaded {uploaded.size} bytes")
        files.download("project/uploaded", f"{local}.back")
