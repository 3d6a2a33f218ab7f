// A server that ends and starts again, as far as what is safe to repeat is concerned.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { WebSocketServer } from "ws";

import { ConnectionFailed, Devgate, Unavailable } from "../src/index.js";
import { Fixture, inside, json, problem, workspace, type Answer } from "./server.js";

/** More failures than there are repetitions otherwise. */
const MANY = 20;

const QUICK = { firstPause: 1, longestPause: 10 };

const AWAY: Record<string, Answer> = {
  "it breaks off": (request) => void request.socket.destroy(),
  "it answers 503": (_, response) => problem(response, 503, "draining"),
};

for (const [how, away] of Object.entries(AWAY)) {
  test(`what is safe is repeated for as long as the server is away: ${how}`, async () => {
    await using fixture = await Fixture.of(
      (request, response, body) => {
        if (fixture.asked.length <= MANY) {
          return away(request, response, body);
        }
        json(response, 200, workspace());
        return undefined;
      },
      { retry: QUICK },
    );
    assert.equal((await fixture.devgate.workspaces.get("w")).name, "demo");
    assert.equal(fixture.asked.length, MANY + 1);
  });
}

test("patience ends, and other failures don't have it", async () => {
  await using fixture = await Fixture.of((_, response) => problem(response, 503, "draining"), {
    retry: { retries: 2, patience: 0, firstPause: 1 },
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), Unavailable);
  assert.equal(fixture.asked.length, 3);
  await using lost = await Fixture.of((_, response) => problem(response, 502, "agent-lost"));
  await assert.rejects(lost.devgate.workspaces.get("w"), Unavailable);
  assert.equal(lost.asked.length, 5);
});

test("what no pause mends fails at once", async () => {
  await using fixture = await Fixture.of((_, response) => json(response, 200, {}));
  const { port } = fixture.server.address() as AddressInfo;
  const devgate = new Devgate({ url: `https://127.0.0.1:${port}`, token: "t" });
  await assert.rejects(devgate.workspaces.get("w"), (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed);
    assert.equal(error.asked?.attempts, 1);
    return true;
  });
  await devgate.close();
});

test("a pause is cancelled", async () => {
  const aborting = new AbortController();
  const own = new Error("no longer wanted");
  await using fixture = await Fixture.of(
    (_, response) => {
      problem(response, 503, "draining", { "retry-after": "1" });
      response.once("finish", () => aborting.abort(own));
    },
    { retry: {} },
  );
  const asking = fixture.devgate.workspaces.get("w", { signal: aborting.signal });
  await assert.rejects(asking, (error: unknown) => error === own || (error as Error).cause === own);
  assert.equal(fixture.asked.length, 1);
});

const CLOSED: Record<string, (socket: Duplex) => void> = {
  "it breaks off": (socket) => socket.destroy(),
  "it answers 503": (socket) =>
    socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n"),
};

for (const [how, refuse] of Object.entries(CLOSED)) {
  test(`a program is run and followed as soon as the server is there again: ${how}`, async () => {
    let tries = 0;
    const asked: string[] = [];
    const server = new WebSocketServer({ noServer: true });
    await using fixture = await Fixture.of(
      inside((_, response) => problem(response, 404, "not-found")),
      { retry: QUICK },
    );
    fixture.server.on("upgrade", (request, socket, head) => {
      tries += 1;
      if (tries % (MANY + 1) !== 0) {
        refuse(socket);
        return;
      }
      server.handleUpgrade(request, socket, head, (opened) => {
        asked.push(request.url ?? "");
        if (request.url?.includes("/attach") === true && asked.length === 2) {
          opened.terminate(); // before it said what it follows
          return;
        }
        const process = { id: "p", state: "running" };
        opened.send(JSON.stringify({ started: process }));
      });
    });
    const { processes } = await fixture.devgate.workspaces.get("w");
    assert.equal((await processes.run({ script: "make" })).process.id, "p");
    assert.equal(tries, MANY + 1);
    assert.equal((await processes.attach("p", { stdoutFrom: 7 })).process.id, "p");
    assert.equal(tries, 3 * (MANY + 1));
    const attach = "/api/v1/workspaces/w/processes/p/attach?stdout_from=7";
    assert.deepEqual(asked, ["/api/v1/workspaces/w/processes/run", attach, attach]);
  });
}

test("what may have been started isn't run again", async () => {
  let heard = 0;
  const server = new WebSocketServer({ noServer: true });
  await using fixture = await Fixture.of(
    inside((_, response) => problem(response, 404, "not-found")),
    { retry: QUICK },
  );
  fixture.server.on("upgrade", (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (opened) => {
      opened.once("message", () => {
        heard += 1;
        opened.terminate();
      });
    });
  });
  const { processes } = await fixture.devgate.workspaces.get("w");
  await assert.rejects(processes.run({ script: "make" }), ConnectionFailed);
  assert.equal(heard, 1);
});

/** Ends a server, and starts it again on its port when it was missed for a while. */
async function restart({ server }: Fixture): Promise<void> {
  const { port } = server.address() as AddressInfo;
  server.close();
  server.closeAllConnections();
  await once(server, "close");
  setTimeout(() => server.listen(port, "127.0.0.1"), 500);
}

test("files come whole although the server is away meanwhile", async () => {
  const content = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));
  let there = Buffer.alloc(0);
  let restarts = 0;
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      const { method = "", url = "" } = request;
      if (method === "PATCH") {
        there = Buffer.concat([there, body]);
        if (restarts === 0 && there.length > content.length / 2) {
          restarts += 1;
          void restart(fixture);
          return;
        }
      } else if (url.endsWith("/complete")) {
        json(response, 200, { size: there.length });
        return;
      } else if (url.includes("/stat?")) {
        problem(response, 404, "not-found");
        return;
      } else if (url.includes("/content?")) {
        const { range } = request.headers;
        const part = content.subarray(Number(range?.slice("bytes=".length, -1) ?? 0));
        const headers = { etag: '"1"', "content-length": part.length };
        response.writeHead(range === undefined ? 200 : 206, headers);
        if (restarts === 1) {
          restarts += 1;
          response.write(part.subarray(0, part.length / 2), () => void restart(fixture));
        } else {
          response.end(part);
        }
        return;
      }
      json(response, 200, { id: "u", path: "/a", size: content.length, offset: there.length });
    }),
    { retry: QUICK },
  );
  const folder = await mkdtemp(join(tmpdir(), "devgate-"));
  try {
    const { files } = await fixture.devgate.workspaces.get("w");
    const entry = await files.upload("a", content, { pieceSize: 1000 });
    assert.equal(entry.size, content.length);
    assert.ok(there.equals(content));
    await files.download("a", join(folder, "a"));
    assert.ok((await readFile(join(folder, "a"))).equals(content));
    assert.equal(restarts, 2);
  } finally {
    await rm(folder, { recursive: true });
  }
});
