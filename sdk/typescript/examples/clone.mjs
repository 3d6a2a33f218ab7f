// Clones a repository, and shows how it and the workspace are: node clone.mjs NAME URL
// @ts-check
import { Devgate } from "devgate";

const [name = "demo", url = "https://github.com/git/git.git"] = process.argv.slice(2);
const devgate = new Devgate();
const workspace = await devgate.workspaces.named(name);

await workspace.files.gitClone(url, { path: "cloned", depth: 1 });
const { branch, clean } = await workspace.files.gitStatus("cloned");
console.log(`cloned ${branch}, ${clean ? "clean" : "changed"}`);

const { status, version } = await workspace.health();
console.log(`its agent, ${version}, is ${status}`);
const { cpu_count: processors, samples } = await workspace.statistics({ window: "hour" });
console.log(`processors: ${processors}`);
for (const { time, memory_bytes: memory } of samples.slice(-3)) {
  console.log(`${time}: ${memory} bytes of memory`);
}
await devgate.close();
