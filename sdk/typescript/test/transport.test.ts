import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { test } from "node:test";

import {
  BadRequest,
  Conflict,
  ConnectionFailed,
  Denied,
  Devgate,
  DevgateError,
  LimitReached,
  NotFound,
  PreconditionFailed,
  SignedOut,
  TimedOut,
  TooManyRequests,
  Unavailable,
} from "../src/index.js";
import { Fixture, inside, json, problem, workspace } from "./server.js";

test("a problem becomes the error of its status", async () => {
  const classes = {
    400: BadRequest,
    401: SignedOut,
    403: Denied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    422: BadRequest,
    500: DevgateError,
  };
  for (const [status, kind] of Object.entries(classes)) {
    await using fixture = await Fixture.of((_, response) => {
      problem(response, Number(status), "some-code");
    });
    await assert.rejects(fixture.devgate.workspaces.get("w"), (error: unknown) => {
      assert.ok(error instanceof kind, status);
      assert.equal(error.status, Number(status));
      assert.equal(error.code, "some-code");
      assert.equal(error.detail, "as the test wants it");
      assert.match(error.message, /^GET \/api\/v1\/workspaces\/w: as the test wants it/);
      return true;
    });
    assert.equal(fixture.asked.length, 1, `${status} isn't asked again`);
  }
});

test("a limit is told from other conflicts, and a proxy's page is an error as well", async () => {
  await using limited = await Fixture.of((_, response) => problem(response, 409, "disk-limit"));
  await assert.rejects(limited.devgate.workspaces.get("w"), LimitReached);
  await using page = await Fixture.of((_, response) => {
    response.writeHead(404, { "content-type": "text/html" });
    response.end("<h1>Not here</h1>");
  });
  await assert.rejects(page.devgate.workspaces.get("w"), { code: "http-404", status: 404 });
});

test("what passes is asked again, after the pause that the server asks for", async () => {
  let count = 0;
  const times: number[] = [];
  await using fixture = await Fixture.of((_, response) => {
    times.push(Date.now());
    count += 1;
    if (count === 1) {
      problem(response, 503, "not-ready", { "retry-after": "1" });
    } else if (count === 2) {
      problem(response, 502, "no-agent");
    } else {
      json(response, 200, workspace());
    }
  });
  assert.equal((await fixture.devgate.workspaces.get("w")).name, "demo");
  const [first = 0, second = 0] = times;
  assert.ok(second - first >= 990, `it waited ${second - first} ms`);
});

test("a server that asks for longer than anybody waits is believed at once", async () => {
  await using fixture = await Fixture.of((_, response) => {
    problem(response, 429, "locked-out", { "retry-after": "3600" });
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), TooManyRequests);
  assert.equal(fixture.asked.length, 1);
});

test("repetitions end", async () => {
  await using fixture = await Fixture.of((_, response) => problem(response, 504, "too-slow"), {
    retry: { retries: 2, firstPause: 1 },
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.equal(error.asked?.attempts, 3);
    return true;
  });
  assert.equal(fixture.asked.length, 3);
});

test("what isn't safe to repeat is sent once", async () => {
  await using fixture = await Fixture.of(inside((_, response) => problem(response, 503, "no")));
  const { files, processes } = await fixture.devgate.workspaces.get("w");
  const calls = {
    POST: () => processes.exec({ script: "make" }),
    "PUT without a precondition": () => files.write("a", "text"),
    "PUT of what comes": () => files.write("a", pieces(), { create: true }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const before = fixture.asked.length;
    await assert.rejects(call(), Unavailable, name);
    assert.equal(fixture.asked.length, before + 1, name);
  }
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode("text");
  }
});

test("what is safe to repeat is repeated as it was", async () => {
  const bodies: string[] = [];
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      bodies.push(`${request.method} ${body.toString()}`);
      if (bodies.length % 2 === 1) {
        problem(response, 503, "not-ready");
      } else if (request.method === "DELETE") {
        problem(response, 404, "no-such-file");
      } else {
        json(response, 200, request.method === "POST" ? workspace() : { etag: '"1"' });
      }
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  await files.write("a", "text", { ifMatch: '"0"' });
  await files.write("a", "text", { create: true });
  await files.delete("a"); // gone by its first attempt
  await fixture.devgate.workspaces.create({ name: "demo" }, { wait: false });
  const keys = fixture.asked.map((request) => request.headers["idempotency-key"]);
  const [first, second] = keys.slice(-2);
  assert.ok(first !== undefined && first === second, "one key for both attempts");
  assert.deepEqual(bodies, [
    "PUT text",
    "PUT text",
    "PUT text",
    "PUT text",
    "DELETE ",
    "DELETE ",
    'POST {"name":"demo"}',
    'POST {"name":"demo"}',
  ]);
});

