import { describe, expect, it } from "vitest";

import { CONFINED, allowed, asked, told } from "./narrowing";

describe("narrowing", () => {
  it("keeps with a folder what a folder confines", () => {
    expect(allowed(null, "src")).toEqual(CONFINED);
    expect(allowed(["files-read", "processes"], "src")).toEqual(["files-read"]);
    expect(allowed(["processes"], "src")).toEqual(CONFINED);
    expect(allowed(["processes"], "")).toEqual(["processes"]);
  });

  it("asks for nothing where nothing is narrowed", () => {
    expect(asked({})).toBeUndefined();
    expect(asked({ workspace: null, actions: null, folder: null })).toBeUndefined();
    expect(asked({ folder: "src", actions: ["view"] })).toEqual({ folder: "src", actions: ["view"] });
  });

  it("says it in words", () => {
    const names = new Map([["a", "api"]]);
    const value = { workspace: "a", actions: ["files-read" as const], folder: "src" };
    expect(told(value, names)).toBe("only api · read files · below src");
    expect(told({ workspace: "b" }, names)).toBe("only a workspace that is gone");
  });
});
