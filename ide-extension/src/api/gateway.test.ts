import type { ServerResponse } from "node:http";

import { afterEach, expect, test, vi } from "vitest";

import { json, serve, type Serving } from "../testing";
import type { ServerEvent } from "./events";
import { fill, Gateway } from "./gateway";
import { Problem } from "./problem";

let serving: Serving;
afterEach(async () => {
  vi.useRealTimers();
  await serving.close();
});

test("a request carries its token, and its answer is read", async () => {
  serving = await serve((request, response) => {
    json(response, 200, { name: `${request.method} ${request.url} ${request.headers.authorization}` });
  });
  const gateway = new Gateway(serving.url, { by: "system" }, "dgt_x");
  const me = await gateway.request("GET", "/me");
  expect(me.name).toBe("GET /api/v1/me Bearer dgt_x");
});

test("lists are read page by page", async () => {
  serving = await serve((request, response) => {
    const isSecond = request.url?.includes("cursor=b");
    json(
      response,
      200,
      isSecond ? { items: [{ id: "2" }], next: null } : { items: [{ id: "1" }], next: "b" },
    );
  });
  const found = await new Gateway(serving.url, { by: "system" }).workspaces();
  expect(found.map(({ id }) => id)).toEqual(["1", "2"]);
});

test("a refusal is a problem with the gateway's own words, as a sentence", async () => {
  serving = await serve((_, response) =>
    json(response, 409, { code: "run-limit", detail: "stop one first" }),
  );
  const asked = new Gateway(serving.url, { by: "system" }).request("GET", "/me");
  await expect(asked).rejects.toMatchObject({ status: 409, code: "run-limit", message: "Stop one first." });
});

test("what isn't there is told, with what to check", async () => {
  serving = await serve(() => undefined);
  const { url } = serving;
  await serving.close();
  const error: unknown = await new Gateway(url, { by: "system" })
    .request("GET", "/me")
    .catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Problem);
  expect((error as Problem).message).toBe(
    `${url} can't be reached: nothing listens there. Check the port, and that devgate runs.`,
  );
  serving = await serve(() => undefined);
});

test("an answer that doesn't end is not read into memory", async () => {
  serving = await serve((_, response) => {
    const piece = "x".repeat(1024 * 1024);
    const more = () => {
      while (!response.destroyed && response.write(piece));
      response.once("drain", more);
    };
    more();
  });
  await expect(new Gateway(serving.url, { by: "system" }).request("GET", "/me")).rejects.toThrow("larger");
});

test("a stream comes back after a break, and not after a refusal", async () => {
  let count = 0;
  serving = await serve((_, response) => {
    count += 1;
    if (count === 3) {
      json(response, 401, { code: "signed-out", detail: "sign in" });
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(`event: workspace-state\ndata: ${count}\n\n`);
  });
  const events: ServerEvent[] = [];
  const errors: Error[] = [];
  let opened = 0;
  await new Gateway(serving.url, { by: "system" }).follow(
    "/events",
    {},
    {
      signal: new AbortController().signal,
      event: (event) => events.push(event),
      opened: () => (opened += 1),
      broken: (error) => errors.push(error),
    },
  );
  expect(events.map(({ data }) => data)).toEqual(["1", "2"]);
  expect(opened).toBe(2);
  expect(errors.at(-1)).toMatchObject({ status: 401, signedOut: true });
});

test("a stream comes back after what passes, and what isn't the gateway's own refusal", async () => {
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(404, { "content-type": "text/html" }).end("<h1>Not Found</h1>"),
    (response) => response.writeHead(403, { "content-type": "application/json" }).end('{"code":"waf"}'),
    (response) => response.writeHead(401, { "content-type": "text/plain" }).end(),
    (response) => json(response, 429, { code: "too-many-requests", detail: "later" }),
    (response) => json(response, 408, { code: "too-late", detail: "again" }),
    (response) => json(response, 404, { code: "not-found", detail: "gone" }),
  ];
  let count = 0;
  serving = await serve((_, response) => answers[count++]?.(response));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const errors: Problem[] = [];
  const follower = {
    signal: new AbortController().signal,
    event: () => undefined,
    broken: (error: Error) => {
      if (error instanceof Problem) errors.push(error);
      // The pause begins once this returns; after the last there is none.
      setImmediate(() => vi.isFakeTimers() && vi.runOnlyPendingTimers());
    },
  };
  await new Gateway(serving.url, { by: "system" }).follow("/events", {}, follower);
  expect(errors.map(({ status }) => status)).toEqual([404, 403, 401, 429, 408, 404]);
  expect(errors[0]?.message).toBe("The server answered 404.");
  expect(errors.some(({ signedOut }) => signedOut)).toBe(false);
});

test("a stream that comes back says what it has seen", async () => {
  const seen: unknown[] = [];
  serving = await serve((request, response) => {
    seen.push(request.headers["last-event-id"]);
    if (seen.length === 3) {
      json(response, 404, { code: "not-found", detail: "gone" });
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(seen.length === 1 ? "id: 7\ndata: a\n\nid: 8\ndata: not who" : ": alive\n\n");
  });
  const follower = { signal: new AbortController().signal, event: () => undefined };
  await new Gateway(serving.url, { by: "system" }).follow("/events", {}, follower);
  expect(seen).toEqual([undefined, "7", "7"]);
});

test("a gateway is alive that says so itself, and not what stands in front of it", async () => {
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad Gateway</h1>"),
    (response) => json(response, 503, { status: "ok" }),
    (response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>Soon back</h1>"),
    (response) => json(response, 200, null),
  ];
  let answer = answers[0];
  serving = await serve((_, response) => answer?.(response));
  const gateway = new Gateway(serving.url, { by: "system" });
  const { signal } = new AbortController();
  for (answer of answers) await expect(gateway.roundTrip(signal)).rejects.toBeInstanceOf(Problem);
  answer = (response) => json(response, 200, { status: "ok", version: "1" });
  expect(await gateway.roundTrip(signal)).toBeGreaterThan(0);
});

test("paths are filled in and encoded", () => {
  const carried = { path: { id: "a/b" }, query: { tail: 5, since: undefined } };
  expect(fill("/workspaces/{id}/logs", carried)).toBe("/workspaces/a%2Fb/logs?tail=5");
});