test("a broken connection is made anew for what may be repeated, and told of otherwise", async () => {
  await using fixture = await Fixture.of(
    inside((request, response) => {
      const first = fixture.asked.filter(({ method }) => method === request.method).length === 2;
      if (first || request.method === "POST") {
        request.socket.destroy();
      } else {
        json(response, 200, { name: "a" });
      }
    }),
  );
  const { files, processes } = await fixture.devgate.workspaces.get("w");
  assert.equal((await files.stat("a")).name, "a");
  await assert.rejects(processes.exec({ script: "make" }), ConnectionFailed);
  assert.equal(fixture.asked.filter(({ method }) => method === "POST").length, 1);
});

test("a POST is repeated where no connection came about, as nothing was sent", async () => {
  const gone = await Fixture.of(() => undefined);
  const { port } = gone.server.address() as AddressInfo;
  await gone[Symbol.asyncDispose]();
  const devgate = new Devgate({
    url: `http://127.0.0.1:${port}`,
    token: "t",
    retry: { retries: 2, patience: 0, firstPause: 1 },
  });
  const asked = devgate.api.POST("/api/v1/logout");
  await assert.rejects(asked, (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed);
    assert.equal(error.asked?.attempts, 3);
    return true;
  });
  await devgate.close();
});

test("one connection serves many requests, refused ones as well", async () => {
  await using fixture = await Fixture.of((request, response) => {
    if (request.url === "/api/v1/workspaces/none") {
      problem(response, 404, "no-such-workspace");
    } else {
      json(response, 200, workspace());
    }
  });
  for (let count = 0; count < 20; count++) {
    await fixture.devgate.workspaces.get("w");
    await assert.rejects(fixture.devgate.workspaces.get("none"), NotFound);
  }
  // One may not be free yet when the next request comes.
  assert.ok(fixture.sockets.size <= 2, `${fixture.sockets.size} connections`);
});

test("an answer that doesn't come is late, and a signal ends a request at once", async () => {
  await using fixture = await Fixture.of(() => undefined, {
    timeout: 50,
    retry: { retries: 0 },
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), TimedOut);
  const own = new Error("no longer wanted");
  const aborting = new AbortController();
  const asked = fixture.devgate.workspaces.get("w", { signal: aborting.signal });
  aborting.abort(own);
  await assert.rejects(asked, (error: unknown) => error === own);
});

test("a pause between two attempts ends with the signal, too", async () => {
  const aborting = new AbortController();
  await using fixture = await Fixture.of(
    (_, response) => {
      problem(response, 503, "not-ready", { "retry-after": "60" });
      setImmediate(() => aborting.abort());
    },
    { retry: { longestPause: 100_000 } },
  );
  const asked = fixture.devgate.workspaces.get("w", { signal: aborting.signal });
  await assert.rejects(asked, { name: "AbortError" });
});

test("the token goes to nobody but the server, and is shown nowhere", async () => {
  await using fixture = await Fixture.of((request, response) => {
    assert.equal(request.headers.authorization, "Bearer dgt_secret");
    response.writeHead(302, { location: "https://elsewhere.example/" });
    response.end();
  });
  await assert.rejects(fixture.devgate.workspaces.get("w"), { status: 302 });
  const shown = inspect(fixture.devgate, { depth: 10, showHidden: true });
  assert.ok(!(shown + JSON.stringify(fixture.devgate)).includes("dgt_secret"));
  const plain = (): Devgate => new Devgate({ url: "http://dev.example.com", token: "t" });
  assert.throws(plain, /https only/);
});

test("a token is taken as a file has it; one that can't be one is refused and not shown", async () => {
  for (const token of ["dgt_a\nb", "dgt_a b", "dgt_\u00e9"]) {
    const making = (): unknown => new Devgate({ url: "https://dev.example.com", token });
    assert.throws(making, (error: Error) => !error.message.includes("dgt_"));
  }
  await using fixture = await Fixture.of((_, response) => json(response, 200, workspace()), {
    token: "dgt_secret\n",
  });
  await fixture.devgate.workspaces.get("w");
  assert.equal(fixture.asked[0]?.headers.authorization, "Bearer dgt_secret");
});

test("what isn't given comes from the environment", () => {
  delete process.env["DEVGATE_URL"];
  process.env["DEVGATE_TOKEN"] = "";
  assert.throws(() => new Devgate(), /DEVGATE_URL/);
  process.env["DEVGATE_URL"] = "https://dev.example.com:8443/some/page";
  assert.throws(() => new Devgate(), /DEVGATE_TOKEN/);
  process.env["DEVGATE_TOKEN"] = "t";
  process.env["DEVGATE_CA"] = "/nowhere/ca.pem";
  assert.throws(() => new Devgate(), /ENOENT.*nowhere/);
  process.env["DEVGATE_CA"] = "/dev/null";
  assert.throws(() => new Devgate(), /dev\/null is no authority/);
  delete process.env["DEVGATE_CA"];
  assert.ok(new Devgate());
  delete process.env["DEVGATE_URL"];
  delete process.env["DEVGATE_TOKEN"];
});
