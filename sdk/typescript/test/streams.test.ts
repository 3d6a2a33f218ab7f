import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";

import { BadRequest, ConnectionFailed, Denied, Devgate, type WatchEvent } from "../src/index.js";
import { Fixture, inside, json, problem, workspace } from "./server.js";

const PROCESS = { id: "p", pid: 1, state: "running" };

/** Serves a WebSocket beside a workspace, and returns what runs programs in it. */
async function serving(serve: (socket: WebSocket) => void) {
  const fixture = await Fixture.of(inside((_, response) => problem(response, 403, "token-narrow")));
  const server = new WebSocketServer({ noServer: true });
  fixture.server.on("upgrade", (request, socket, head) => {
    assert.equal(request.headers.authorization, "Bearer dgt_secret");
    server.handleUpgrade(request, socket, head, serve);
  });
  const { processes } = await fixture.devgate.workspaces.get("w");
  return { fixture, processes };
}

test("what a program writes comes in order, and then how it ended", async () => {
  const { fixture, processes } = await serving((socket) => {
    socket.once("message", (data) => {
      assert.deepEqual(JSON.parse(String(data)), { script: "make" });
      socket.send(JSON.stringify({ started: PROCESS }));
      socket.send(Buffer.from("\u0001out"));
      socket.send(Buffer.from("\u0002err"));
      socket.send(Buffer.from("\u0001more"));
      socket.send(JSON.stringify({ ended: { ...PROCESS, state: "ended", exit_code: 3 } }));
      socket.close(1000);
    });
  });
  await using _ = fixture;
  const run = await processes.run({ script: "make" });
  assert.equal(run.process.id, "p");
  const said: string[] = [];
  for await (const { stream, data } of run) {
    said.push(`${stream} ${Buffer.from(data).toString()}`);
  }
  assert.deepEqual(said, ["stdout out", "stderr err", "stdout more"]);
  assert.equal((await run.ended).exit_code, 3);
});

test("a program that can't be started is an error, and so is a socket that is refused", async () => {
  const { fixture, processes } = await serving((socket) => {
    const error = { status: 422, title: "", code: "cannot-start", detail: "no such program" };
    socket.send(JSON.stringify({ error }));
    socket.close(1000);
  });
  await using _ = fixture;
  await assert.rejects(processes.run({ command: ["x"] }), (error: unknown) => {
    assert.ok(error instanceof BadRequest);
    assert.equal(error.code, "cannot-start");
    return true;
  });
  fixture.server.removeAllListeners("upgrade");
  await assert.rejects(processes.run({ command: ["x"] }), Denied);
});

test("stdin, signals and sizes go to the program", async () => {
  const heard: string[] = [];
  const { fixture, processes } = await serving((socket) => {
    socket.on("message", (data, binary) => {
      heard.push(binary ? `data ${JSON.stringify(String(data))}` : String(data));
      if (heard.length === 1) {
        socket.send(JSON.stringify({ started: PROCESS }));
      } else if (heard.length === 6) {
        socket.send(JSON.stringify({ ended: { ...PROCESS, state: "ended" } }));
        socket.close(1000);
      }
    });
  });
  await using _ = fixture;
  const run = await processes.run({ command: ["cat"], stdin: "open" });
  await run.write("hello");
  await run.write(""); // which isn't its end
  await run.closeInput();
  await run.signal("INT");
  await run.resize(80, 24);
  await run.detach();
  await run.wait();
  assert.deepEqual(heard.slice(1), [
    'data "\\u0000hello"',
    'data "\\u0000"',
    '{"signal":"INT"}',
    '{"resize":{"columns":80,"rows":24}}',
    '{"detach":true}',
  ]);
  await assert.rejects(run.write("late"), ConnectionFailed);
});

test("a program whose output nobody reads has to wait, and nothing is lost", async () => {
  const SIZE = 64 * 1024 * 1024;
  let unsent = (): number => 0;
  const { fixture, processes } = await serving((socket) => {
    unsent = () => socket.bufferedAmount;
    socket.send(JSON.stringify({ started: PROCESS }));
    for (let sent = 0; sent < SIZE; sent += 65536) {
      socket.send(Buffer.alloc(65537, 1));
    }
    socket.send(JSON.stringify({ ended: { ...PROCESS, state: "ended" } }));
    socket.close(1000);
  });
  await using _ = fixture;
  const run = await processes.run({ command: ["yes"] });
  await sleep(300);
  const before = unsent();
  assert.ok(before > SIZE / 2, `the server keeps ${before} bytes, as it should`);
  let size = 0;
  for await (const { data } of run) {
    size += data.length;
  }
  assert.equal(size, SIZE);
});

test("a connection that breaks is an error after all that came", async () => {
  const { fixture, processes } = await serving((socket) => {
    socket.send(JSON.stringify({ started: PROCESS }));
    socket.send(Buffer.from("\u0001half"), () => socket.terminate());
  });
  await using _ = fixture;
  const run = await processes.run({ script: "make" });
  let text = "";
  const reading = (async () => {
    for await (const { data } of run) {
      text += Buffer.from(data).toString();
    }
  })();
  await assert.rejects(reading, ConnectionFailed);
  assert.equal(text, "half");
  await assert.rejects(run.ended, ConnectionFailed);
});

test("a signal ends a run, and the server sees that it is gone", async () => {
  let closed: Promise<unknown> = Promise.resolve();
  const { fixture, processes } = await serving((socket) => {
    closed = once(socket, "close");
    socket.send(JSON.stringify({ started: PROCESS }));
  });
  await using _ = fixture;
  const aborting = new AbortController();
  const run = await processes.run({ script: "make" }, { signal: aborting.signal });
  setImmediate(() => aborting.abort());
  await assert.rejects(run.wait(), { name: "AbortError" });
  await closed;
});

