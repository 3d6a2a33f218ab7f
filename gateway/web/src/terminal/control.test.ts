import { expect, it } from "vitest";

import { withControl } from "./control";

it("a held Ctrl makes control characters of single keys and leaves the rest", () => {
  expect(withControl("c")).toBe("\u0003");
  expect(withControl("[")).toBe("\u001b");
  expect(withControl(" ")).toBe("\u0000");
  expect(withControl("1")).toBe("1");
  expect(withControl("pasted")).toBe("pasted");
});
