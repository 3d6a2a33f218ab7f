"""Creates a workspace and waits until it runs: python create.py NAME"""

import sys

from devgate import Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
with Devgate() as devgate:  # DEVGATE_URL, DEVGATE_TOKEN, DEVGATE_CA
    workspace = devgate.workspaces.create(name)
    print(f"{workspace.name} is {workspace.info.state}: {workspace.info.ssh}")
