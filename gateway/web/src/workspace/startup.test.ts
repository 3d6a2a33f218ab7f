import { describe, expect, it } from "vitest";

import type { Startup } from "../api/types";
import { isStartup, stepWords, words } from "./startup";

const RUNNING: Startup = {
  state: "running",
  step: "script",
  steps: [{ name: "script", state: "running", exit: null, seconds: null }],
  ready: false,
  detail: "running script (1 of 1)",
  failure: null,
};

describe("the start-up", () => {
  it("is taken from an event only where it is one", () => {
    expect(isStartup(RUNNING)).toBe(true);
    expect(isStartup({ ...RUNNING, steps: [{ name: 1 }] })).toBe(false);
    expect(isStartup("running")).toBe(false);
    expect(isStartup(null)).toBe(false);
  });

  it("is told in words", () => {
    expect(words(RUNNING)).toBe("Running, not ready yet");
    const failure = { step: "script", exit: 3, last_line: "oops" };
    expect(words({ ...RUNNING, failure })).toBe("Failed");
    expect(stepWords({ name: "a", state: "failed", exit: 3, seconds: 1 })).toBe("failed, exit status 3");
    expect(stepWords({ name: "a", state: "done", exit: 0, seconds: 12 })).toBe("12 s");
    expect(stepWords({ name: "a", state: "skipped", exit: null, seconds: 0 })).toBe("not run");
  });
});
