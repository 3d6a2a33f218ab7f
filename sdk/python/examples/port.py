"""Serves a folder and opens the port to members of the server: python port.py NAME [PORT]"""

import sys
from datetime import datetime, timedelta, timezone

from devgate import Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
with Devgate() as devgate:
    workspace = devgate.workspaces.named(name)
    processes, ports = workspace.processes, workspace.ports

    server = processes.start(
        ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        cwd="project",
        label="server",
    )
    ports.wait_for(port)
    shared = ports.share(port, "members", until=datetime.now(timezone.utc) + timedelta(hours=1))
    print(f"{shared.visibility} can open {shared.url}")

    with ports.request(port, "/Makefile") as answer:
        first = answer.read().decode().splitlines()[0]
        print(f"answered {answer.status_code}: {first}")

    ports.unshare(port)
    processes.end(server.id)
