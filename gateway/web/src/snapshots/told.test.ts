import { expect, test } from "vitest";

import { EVENTS } from "../api/events";
import { exactly } from "../parts/format";
import { told } from "./told";

const AT = "2030-01-02T03:04:05.678Z";

test("what happened is told in words, and what isn't known by its name", () => {
  const cases: [string, Record<string, string>, string][] = [
    ["workspace-created", {}, "created"],
    ["workspace-created", { "clone-of": "api" }, "created as a clone of api"],
    ["workspace-state", { state: "failed", detail: "no image" }, "failed: no image"],
    ["workspace-command", { command: "restore", by: "ada" }, "asked for: restore"],
    ["workspace-expires-soon", { at: AT }, `is deleted on ${exactly(new Date(AT))}, unless it is extended`],
    ["workspace-extended", { until: AT }, `extended until ${exactly(new Date(AT))}`],
    ["workspace-renamed", { from: "api.ada", to: "web.ada" }, "renamed from api.ada to web.ada"],
    ["out-of-memory", {}, "a program was killed: the memory is used up"],
    ["snapshot-state", { snapshot: "first", state: "ready" }, "snapshot first ready"],
    ["something-new", {}, "something-new"],
  ];
  for (const [kind, data, text] of cases) expect(told({ kind, data })).toBe(text);
});

test("nothing that can happen to a workspace is told by its name", () => {
  const others = /^(user|key|token|log|ssh|disk)/;
  for (const kind of EVENTS.filter((kind) => !others.test(kind))) {
    expect(told({ kind, data: {} })).not.toBe(kind);
  }
});
