"""Shows what happens in a folder until `stop` appears in it: python watch.py NAME [FOLDER]"""

import sys

from devgate import Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
folder = sys.argv[2] if len(sys.argv) > 2 else "project"
with Devgate() as devgate:
    workspace = devgate.workspaces.named(name)
    watch = workspace.watch(
        folder,
        exclude=["node_modules", ".git"],
        on_reconnect=lambda reason: print(f"connecting again: {reason}", flush=True),
    )
    with watch:
        print("watching", flush=True)
        for event in watch:
            to = f" to {event.to}" if event.to else ""
            print(f"{event.sequence} {event.kind} {event.path}{to}", flush=True)
            if event.kind == "created" and event.path.endswith("/stop"):
                break
