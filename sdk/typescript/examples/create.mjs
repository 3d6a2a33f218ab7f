// Creates a workspace and waits until it runs: node create.mjs NAME
// @ts-check
import { Devgate } from "devgate";

const [name = "demo"] = process.argv.slice(2);
const devgate = new Devgate(); // DEVGATE_URL, DEVGATE_TOKEN, DEVGATE_CA

const workspace = await devgate.workspaces.create({ name });
console.log(`${workspace.name} is ${workspace.info.state}: ${workspace.info.ssh}`);
await devgate.close();
