"""Runs a script that goes on whatever happens to the connection, and shows all that it writes:
python follow.py NAME SCRIPT"""

import sys

from devgate import ConnectionFailed, Devgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
script = sys.argv[2] if len(sys.argv) > 2 else "sh build.sh"

with Devgate() as devgate:
    processes = devgate.workspaces.named(name).processes
    started = processes.start(script=script, cwd="project")
    seen = {"stdout": 0, "stderr": 0}
    while True:
        try:
            run = processes.attach(
                started.id, stdout_from=seen["stdout"], stderr_from=seen["stderr"]
            )
            with run:
                for output in run:
                    out = sys.stdout if output.stream == "stdout" else sys.stderr
                    out.buffer.write(output.data)
                    out.flush()
                    seen[output.stream] += len(output.data)
            break
        except ConnectionFailed as error:
            print(f"attaching again: {error}", file=sys.stderr, flush=True)
sys.exit(1 if run.process.exit_code is None else run.process.exit_code)
