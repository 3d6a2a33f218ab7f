// Runs a script that goes on whatever happens to the connection, and shows all that it writes:
// node follow.mjs NAME SCRIPT
// @ts-check
import { ConnectionFailed, Devgate } from "devgate";

const [name = "demo", script = "sh build.sh"] = process.argv.slice(2);
const devgate = new Devgate();
const { processes } = await devgate.workspaces.named(name);

const { id } = await processes.start({ script, cwd: "project" });
const seen = { stdout: 0, stderr: 0 };
for (;;) {
  try {
    const run = await processes.attach(id, { stdoutFrom: seen.stdout, stderrFrom: seen.stderr });
    for await (const { stream, data } of run) {
      process[stream].write(data);
      seen[stream] += data.length;
    }
    process.exitCode = (await run.ended).exit_code ?? 1;
    break;
  } catch (error) {
    if (!(error instanceof ConnectionFailed)) {
      throw error;
    }
    console.error(`attaching again: ${error.message}`);
  }
}
await devgate.close();