function event(sequence: number, kind = "modified"): string {
  const said = { sequence, kind, path: "/a", folder: false };
  return `id: ${sequence}\nevent: change\ndata: ${JSON.stringify(said)}\n\n`;
}

test("a watch goes on after its connection broke, and tells of each event once", async () => {
  const since: (string | null)[] = [];
  const ended: string[] = [];
  await using fixture = await Fixture.of(
    inside((request, response) => {
      const url = new URL(request.url ?? "", "http://localhost");
      if (request.method === "POST") {
        json(response, 201, { id: "v", path: "/a", sequence: 0 });
      } else if (request.method === "DELETE") {
        ended.push(url.pathname);
        response.writeHead(204).end();
      } else {
        since.push(url.searchParams.get("since"));
        response.writeHead(200, { "content-type": "text/event-stream" });
        if (since.length === 1) {
          response.write(event(1) + event(2) + 'id: 3\ndata: {"sequ');
          setTimeout(() => request.socket.destroy(), 30); // within an event
        } else if (since.length === 2) {
          response.end(event(2) + event(3)); // one too many, and a regular end
        } else {
          response.write(event(4));
        }
      }
    }),
  );
  const reasons: string[] = [];
  const watch = await (
    await fixture.devgate.workspaces.get("w")
  ).watch("a", { onReconnect: (reason) => reasons.push(reason.code) });
  const seen: number[] = [];
  for await (const { sequence } of watch) {
    seen.push(sequence);
    if (sequence === 4) {
      break;
    }
  }
  assert.deepEqual(seen, [1, 2, 3, 4]);
  assert.deepEqual(since, ["0", "2", "3"]);
  assert.deepEqual(reasons, ["cut-off"]);
  assert.deepEqual(ended, ["/api/v1/workspaces/w/watches/v"]);
});

test("a watch that is gone is made anew, and says that something may be missing", async () => {
  let made = 0;
  await using fixture = await Fixture.of(
    inside((request, response) => {
      if (request.method === "POST") {
        made += 1;
        json(response, 201, { id: `v${made}`, path: "/a", sequence: 0 });
      } else if (request.method === "DELETE") {
        response.writeHead(204).end();
      } else if (request.url?.includes("/v1/events")) {
        problem(response, 404, "no-such-watch");
      } else {
        response.write(event(1, "created"));
      }
    }),
  );
  const seen: string[] = [];
  for await (const { kind } of await (await fixture.devgate.workspaces.get("w")).watch("a")) {
    seen.push(kind);
    if (kind === "created") {
      break;
    }
  }
  assert.deepEqual(seen, ["overflow", "created"]);
});

test("a watch whose server is silent connects again, and one that may not look ends", async () => {
  let count = 0;
  await using fixture = await Fixture.of(
    inside((request, response) => {
      if (request.method === "POST") {
        json(response, 201, { id: "v", path: "/a", sequence: 0 });
      } else if (request.method === "DELETE") {
        response.writeHead(204).end();
      } else if (++count === 1) {
        response.write(": hello\n\n"); // and nothing more
      } else {
        problem(response, 403, "token-narrow");
      }
    }),
  );
  const watch = await (await fixture.devgate.workspaces.get("w")).watch("a", { idle: 50 });
  const seen: WatchEvent[] = [];
  const reading = (async () => {
    for await (const one of watch) {
      seen.push(one);
    }
  })();
  await assert.rejects(reading, Denied);
  assert.equal(count, 2);
});

test("closing a watch ends its loop", async () => {
  await using fixture = await Fixture.of(
    inside((request, response) => {
      if (request.method === "POST") {
        json(response, 201, { id: "v", path: "/a", sequence: 0 });
      } else if (request.method === "DELETE") {
        response.writeHead(204).end();
      } else {
        response.write(": hello\n\n");
      }
    }),
  );
  const watch = await (await fixture.devgate.workspaces.get("w")).watch("a");
  setTimeout(() => void watch.close(), 50);
  for await (const one of watch) {
    assert.fail(`there is no event ${one.sequence}`);
  }
});

test("a workspace that fails to start says why", async () => {
  let count = 0;
  await using fixture = await Fixture.of((_, response) => {
    count += 1;
    const state = count < 3 ? "starting" : "failed";
    const reason = count < 3 ? null : { code: "no-image", detail: "there is no such image" };
    json(response, 202, { ...workspace(state), reason });
  });
  const creating = fixture.devgate.workspaces.create({ name: "demo" });
  await assert.rejects(creating, /demo is failed and not running: there is no such image/);
  assert.equal(count, 3);
});

test("applications on hosts below localhost are found whatever the resolver says", async () => {
  await using fixture = await Fixture.of((request, response) => {
    const { port } = fixture.server.address() as AddressInfo;
    if (request.url === "/api/v1/workspaces/w") {
      const template = `http://{port}--demo--ada.localhost:${port}/`;
      json(response, 200, { ...workspace(), urls: { application_template: template } });
    } else {
      response.end(`${request.headers.host} ${request.url}`);
    }
  });
  const { ports } = await fixture.devgate.workspaces.get("w");
  const { port } = fixture.server.address() as AddressInfo;
  const answer = await ports.fetch(8000, "/index.html");
  assert.equal(await answer.text(), `8000--demo--ada.localhost:${port} /index.html`);
});

test("disposing of a client ends what is under way", async () => {
  await using fixture = await Fixture.of(() => undefined, { retry: { retries: 0 } });
  const devgate: Devgate = fixture.devgate;
  const asked = devgate.workspaces.get("w");
  setTimeout(() => void devgate.close(), 50);
  await assert.rejects(asked, ConnectionFailed);
});
