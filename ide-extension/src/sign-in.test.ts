import { afterEach, expect, test } from "vitest";

import { Gateway } from "./api/gateway";
import type { DeviceCodes } from "./api/types";
import { Servers } from "./servers";
import { approvalPage, approved, Bell, endToken, pageHost, replace, tokenName } from "./sign-in";
import { json, serve, type Serving } from "./testing";

let serving: Serving;
afterEach(() => serving.close());

const CODES: DeviceCodes = {
  device_code: "secret",
  user_code: "WDJB-MJHT",
  verification_uri: "https://dev.example.com/device",
  verification_uri_complete: "https://dev.example.com/device#code=WDJB-MJHT",
  expires_in: 600,
  interval: 2,
};

/** Answers each question with the next of these. */
async function answering(...codes: string[]): Promise<{ gateway: Gateway; times: number[] }> {
  const times: number[] = [];
  serving = await serve((_, response) => {
    times.push(Date.now());
    const code = codes.shift();
    if (code === "approved") json(response, 200, { user: "ada", token: { token: "dgt_x" } });
    else json(response, 400, { code, detail: "not yet" });
  });
  return { gateway: new Gateway(serving.url, { by: "system" }), times };
}

test("the way back has it ask at once, and no sooner than it may", { timeout: 15_000 }, async () => {
  const { gateway, times } = await answering("authorization-pending", "approved");
  const bell = new Bell();
  const begin = Date.now();
  bell.strike();
  const waiting = approved(gateway, CODES, bell, new AbortController().signal);
  await expect.poll(() => times.length, { timeout: 4000 }).toBe(1);
  bell.strike();
  const given = await waiting;
  expect(given.token.token).toBe("dgt_x");
  const [first = 0, second = 0] = times;
  // The gateway takes half a second less than it says.
  expect(first - begin).toBeGreaterThan(1500);
  expect(second - first).toBeGreaterThan(1500);
  // Without the bell it would have been 4 s.
  expect(second - first).toBeLessThan(3900);
});

test("a refusal and an end are told", { timeout: 15_000 }, async () => {
  const signal = new AbortController().signal;
  const ask = (gateway: Gateway) => {
    const bell = new Bell();
    bell.strike();
    return approved(gateway, CODES, bell, signal);
  };
  await expect(ask((await answering("access-denied")).gateway)).rejects.toThrow("refused in the browser");
  await serving.close();
  await expect(ask((await answering("expired-token")).gateway)).rejects.toThrow("sign in again");
  await serving.close();
  await expect(ask((await answering("too-many-tokens")).gateway)).rejects.toThrow("Not yet.");
});

test("who has had enough ends it", async () => {
  const { gateway } = await answering();
  const stop = new AbortController();
  const waiting = approved(gateway, CODES, new Bell(), stop.signal);
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
});

test("the page knows the way back, behind the code", async () => {
  serving = await serve(() => undefined);
  const page = new URL(approvalPage(CODES, "vscode://devgate.devgate/signed-in?state=a&b"));
  const parameters = new URLSearchParams(page.hash.slice(1));
  expect(page.search).toBe("");
  expect(parameters.get("code")).toBe("WDJB-MJHT");
  expect(parameters.get("return")).toBe("vscode://devgate.devgate/signed-in?state=a&b");
});

test("a page is no less safe than the way to the server", async () => {
  serving = await serve(() => undefined);
  const server = "https://dev.example.com:8443";
  expect(pageHost("https://dev.example.com/device", server)).toEqual({ same: true, host: "dev.example.com" });
  expect(pageHost("https://dev.example.com@evil.example/", server)).toEqual({
    same: false,
    host: "evil.example",
  });
  for (const bad of ["http://dev.example.com/device", "javascript:alert(1)", "/device", ""]) {
    expect(pageHost(bad, server), bad).toBeUndefined();
  }
});

test("a token's name has nothing that nobody sees", async () => {
  serving = await serve(() => undefined);
  expect(tokenName("VS\u202e Code", "lap\ntop")).toBe("VS Code on laptop");
  expect(Array.from(tokenName("x".repeat(300), "y")).length).toBe(100);
});

test("a token ends that another takes the place of", async () => {
  const asked: string[] = [];
  serving = await serve((request, response) => {
    asked.push(`${request.headers.authorization} ${request.method} ${request.url}`);
    if (request.method === "DELETE") response.writeHead(204).end();
    else if (request.headers.authorization === "Bearer dgt_a")
      json(response, 200, { name: "ada", token: "t1" });
    else json(response, 401, { code: "signed-out", detail: "sign in" });
  });
  const [kept, secrets] = [new Map<string, unknown>(), new Map<string, string>()];
  const servers = new Servers(
    { get: (key) => kept.get(key), update: (key, value) => Promise.resolve(void kept.set(key, value)) },
    {
      get: (key) => Promise.resolve(secrets.get(key)),
      store: (key, value) => Promise.resolve(void secrets.set(key, value)),
      delete: (key) => Promise.resolve(void secrets.delete(key)),
    },
  );
  const server = { url: serving.url, user: "ada", trust: { by: "system" } } as const;
  expect(await replace(servers, server, "dgt_a")).toBeUndefined();
  expect(await replace(servers, server, "dgt_a")).toBeUndefined();
  const before = await replace(servers, server, "dgt_b");
  expect(await servers.token(server)).toBe("dgt_b");
  if (before) await endToken(before);
  expect(asked).toEqual(["Bearer dgt_a GET /api/v1/me", "Bearer dgt_a DELETE /api/v1/me/tokens/t1"]);
  // One that has ended is fine.
  const ended = await replace(servers, server, "dgt_c");
  if (ended) await endToken(ended);
  expect(asked.at(-1)).toBe("Bearer dgt_b GET /api/v1/me");
});
