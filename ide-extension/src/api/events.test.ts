import { expect, test } from "vitest";

import { EventParser } from "./events";

test("events are found however the stream is cut", () => {
  const text =
    ': alive\n\nevent: workspace-state\nid: 7\ndata: {"a":1}\n\nevent:log\r\ndata: one\r\ndata: two\r\n\r\ndata\n\n';
  const expected = [
    { kind: "workspace-state", data: '{"a":1}' },
    { kind: "log", data: "one\ntwo" },
    { kind: "message", data: "" },
  ];
  for (const size of [1, 2, 7, text.length]) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    expect(events).toEqual(expected);
    expect(parser.lastId).toBe("7");
  }
});

test("what isn't finished is no event, and what never ends is an error", () => {
  const parser = new EventParser();
  expect(parser.push("event: log\nid: 8\ndata: half")).toEqual([]);
  expect(parser.lastId).toBeUndefined();
  expect(() => {
    for (let count = 0; count < 100; count += 1) parser.push("x".repeat(64 * 1024));
  }).toThrow("too large");
});
