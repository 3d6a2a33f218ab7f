import { expect, test } from "vitest";

import { told } from "./told";

test("what happened is told in words, and what isn't known by its name", () => {
  const cases: [string, Record<string, string>, string][] = [
    ["workspace-created", {}, "created"],
    ["workspace-created", { "clone-of": "api" }, "created as a clone of api"],
    ["workspace-state", { state: "failed", detail: "no image" }, "failed: no image"],
    ["workspace-command", { command: "restore", by: "ada" }, "asked for: restore"],
    ["snapshot-state", { snapshot: "first", state: "ready" }, "snapshot first ready"],
    ["something-new", {}, "something-new"],
  ];
  for (const [kind, data, text] of cases) expect(told({ kind, data })).toBe(text);
});
