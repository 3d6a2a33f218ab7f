import { describe, expect, it } from "vitest";

import { ago, browser, bytes, bytesShort, counted, duration, percent, sentence } from "./format";

describe("numbers", () => {
  it.each([
    [0, "0 B"],
    [1023, "1.00 KB"],
    [1536, "1.50 KB"],
    [10 * 1024, "10.0 KB"],
    [999 * 1024, "999 KB"],
    [3.5 * 2 ** 30, "3.50 GB"],
    [-5, "0 B"],
  ])("of bytes have three digits: %d", (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it.each([
    [2 ** 31, "2 GB"],
    [1.5 * 2 ** 30, "1.5 GB"],
    [100 * 2 ** 20, "100 MB"],
    [0, "0 B"],
  ])("on an axis have no zeros at the end: %d", (count, text) => {
    expect(bytesShort(count)).toBe(text);
  });

  it("of percent are whole but for small ones", () => {
    expect(percent(0)).toBe("0 %");
    expect(percent(0.34)).toBe("0.3 %");
    expect(percent(42.4)).toBe("42 %");
  });
});

describe("words", () => {
  it("agree with their number", () => {
    expect(counted(0, "workspace")).toBe("0 workspaces");
    expect(counted(1, "process", "processes")).toBe("1 process");
    expect(counted(2, "process", "processes")).toBe("2 processes");
  });

  it("become a sentence", () => {
    expect(sentence("the agent ended: its log tells why")).toBe("The agent ended: its log tells why.");
    expect(sentence("No space is left.")).toBe("No space is left.");
    expect(sentence("")).toBe(".");
  });
});

describe("times", () => {
  it("are told by their two largest units", () => {
    expect(duration(0)).toBe("0 s");
    expect(duration(59.9)).toBe("59 s");
    expect(duration(3600)).toBe("1 h");
    expect(duration(90_061)).toBe("1 d 1 h");
  });

  it("are told as seen from now", () => {
    const now = new Date("2026-01-02T12:00:00Z");
    const at = (text: string) => ago(new Date(text), now);
    expect(at("2026-01-02T11:59:57Z")).toBe("just now");
    expect(at("2026-01-02T11:58:00Z")).toBe("2 minutes ago");
    expect(at("2026-01-01T11:00:00Z")).toBe("yesterday");
    expect(at("2026-01-02T20:00:00Z")).toBe("in 8 hours");
  });
});

describe("a browser", () => {
  it("is told by name and system", () => {
    const chrome =
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
    expect(browser(chrome)).toBe("Chrome on Linux");
    expect(browser("curl/8.0")).toBe("curl");
    expect(browser("")).toBe("Unknown browser");
  });
});
