// What goes wrong on the way: answers that break off, pages that aren't the server's, slow lines,
// networks that are gone.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { WebSocketServer, type WebSocket } from "ws";

import {
  ConnectionFailed,
  Devgate,
  Failed,
  TooManyRequests,
  Unavailable,
  type Workspace,
} from "../src/index.js";
import { Fixture, inside, json, problem, workspace, type Answer } from "./server.js";

/** Begins an answer and breaks it off. */
const cut: Answer = (request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  response.write('{"half":', () => request.socket.destroy());
};

/** Answers as a proxy does that wants people to sign in. */
const page: Answer = (_, response) => {
  response.writeHead(200, { "content-type": "text/html" });
  response.end("<h1>Welcome</h1>");
};

async function all(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const one of stream) {
    void one;
  }
}

/** Calls that read an answer in all the ways there are; the last ones don't want JSON. */
function calls({ files, processes, ports, ...one }: Workspace): Record<string, () => unknown> {
  void one;
  return {
    stat: () => files.stat("a"),
    write: () => files.write("a", "text"),
    find: () => all(files.find()),
    grep: () => all(files.grep("", "x")),
    exec: () => processes.exec({ script: "make" }),
    ports: () => ports.list(),
    read: async () => all(await files.read("a")),
    readBytes: () => files.readBytes("a"),
    readText: () => files.readText("a"),
    downloadTree: async () => all(await files.downloadTree("a")),
    output: async () => all(await processes.output("p", "stdout")),
  };
}

test("an answer that breaks off is a failed connection, however it is read", async () => {
  await using fixture = await Fixture.of(inside(cut), { retry: { retries: 0 } });
  const reading = calls(await fixture.devgate.workspaces.get("w"));
  for (const [name, call] of Object.entries(reading)) {
    await assert.rejects(async () => call(), ConnectionFailed, name);
  }
});

test("a page that isn't the server's is a failed connection as well", async () => {
  await using fixture = await Fixture.of(inside(page), { retry: { retries: 0 } });
  const one = await fixture.devgate.workspaces.get("w");
  for (const [name, call] of Object.entries(calls(one)).slice(0, 6)) {
    await assert.rejects(async () => call(), ConnectionFailed, name);
  }
  // As a text it is what it is.
  const asked = { params: { path: { id: "w" } }, parseAs: "text" as const };
  const { data } = await fixture.devgate.api.GET("/api/v1/workspaces/{id}/health", asked);
  assert.equal(data, "<h1>Welcome</h1>");
});

