// Puts a Brotli and a gzip form beside each file of the build that gets smaller
// by it, so that the gateway compresses nothing itself.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
// Pages are changed for each answer (the nonce), so they go out as they are.
const compressible = /\.(?:css|js|json|svg|txt)$/;

for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !compressible.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  const plain = await readFile(file);
  const forms = {
    br: brotliCompressSync(plain, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
    }),
    gz: gzipSync(plain, { level: 9 }),
  };
  for (const [ending, packed] of Object.entries(forms)) {
    if (packed.length < plain.length * 0.95) await writeFile(`${file}.${ending}`, packed);
  }
}
