"""Runs a build with live output: python build.py NAME [SCRIPT]"""

import asyncio
import signal
import sys

from devgate import AsyncDevgate

name = sys.argv[1] if len(sys.argv) > 1 else "demo"
script = sys.argv[2] if len(sys.argv) > 2 else "sh build.sh"


async def main() -> int:
    async with AsyncDevgate() as devgate:
        workspace = await devgate.workspaces.named(name)
        async with await workspace.processes.run(script=script, cwd="project") as run:
            # Ctrl-C here is Ctrl-C there.
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, lambda: asyncio.ensure_future(run.signal("INT")))
            async for output in run:
                out = sys.stdout.buffer if output.stream == "stdout" else sys.stderr.buffer
                out.write(output.data)
                out.flush()
        ended = run.process
        print(f"ended by SIG{ended.signal}" if ended.signal else f"ended with {ended.exit_code}")
        return 1 if ended.exit_code is None else ended.exit_code


sys.exit(asyncio.run(main()))