test("a signal that ends an answer is told as what it is", async () => {
  const aborting = new AbortController();
  await using fixture = await Fixture.of(
    inside((_, response) => {
      response.writeHead(200);
      response.write("some");
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  const own = new Error("no longer wanted");
  const stream = await files.read("a", { signal: aborting.signal });
  const reading = all(stream);
  aborting.abort(own);
  await assert.rejects(reading, (error: unknown) => error === own);
});

test("an upload goes on where the answer to a piece broke off", async () => {
  let [there, broken] = [0, 0];
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      if (request.method === "PATCH") {
        there += body.length;
        if (there === 10) {
          broken += 1;
          void cut(request, response, body);
          return;
        }
      }
      const state = { id: "u", path: "/a", size: 30, offset: there };
      json(response, 200, request.url?.endsWith("/complete") ? { size: there } : state);
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  const entry = await files.upload("a", new Uint8Array(30), { pieceSize: 10 });
  assert.deepEqual([entry.size, there, broken], [30, 30, 1]);
});

test("what takes as long as there are files isn't ended here, nor begun a second time", async () => {
  await using fixture = await Fixture.of(
    inside((request, response) => {
      // Longer than the client has patience.
      setTimeout(() => {
        if (request.method === "DELETE") {
          response.writeHead(204).end();
        } else {
          json(response, 200, { path: "/b" });
        }
      }, 200);
    }),
    { timeout: 100 },
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  await files.copy("a", "b");
  await files.move("a", "b");
  await files.setMode("a", "0755", { recursive: true });
  await files.delete("a", { recursive: true });
  assert.equal(fixture.asked.length, 5);
});

test("the time for an answer begins when all was sent", async () => {
  // Between two pauses comes more than the system keeps, so that they aren't one for the sender.
  const [size, every, timeout] = [40 * 1024 * 1024, 13 * 1024 * 1024, 3000];
  await using fixture = await Fixture.of(
    inside(() => undefined),
    { timeout },
  );
  const one = await fixture.devgate.workspaces.get("w");
  let asked = 0;
  fixture.server.removeAllListeners("request");
  fixture.server.on("request", (request, response) => {
    asked += 1;
    assert.equal(request.headers["content-length"], String(size));
    let [came, pauses] = [0, 0];
    request.on("data", (part: Buffer) => {
      came += part.length;
      if (pauses < 3 && came > pauses * every) {
        pauses += 1;
        request.pause();
        setTimeout(() => request.resume(), timeout * 0.37); // in all it is longer
      }
    });
    request.on("end", () => json(response, 200, { size: came }));
  });
  assert.equal((await one.files.write("a", new Uint8Array(size), { ifMatch: '"1"' })).size, size);
  assert.equal(asked, 1);
});

test("bodies of all kinds come as they are", async () => {
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      assert.equal(request.headers["content-length"], String(body.length));
      json(response, 200, { size: body.length });
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  for (const content of ["", "€", "€".repeat(100_000), new Uint8Array(), Buffer.alloc(65536)]) {
    const { size } = await files.write("a", content);
    assert.equal(size, Buffer.byteLength(content));
  }
});

test("a request to a port goes to its application, and the token nowhere else", async () => {
  await using other = await Fixture.of((_, response) => json(response, 200, {}));
  const elsewhere = `http://127.0.0.1:${(other.server.address() as AddressInfo).port}`;
  await using fixture = await Fixture.of((request, response) => {
    const own = `http://127.0.0.1:${(fixture.server.address() as AddressInfo).port}`;
    if (request.url === "/api/v1/workspaces/w") {
      const urls = { application_template: `${own}/apps/{port}/` };
      json(response, 200, { ...workspace(), urls });
    } else if (request.url === "/apps/8000/away") {
      response.writeHead(302, { location: `${elsewhere}/` }).end();
    } else {
      response.end(request.url);
    }
  });
  const { ports } = await fixture.devgate.workspaces.get("w");
  for (const path of ["/x/y?z", "//x/y?z", "x/y?z"]) {
    assert.equal(await (await ports.fetch(8000, path)).text(), "/apps/8000/x/y?z");
  }
  const paths = [
    elsewhere,
    `${elsewhere}/x`,
    `\\\\${elsewhere.slice(7)}/x`,
    `/\\${elsewhere.slice(7)}/x`,
    "../9000/",
    "..\\..\\api/v1/me",
    "https://evil.example/x",
  ];
  for (const path of paths) {
    await assert.rejects(ports.fetch(8000, path), TypeError, path);
  }
  await assert.rejects(ports.fetch(8000, "away"), { status: 302 });
  const { api } = fixture.devgate;
  await assert.rejects(api.GET("/api/v1/me", { baseUrl: elsewhere }), TypeError);
  assert.equal(other.asked.length, 0);
});

test("a token goes in clear text to this machine alone", () => {
  for (const host of ["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example"]) {
    assert.throws(() => new Devgate({ url: `http://${host}`, token: "t" }), /https only/, host);
  }
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "a.localhost", "[::1]"]) {
    assert.ok(new Devgate({ url: `http://${host}`, token: "t" }), host);
  }
});

test("a refusal says for how long to wait", async () => {
  await using fixture = await Fixture.of((_, response) => {
    problem(response, 429, "locked-out", { "retry-after": "3600" });
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), (error: unknown) => {
    assert.ok(error instanceof TooManyRequests);
    assert.equal(error.retryAfter, 3_600_000);
    return true;
  });
  await using other = await Fixture.of((_, response) => {
    problem(response, 429, "locked-out", { "retry-after": "soon" });
  });
  await assert.rejects(other.devgate.workspaces.get("w"), { retryAfter: undefined });
});

/** Serves a program that has begun. */
async function running(serve: (socket: WebSocket) => void) {
  const fixture = await Fixture.of(inside(() => undefined));
  const server = new WebSocketServer({ noServer: true, autoPong: false });
  fixture.server.on("upgrade", (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (opened) => {
      opened.send(JSON.stringify({ started: { id: "p", pid: 1, state: "running" } }));
      serve(opened);
    });
  });
  const { processes } = await fixture.devgate.workspaces.get("w");
  return { fixture, processes };
}

test("closing a client ends its programs' connections", async () => {
  const closed: Promise<unknown>[] = [];
  const { fixture, processes } = await running((socket) => {
    closed.push(once(socket, "close"));
  });
  await using _ = fixture;
  const runs = [await processes.run({ script: "a" }), await processes.attach("p")];
  const waiting = runs.map((run) => assert.rejects(run.wait(), ConnectionFailed));
  await fixture.devgate.close();
  await Promise.all([...waiting, ...closed]);
  assert.equal(closed.length, 2);
});

test("a program whose server is silent has lost its connection", async () => {
  const { fixture, processes } = await running(() => undefined);
  await using _ = fixture;
  const run = await processes.run({ script: "a" }, { idle: 50 });
  await assert.rejects(run.wait(), (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed);
    assert.match(error.message, /silent/);
    return true;
  });
  await assert.rejects(run.ended, ConnectionFailed);
});

