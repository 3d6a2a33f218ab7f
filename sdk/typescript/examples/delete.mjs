// Deletes a workspace for good: node delete.mjs NAME
// @ts-check
import { Devgate, NotFound } from "devgate";

const [name = "demo"] = process.argv.slice(2);
const devgate = new Devgate();

const workspace = await devgate.workspaces.named(name);
await workspace.delete({ purge: true });
try {
  await devgate.workspaces.get(workspace.id);
} catch (error) {
  if (!(error instanceof NotFound)) {
    throw error;
  }
  console.log(`${name} is gone`);
}
await devgate.close();
