import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { follow, object } from "./live";

class FakeSocket {
  static made: FakeSocket[] = [];
  closed = false;
  onopen?: () => void;
  onclose?: () => void;
  onmessage?: (message: { data: unknown }) => void;
  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }
  close() {
    this.closed = true;
    // A browser says so, however late.
    queueMicrotask(() => this.onclose?.());
  }
  break() {
    this.closed = true;
    this.onclose?.();
  }
  says(message: unknown) {
    this.onmessage?.({ data: message });
  }
}

const open = () => FakeSocket.made.filter((socket) => !socket.closed);
let visibility: DocumentVisibilityState = "visible";

function show(state: DocumentVisibilityState) {
  visibility = state;
  document.dispatchEvent(new Event("visibilitychange"));
}

function turn(kind: "pagehide" | "pageshow") {
  window.dispatchEvent(Object.assign(new Event(kind), { persisted: true }));
}

beforeEach(() => {
  FakeSocket.made = [];
  visibility = "visible";
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.spyOn(document, "visibilityState", "get").mockImplementation(() => visibility);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("a followed stream", () => {
  it("hands over the events that are wanted", () => {
    const receive = vi.fn();
    const stop = follow({ url: "/x?tail=1", events: ["ports", "log"], receive });
    const [socket] = open();
    expect(socket?.url).toBe(`${location.origin.replace("http", "ws")}/x?tail=1`);
    socket?.says('{"event":"ports","data":{"items":[]}}');
    socket?.says('{"event":"log","id":"7","data":"a line"}');
    expect(receive.mock.calls).toEqual([
      ["ports", { items: [] }],
      ["log", "a line"],
    ]);
    for (const other of ['{"event":"more","data":1}', '{"event":1}', "[]", "null", "{", new ArrayBuffer(1)]) {
      socket?.says(other);
    }
    expect(receive).toHaveBeenCalledTimes(2);
    stop();
    expect(open()).toHaveLength(0);
  });

  it("comes back after a break, one at a time, ever later", () => {
    const broken = vi.fn();
    const opened = vi.fn();
    const stop = follow({ url: "/x", events: [], receive: vi.fn(), broken, opened });
    const waited = () => {
      open()[0]?.break();
      const begun = Date.now();
      vi.runAllTimers();
      expect(open()).toHaveLength(1);
      return Date.now() - begun;
    };
    const [first, , , fourth] = [waited(), waited(), waited(), waited()];
    expect(fourth).toBeGreaterThan(2 * first);
    expect(broken).toHaveBeenCalledTimes(4);
    for (let more = 0; more < 10; more += 1) expect(waited()).toBeLessThanOrEqual(15_000 * 1.25);
    // Once it is there the next break is the first one.
    open()[0]?.onopen?.();
    expect(opened).toHaveBeenCalledTimes(1);
    expect(waited()).toBeLessThanOrEqual(500 * 1.25);
    stop();
  });

  it("rests while the tab is hidden", async () => {
    const broken = vi.fn();
    const stop = follow({ url: "/x", events: [], receive: vi.fn(), broken });
    show("hidden");
    expect(open()).toHaveLength(0);
    await vi.runAllTimersAsync();
    expect(open()).toHaveLength(0);
    show("visible");
    expect(open()).toHaveLength(1);
    await vi.runAllTimersAsync();
    expect(open()).toHaveLength(1);
    stop();
    show("hidden");
    show("visible");
    await vi.runAllTimersAsync();
    expect(open()).toHaveLength(0);
    expect(broken).not.toHaveBeenCalled();
  });

  it("leaves with its page, and comes back with it", async () => {
    const stop = follow({ url: "/x", events: [], receive: vi.fn() });
    turn("pagehide");
    await vi.runAllTimersAsync();
    expect(open()).toHaveLength(0);
    turn("pageshow");
    expect(open()).toHaveLength(1);
    stop();
  });

  it("hears nothing of what it has left", () => {
    const receive = vi.fn();
    const opened = vi.fn();
    const stop = follow({ url: "/x", events: ["ports"], receive, opened });
    const [socket] = open();
    stop();
    socket?.onopen?.();
    socket?.says('{"event":"ports","data":{}}');
    expect(opened).not.toHaveBeenCalled();
    expect(receive).not.toHaveBeenCalled();
  });
});

it("an event's data is an object or nothing", () => {
  expect(object({ kind: "login" })).toEqual({ kind: "login" });
  for (const data of ["{}", null, [], 1, undefined]) expect(object(data)).toBeUndefined();
});
