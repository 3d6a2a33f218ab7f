import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

test("what is shared with the dashboard makes the extension anew when it changes", () => {
  const here = import.meta.dirname;
  const script = readFileSync(join(here, "../../scripts/extension.sh"), "utf8");
  const watched: string[] = script.match(/\.\.\/gateway\/web\/src\/\w+/g) ?? [];
  const sources = readdirSync(here, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const taken = sources.flatMap((name) => {
    const text = readFileSync(join(here, name), "utf8");
    return [...text.matchAll(/from "(?:\.\.\/)+(gateway\/web\/src\/\w+)\//g)].map(
      ([, folder]) => `../${folder}`,
    );
  });
  expect(taken.length).toBeGreaterThan(0);
  expect(taken.filter((folder) => !watched.includes(folder))).toEqual([]);
});
