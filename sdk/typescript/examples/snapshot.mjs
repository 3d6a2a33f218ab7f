// Takes a snapshot, breaks something and goes back: node snapshot.mjs NAME
// @ts-check
import { Devgate } from "devgate";

const [name = "demo"] = process.argv.slice(2);
const devgate = new Devgate();
const workspace = await devgate.workspaces.named(name);

const snapshot = await workspace.snapshots.create(`${name}-before`, { description: "it works" });
console.log(`took ${snapshot.name}`);
await workspace.files.delete("project", { recursive: true });
await workspace.restore(snapshot);
console.log(`restored, ${workspace.name} is ${workspace.info.state}`);
console.log(`Makefile is there: ${await workspace.files.exists("project/Makefile")}`);
await devgate.snapshots.delete(snapshot.id);
await devgate.close();
