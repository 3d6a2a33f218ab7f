import { describe, expect, it } from "vitest";

import { asApplicationKey, withControl } from "./control";

it("a held Ctrl makes control characters of single keys and leaves the rest", () => {
  expect(withControl("c")).toBe("\u0003");
  expect(withControl("[")).toBe("\u001b");
  expect(withControl(" ")).toBe("\u0000");
  expect(withControl("1")).toBe("1");
  expect(withControl("pasted")).toBe("pasted");
});

describe("an arrow of the key bar", () => {
  it("is another for a program that asked for it, and no other key is", () => {
    expect(asApplicationKey("\u001b[A")).toBe("\u001bOA");
    expect(asApplicationKey("\u001b")).toBe("\u001b");
    expect(asApplicationKey("[A")).toBe("[A");
  });
});
