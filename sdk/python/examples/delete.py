"""Deletes a workspace for good: python delete.py NAME"""

import sys

from devgate import Devgate, NotFound

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
with Devgate() as devgate:
    workspace = devgate.workspaces.named(name)
    workspace.delete(purge=True)
    try:
        devgate.workspaces.get(workspace.id)
    except NotFound:
        print(f"{name} is gone")
