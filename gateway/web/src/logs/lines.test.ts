import { describe, expect, it } from "vitest";

import { append, level, MOST_LINES, plain, search } from "./lines";

describe("log lines", () => {
  it("lose colours and carriage returns", () => {
    expect(plain("\u001b[2m12:00\u001b[0m \u001b[33mWARN\u001b[0m x\r")).toBe("12:00 WARN x");
    expect(plain("\u001b]0;title\u0007text")).toBe("text");
  });

  it("are kept up to a number, the newest ones", () => {
    const many = Array.from({ length: MOST_LINES }, (_, index) => String(index));
    const all = append(many, ["new"]);
    expect(all).toHaveLength(MOST_LINES);
    expect(all.at(-1)).toBe("new");
    expect(all[0]).toBe("1");
  });

  it("are found by all words of a search", () => {
    const lines = ["session opened channel=3", "stream broke channel=3", "session closed"];
    expect(search(lines, "CHANNEL session")).toEqual(["session opened channel=3"]);
    expect(search(lines, "  ")).toBe(lines);
  });

  it("have a level, in text and JSON", () => {
    expect(level("2026-01-01T00:00:00Z ERROR devgate: x")).toBe("error");
    expect(level('{"level":"WARN","message":"x"}')).toBe("warn");
    expect(level("2026-01-01T00:00:00Z  INFO devgate: no error")).toBe("other");
  });
});
