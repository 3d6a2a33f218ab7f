"""Clones a repository, and shows how it and the workspace are: python clone.py NAME URL"""

import sys

from devgate import Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
url = sys.argv[2] if len(sys.argv) > 2 else "https://github.com/git/git.git"
with Devgate() as devgate:
    workspace = devgate.workspaces.named(name)

    workspace.files.git_clone(url, "cloned", depth=1)
    cloned = workspace.files.git_status("cloned")
    print(f"cloned {cloned.branch}, {'clean' if cloned.clean else 'changed'}")

    health = workspace.health()
    print(f"its agent, {health.version}, is {health.status}")
    used = workspace.statistics(window="hour")
    print(f"processors: {used.cpu_count}")
    for sample in used.samples[-3:]:
        print(f"{sample.time}: {sample.memory_bytes} bytes of memory")
