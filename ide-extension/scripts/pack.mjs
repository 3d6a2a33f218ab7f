// Packs what was bundled into package/devgate.vsix, which becomes part of the gateway.
import { createVSIX } from "@vscode/vsce";

await createVSIX({
  packagePath: "package/devgate.vsix",
  // They are in the bundle.
  dependencies: false,
  allowMissingRepository: true,
});
