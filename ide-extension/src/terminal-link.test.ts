import { once } from "node:events";

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

import { Gateway } from "./api/gateway";
import { TerminalLink } from "./terminal-link";
import { serve, type Serving } from "./testing";

let serving: Serving;
let sockets: WebSocketServer;
let link: TerminalLink;
let shown: string[];
let isAlive: boolean;

beforeEach(async () => {
  serving = await serve(() => undefined);
  sockets = new WebSocketServer({ server: serving.server });
  shown = [];
  isAlive = true;
  const screen = {
    write: (text: string) => shown.push(text),
    titled: (title: string) => shown.push(`title ${title}`),
    lost: () => shown.push("lost"),
    ended: (status: number | undefined) => shown.push(`ended ${status ?? "gone"}`),
  };
  const gateway = new Gateway(serving.url, { by: "system" }, "dgt_x");
  const size = { columns: 100, rows: 30 };
  link = new TerminalLink(gateway, "/attach", size, screen, () => Promise.resolve(isAlive));
});

afterEach(async () => {
  vi.useRealTimers();
  link.close();
  for (const client of sockets.clients) client.terminate();
  await serving.close();
});

interface Arrived {
  socket: WebSocket;
  url: string;
  token: string | undefined;
  messages: string[];
}

function arrival(): Promise<Arrived> {
  return new Promise((resolve) => {
    sockets.once("connection", (socket, request) => {
      const messages: string[] = [];
      socket.on("message", (data: Buffer, isBinary) => {
        messages.push(`${isBinary ? "typed" : "told"} ${data.toString("utf8")}`);
      });
      resolve({ socket, url: request.url ?? "", token: request.headers.authorization, messages });
    });
  });
}

test("keys go in, output comes out and is acknowledged, the end is told", async () => {
  const arrived = arrival();
  const run = link.run();
  const { socket, url, token, messages } = await arrived;
  expect(url).toBe("/attach?columns=100&rows=30");
  expect(token).toBe("Bearer dgt_x");
  socket.send(Buffer.from("$ "));
  await expect.poll(() => shown).toEqual(["\u001bc\u001b[3J$ "]);
  await expect.poll(() => messages).toEqual(['told {"type":"ack","bytes":2}']);
  link.type("ls\r");
  link.resize({ columns: 80, rows: 24 });
  await expect
    .poll(() => messages.slice(1))
    .toEqual(["typed ls\r", 'told {"type":"resize","columns":80,"rows":24}']);
  socket.send('{"type":"title","title":"vim"}');
  socket.send('{"type":"unknown"}');
  socket.send('{"type":"exit","status":3}');
  socket.close();
  await run;
  expect(shown.slice(1)).toEqual(["title vim", "ended 3"]);
});

test("a letter that is cut in two is drawn whole", async () => {
  const arrived = arrival();
  void link.run();
  const { socket } = await arrived;
  const [first, second] = [Buffer.from("ü").subarray(0, 1), Buffer.from("ü").subarray(1)];
  socket.send(first);
  socket.send(second);
  await expect.poll(() => shown.join("")).toBe("\u001bc\u001b[3Jü");
});

test("a lost connection comes back and is painted anew, and what is gone ends", async () => {
  const arrived = arrival();
  const run = link.run();
  const { socket } = await arrived;
  const again = arrival();
  socket.terminate();
  const second = await again;
  expect(shown).toEqual(["lost"]);
  second.socket.send(Buffer.from("again"));
  await expect.poll(() => shown.at(-1)).toBe("\u001bc\u001b[3Jagain");
  isAlive = false;
  second.socket.terminate();
  await run;
  expect(shown.at(-1)).toBe("ended gone");
});

test("a link that falls silent is made anew, and pings or output keep it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const arrived = arrival();
  void link.run();
  const { socket, messages } = await arrived;
  vi.advanceTimersByTime(30_000);
  socket.ping();
  await once(socket, "pong");
  vi.advanceTimersByTime(30_000);
  socket.send(Buffer.from("$ "));
  await expect.poll(() => messages).toHaveLength(1);
  vi.advanceTimersByTime(44_000);
  expect(shown).toEqual(["\u001bc\u001b[3J$ "]);
  const again = arrival();
  vi.advanceTimersByTime(1000);
  await expect.poll(() => shown.at(-1)).toBe("lost");
  vi.advanceTimersByTime(1000);
  (await again).socket.send(Buffer.from("again"));
  await expect.poll(() => shown.at(-1)).toBe("\u001bc\u001b[3Jagain");
});
