// Writes files, finds them again and copies one from this machine: node files.mjs NAME [FILE]
// @ts-check
import { Devgate, PreconditionFailed } from "devgate";

const [name = "demo", file] = process.argv.slice(2);
const devgate = new Devgate();
const { files } = await devgate.workspaces.named(name);

await files.write(
  "project/Makefile",
  'all:\n\t@for n in 1 2 3; do echo "compiling $$n"; sleep 0.1; done\n\t@echo done > result\n',
  { parents: true },
);
const entry = await files.write("project/build.sh", "#!/bin/sh\nexec make\n", { mode: "0755" });
console.log(`wrote ${entry.path}, ${entry.size} bytes, ${entry.mode}`);

// Two programs never overwrite each other's changes.
await files.write("project/build.sh", "#!/bin/sh\nset -e\nmake\n", { ifMatch: entry.etag });
try {
  await files.write("project/build.sh", "too late\n", { ifMatch: entry.etag });
} catch (error) {
  if (!(error instanceof PreconditionFailed)) {
    throw error;
  }
  console.log("somebody else was faster");
}

for await (const found of files.find("project", { kind: "file" })) {
  console.log(`found ${found.name}`);
}
for await (const { path, line, text } of files.grep("project", "set -.")) {
  console.log(`${path}:${line}: ${text}`);
}

if (file !== undefined) {
  const uploaded = await files.upload("project/uploaded", file, {
    onProgress: ({ sent, size }) => console.log(`sent ${sent} of ${size}`),
  });
  console.log(`uploaded ${uploaded.size} bytes`);
  await files.download("project/uploaded", `${file}.back`);
}
await devgate.close();
