// Shows what happens in a folder until `stop` appears in it: node watch.mjs NAME [FOLDER]
// @ts-check
import { Devgate } from "devgate";

const [name = "demo", folder = "project"] = process.argv.slice(2);
const devgate = new Devgate();
const workspace = await devgate.workspaces.named(name);

const watch = await workspace.watch(folder, {
  exclude: ["node_modules", ".git"],
  onReconnect: (reason) => console.log(`connecting again: ${reason.message}`),
});
console.log("watching");
for await (const { sequence, kind, path, to } of watch) {
  console.log(`${sequence} ${kind} ${path}${to ? ` to ${to}` : ""}`);
  if (kind === "created" && path.endsWith("/stop")) {
    break;
  }
}
await devgate.close();
