"""Takes a snapshot, breaks something and goes back: python snapshot.py NAME"""

import sys

from devgate import Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
with Devgate() as devgate:
    workspace = devgate.workspaces.named(name)

    snapshot = workspace.snapshots.create(f"{name}-before", description="it works")
    print(f"took {snapshot.name}")
    workspace.files.delete("project", recursive=True)
    workspace.restore(snapshot)
    print(f"restored, {workspace.name} is {workspace.info.state}")
    print(f"Makefile is there: {str(workspace.files.exists('project/Makefile')).lower()}")
    devgate.snapshots.delete(snapshot.id)
