// Runs a build with live output: node build.mjs NAME [SCRIPT]
// @ts-check
import { Devgate } from "devgate";

const [name = "demo", script = "sh build.sh"] = process.argv.slice(2);
const devgate = new Devgate();
const { processes } = await devgate.workspaces.named(name);

// Ctrl-C here is Ctrl-C there.
const run = await processes.run({ script, cwd: "project" });
process.once("SIGINT", () => void run.signal("INT"));
for await (const { stream, data } of run) {
  process[stream].write(data);
}
const { exit_code: code, signal } = await run.ended;
console.log(signal ? `ended by SIG${signal}` : `ended with ${code}`);
process.exitCode = code ?? 1;
await devgate.close();
