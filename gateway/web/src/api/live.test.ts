import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { follow, object } from "./live";

class FakeSource {
  static made: FakeSource[] = [];
  closed = false;
  onopen?: () => void;
  onerror?: () => void;
  listeners = new Map<string, (event: { data: unknown }) => void>();
  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }
  addEventListener(name: string, listener: (event: { data: unknown }) => void) {
    this.listeners.set(name, listener);
  }
  close() {
    this.closed = true;
  }
}

const open = () => FakeSource.made.filter((source) => !source.closed);
let visibility: DocumentVisibilityState = "visible";

function show(state: DocumentVisibilityState) {
  visibility = state;
  document.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  FakeSource.made = [];
  visibility = "visible";
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeSource);
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
    const stop = follow({ url: "/x", events: ["ports"], receive });
    open()[0]?.listeners.get("ports")?.({ data: "[]" });
    expect(receive).toHaveBeenCalledWith("ports", "[]");
    stop();
    expect(open()).toHaveLength(0);
  });

  it("comes back after a break, one at a time", () => {
    const broken = vi.fn();
    const stop = follow({ url: "/x", events: [], receive: vi.fn(), broken });
    open()[0]?.onerror?.();
    expect(broken).toHaveBeenCalledTimes(1);
    vi.runAllTimers();
    expect(open()).toHaveLength(1);
    expect(FakeSource.made).toHaveLength(2);
    stop();
  });

  it("rests while the tab is hidden", () => {
    const stop = follow({ url: "/x", events: [], receive: vi.fn() });
    show("hidden");
    expect(open()).toHaveLength(0);
    vi.runAllTimers();
    expect(open()).toHaveLength(0);
    show("visible");
    expect(open()).toHaveLength(1);
    stop();
    show("hidden");
    show("visible");
    expect(open()).toHaveLength(0);
  });
});

it("an event's data is an object or nothing", () => {
  expect(object('{"kind":"login"}')).toEqual({ kind: "login" });
  for (const data of ["", "null", "[]", "1", "{"]) expect(object(data)).toBeUndefined();
});