test("a program that is silent itself has not, as its server pings", async () => {
  const ended = { id: "p", pid: 1, state: "ended", exit_code: 0 };
  const { fixture, processes } = await running((socket) => {
    let pings = 0;
    const pinging = setInterval(() => {
      socket.ping();
      if (++pings === 30) {
        clearInterval(pinging);
        socket.send(JSON.stringify({ ended }));
      }
    }, 50);
  });
  await using _ = fixture;
  const run = await processes.run({ script: "a" }, { idle: 1000 });
  assert.equal((await run.wait()).exit_code, 0);
});

test("a program that nobody reads for long has lost nothing", async () => {
  const size = 32 * 1024 * 1024;
  const ended = { id: "p", pid: 1, state: "ended", exit_code: 0 };
  const { fixture, processes } = await running((socket) => {
    for (let sent = 0; sent < size; sent += 65536) {
      socket.send(Buffer.alloc(65537, 1));
    }
    socket.send(JSON.stringify({ ended }));
  });
  await using _ = fixture;
  const run = await processes.run({ script: "a" }, { idle: 1000 });
  await sleep(1500);
  let came = 0;
  for await (const { data } of run) {
    came += data.length;
  }
  assert.equal(came, size);
});

test("what isn't understood of a program ends its connection", async () => {
  const { fixture, processes } = await running((socket) => socket.send("<h1>Welcome</h1>"));
  await using _ = fixture;
  await assert.rejects((await processes.run({ script: "a" })).wait(), { code: "not-json" });
});

test("a watch is made anew over as many connections as it takes", async () => {
  let made = 0;
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      if (request.method === "DELETE") {
        response.writeHead(204).end();
      } else if (request.method === "POST") {
        made += 1;
        if (made === 2) {
          problem(response, 503, "not-ready");
        } else if (made === 3) {
          request.socket.destroy();
        } else if (made === 4) {
          void cut(request, response, body);
        } else {
          json(response, 201, { id: `v${made}`, path: "/a", sequence: 0 });
        }
      } else if (made < 5) {
        problem(response, 404, "no-such-watch");
      } else {
        response.write('id: 1\ndata: {"sequence":1,"kind":"created","path":"/a"}\n\n');
      }
    }),
  );
  const one = await fixture.devgate.workspaces.get("w");
  const reasons: string[] = [];
  const watch = await one.watch("a", { onReconnect: ({ code }) => reasons.push(code) });
  const seen: string[] = [];
  for await (const { kind } of watch) {
    seen.push(kind);
    if (kind === "created") {
      break;
    }
  }
  assert.deepEqual(seen, ["overflow", "created"]);
  assert.deepEqual(reasons, ["no-such-watch", "not-ready", "connection-failed", "cut-off"]);
});

test("a watch of what is gone ends", async () => {
  let made = 0;
  await using fixture = await Fixture.of(
    inside((request, response) => {
      if (request.method === "POST" && made++ === 0) {
        json(response, 201, { id: "v", path: "/a", sequence: 0 });
      } else {
        problem(response, 404, request.method === "POST" ? "no-such-file" : "no-such-watch");
      }
    }),
  );
  const watch = await (await fixture.devgate.workspaces.get("w")).watch("a");
  await assert.rejects(all(watch), { code: "no-such-file" });
});

test("a repository is cloned, and why it can't be is an error", async () => {
  let code = 0;
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      if (request.method === "POST") {
        assert.equal(request.url, "/api/v1/workspaces/w/git/clone?wait=true&attached=true");
        assert.deepEqual(JSON.parse(body.toString()), { url: "https://x/y.git", depth: 1 });
        const process = { state: "ended", exit_code: code };
        json(response, 200, { process, stdout: "", stderr: "fatal: no such repository\n" });
      } else {
        json(response, 200, { asked: request.url });
      }
    }),
  );
  const one = await fixture.devgate.workspaces.get("w");
  await one.files.gitClone("https://x/y.git", { depth: 1 });
  code = 128;
  await assert.rejects(one.files.gitClone("https://x/y.git", { depth: 1 }), (error: unknown) => {
    assert.ok(error instanceof Failed);
    assert.equal(error.detail, "fatal: no such repository");
    return true;
  });
  const base = "/api/v1/workspaces/w";
  const health: object = await one.health();
  assert.deepEqual(health, { asked: `${base}/health` });
  const used: object = await one.statistics({ window: "day" });
  assert.deepEqual(used, { asked: `${base}/statistics?window=day` });
  const status: object = await one.files.gitStatus("y");
  assert.deepEqual(status, { asked: `${base}/git/status?path=y` });
});

test("what can't answer just now says for how long", async () => {
  await using fixture = await Fixture.of((_, response) => {
    problem(response, 503, "starting", { "retry-after": "60" });
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.equal(error.retryAfter, 60_000);
    return true;
  });
});
