import { describe, expect, it } from "vitest";

import { faultOfName, suggestName } from "./path";

describe("a workspace's name", () => {
  it.each(["a", "api", "my-project-2", "0", "a".repeat(40)])("can be %s", (name) => {
    expect(faultOfName(name, [])).toBeNull();
  });

  it.each(["", "API", "a_b", "-a", "a-", "a--b", "a.b", "ä", "a".repeat(41)])("can't be “%s”", (name) => {
    expect(faultOfName(name, [])).not.toBeNull();
  });

  it("isn't used twice", () => {
    expect(faultOfName("api", ["api"])).toContain("already");
  });

  it("is suggested, free and valid", () => {
    const taken: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      const name = suggestName(taken);
      expect(faultOfName(name, taken)).toBeNull();
      taken.push(name);
    }
  });
});
