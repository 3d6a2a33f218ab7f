// Bundles the extension into one file.
import { build } from "esbuild";

await build({
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20", // that of VS Code 1.90
  external: ["vscode", "bufferutil", "utf-8-validate"],
  minify: true,
  legalComments: "eof",
  logLevel: "warning",
});
