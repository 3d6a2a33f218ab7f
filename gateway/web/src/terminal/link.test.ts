import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { type LinkState, TerminalLink } from "./link";
import { Acknowledgements, parseMessage } from "./messages";

class FakeSocket {
  static made: FakeSocket[] = [];
  static readonly OPEN = 1;
  readyState = 0;
  binaryType = "";
  sent: (string | Uint8Array)[] = [];
  onopen?: () => void;
  onclose?: () => void;
  onmessage?: (event: { data: unknown }) => void;
  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }
  send(data: string | Uint8Array) {
    this.sent.push(data);
  }
  close() {
    this.readyState = 3;
  }
  open() {
    this.readyState = 1;
    this.onopen?.();
  }
  break() {
    this.readyState = 3;
    this.onclose?.();
  }
  bytes(count: number) {
    this.onmessage?.({ data: new Uint8Array(count).buffer });
  }
}

function last(): FakeSocket {
  const socket = FakeSocket.made.at(-1);
  if (!socket) throw new Error("no socket was made");
  return socket;
}

function acknowledged(socket: FakeSocket): number {
  return socket.sent
    .filter((message) => typeof message === "string")
    .map((message) => JSON.parse(message) as { type: string; bytes?: number })
    .reduce((sum, message) => sum + (message.type === "ack" ? (message.bytes ?? 0) : 0), 0);
}

function linked(alive = true) {
  const states: LinkState[] = [];
  const drawing: (() => void)[] = [];
  const screen = {
    write: vi.fn((_: Uint8Array, drawn: () => void) => void drawing.push(drawn)),
    reset: vi.fn(),
    resized: vi.fn(),
    titled: vi.fn(),
  };
  const link = new TerminalLink({
    url: (columns, rows) => `wss://x/attach?columns=${columns}&rows=${rows}`,
    screen,
    changed: (state) => states.push(state),
    alive: () => Promise.resolve(alive),
  });
  link.open(100, 30);
  return { link, states, screen, drawing };
}

beforeEach(() => {
  FakeSocket.made = [];
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("acknowledgements", () => {
  it("gather while more is waiting, and leave nothing behind", () => {
    const counted = new Acknowledgements();
    counted.received(1000);
    counted.received(1000);
    expect(counted.done(1000)).toBe(0);
    expect(counted.done(1000)).toBe(2000);
  });

  it("come early where much was drawn", () => {
    const counted = new Acknowledgements();
    counted.received(20_000);
    counted.received(20_000);
    expect(counted.done(20_000)).toBe(20_000);
  });
});

describe("a terminal's link", () => {
  it("acknowledges what was drawn, not what came", () => {
    const { drawing } = linked();
    last().open();
    last().bytes(5000);
    expect(acknowledged(last())).toBe(0);
    drawing.forEach((drawn) => drawn());
    expect(acknowledged(last())).toBe(5000);
  });

  it("begins each connection with an empty screen", () => {
    const { screen } = linked();
    last().open();
    last().bytes(10);
    last().bytes(10);
    expect(screen.reset).toHaveBeenCalledTimes(1);
  });

  it("comes back after a break, with the size it has by then", async () => {
    const { link, states } = linked();
    last().open();
    link.resize(120, 40);
    last().break();
    await vi.runAllTimersAsync();
    expect(FakeSocket.made).toHaveLength(2);
    expect(last().url).toBe("wss://x/attach?columns=120&rows=40");
    expect(states).toEqual(["connecting", "open", "lost", "connecting"]);
  });

  it("tells which size there is room for, and leaves the terminal's to the answer", () => {
    const { link, screen } = linked();
    expect(link.resize(110, 35)).toBe(false);
    last().open();
    expect(last().sent).toEqual(['{"type":"resize","columns":110,"rows":35}']);
    expect(link.resize(125, 42)).toBe(true);
    expect(screen.resized).not.toHaveBeenCalled();
    last().onmessage?.({ data: '{"type":"size","columns":80,"rows":24}' });
    expect(screen.resized).toHaveBeenLastCalledWith(80, 24);
  });

  it("doesn't acknowledge on a new connection what an old one brought", async () => {
    const { drawing } = linked();
    last().open();
    last().bytes(5000);
    last().break();
    await vi.runAllTimersAsync();
    last().open();
    drawing.forEach((drawn) => drawn());
    expect(acknowledged(last())).toBe(0);
  });

  it("ends with its shell", async () => {
    const { states } = linked();
    last().open();
    last().onmessage?.({ data: '{"type":"exit","status":3}' });
    last().break();
    await vi.runAllTimersAsync();
    expect(FakeSocket.made).toHaveLength(1);
    expect(states.at(-1)).toBe("exited");
  });

  it("stays away where the terminal is gone", async () => {
    const { states } = linked(false);
    last().open();
    last().break();
    await vi.runAllTimersAsync();
    expect(FakeSocket.made).toHaveLength(1);
    expect(states.at(-1)).toBe("gone");
  });

  it("sends keystrokes as bytes", () => {
    const { link } = linked();
    link.send("lost: nobody listens yet");
    last().open();
    link.send("ä");
    link.sendBinary("\u00ff");
    expect(last().sent.map((message) => Array.from(message as Uint8Array))).toEqual([[0xc3, 0xa4], [0xff]]);
  });
});

describe("what is typed", () => {
  const sent = () => last().sent.map((message) => Array.from(message as Uint8Array));

  it("keeps the first half of a character until the second comes", () => {
    const { link } = linked();
    last().open();
    link.send("\ud83d");
    expect(sent()).toEqual([]);
    link.send("\ude00");
    link.send("a\ud83d");
    link.send("\ude00b");
    const smile = [0xf0, 0x9f, 0x98, 0x80];
    expect(sent()).toEqual([smile, [0x61], [...smile, 0x62]]);
  });

  it("doesn't wait for a second half that never comes", () => {
    const { link } = linked();
    last().open();
    link.send("\ud83d");
    link.send("a");
    expect(sent()).toEqual([[0xef, 0xbf, 0xbd, 0x61]]);
  });

  it("doesn't begin a new connection with half a character", async () => {
    const { link } = linked();
    last().open();
    link.send("\ud83d");
    last().break();
    await vi.runAllTimersAsync();
    last().open();
    link.send("a");
    expect(sent()).toEqual([[0x61]]);
  });
});

describe("messages", () => {
  it("of unknown kinds or wrong form are passed over", () => {
    for (const text of [
      "",
      "[]",
      '{"type":"new"}',
      '{"type":"size","columns":0,"rows":5}',
      '{"type":"size","columns":1e9,"rows":5}',
    ]) {
      expect(parseMessage(text)).toBeUndefined();
    }
  });
});
