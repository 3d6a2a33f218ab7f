import { afterEach, beforeEach, expect, test } from "vitest";

import { Lives } from "./lives";
import { Servers } from "./servers";
import { CONNECTION, json, serve, type Serving, WORKSPACE } from "./testing";

let serving: Serving;
/** The tokens of what was asked for. */
let tokens: Set<string | undefined>;
let kept: Map<string, unknown>;
let secrets: Map<string, string>;
let windows: Lives[];
let changes: number;

beforeEach(async () => {
  tokens = new Set();
  kept = new Map();
  secrets = new Map();
  windows = [];
  changes = 0;
  serving = await serve((request, response) => {
    tokens.add(request.headers.authorization);
    if (request.url === "/api/v1/connection") json(response, 200, CONNECTION);
    else if (request.url?.startsWith("/api/v1/workspaces")) {
      json(response, 200, { items: [WORKSPACE], next: null });
    } else response.writeHead(200, { "content-type": "text/event-stream" }).write(": alive\n\n");
  });
});

afterEach(async () => {
  for (const lives of windows) lives.dispose();
  await serving.close();
});

/** A window: it shares what is kept with all others. */
function window(): { servers: Servers; lives: Lives } {
  const servers = new Servers(
    { get: (key) => kept.get(key), update: (key, value) => Promise.resolve(void kept.set(key, value)) },
    {
      get: (key) => Promise.resolve(secrets.get(key)),
      store: (key, value) => Promise.resolve(void secrets.set(key, value)),
      delete: (key) => Promise.resolve(void secrets.delete(key)),
    },
  );
  const lives = new Lives(servers, { changed: () => (changes += 1), sleepSoon: () => undefined });
  windows.push(lives);
  return { servers, lives };
}

function signIn(servers: Servers, token: string): Promise<void> {
  return servers.add({ url: serving.url, user: "ada", trust: { by: "system" } }, token);
}

test("a server that another window signed in to comes with Refresh, and goes with it", async () => {
  const [one, other] = [window(), window()];
  await signIn(one.servers, "dgt_a");
  await other.lives.refresh();
  const [live] = other.lives.all();
  await expect.poll(() => other.lives.places().map(({ workspace }) => workspace.id)).toEqual([WORKSPACE.id]);
  expect(live?.connection).toEqual(CONNECTION);
  await one.servers.remove(serving.url);
  await other.lives.refresh();
  expect(other.lives.all()).toEqual([]);
  expect(live?.signal.aborted).toBe(true);
});

test("whatever stays as it is goes on, and a new token is another connection", async () => {
  const { servers, lives } = window();
  await signIn(servers, "dgt_a");
  await lives.reload();
  const [first] = lives.all();
  await expect.poll(() => first?.workspaces).toBeDefined();
  const before = changes;
  await lives.reload();
  expect(lives.all()).toEqual([first]);
  expect(changes).toBe(before);
  await signIn(servers, "dgt_b");
  await Promise.all([lives.reload(), lives.reload()]);
  expect(first?.signal.aborted).toBe(true);
  await expect.poll(() => lives.all()[0]?.workspaces).toBeDefined();
  expect([...tokens]).toEqual(["Bearer dgt_a", "Bearer dgt_b"]);
});

test("who signs out while the list is read is followed no more", async () => {
  const { servers, lives } = window();
  await signIn(servers, "dgt_a");
  await lives.reload();
  const reloading = lives.reload();
  await servers.remove(serving.url);
  await reloading;
  expect(lives.all()).toEqual([]);
  await lives.reload();
  expect(tokens.has(undefined)).toBe(false);
});

test("a window without the token says so, and asks once it is there", async () => {
  const { servers, lives } = window();
  await signIn(servers, "dgt_a");
  secrets.clear();
  await lives.reload();
  const [first] = lives.all();
  expect(first).toMatchObject({
    signedOut: true,
    problem: expect.stringContaining("reload the window") as string,
  });
  expect(tokens.size).toBe(0);
  secrets.set(`token:${serving.url}`, "dgt_a");
  await lives.refresh();
  await expect.poll(() => lives.places()).toHaveLength(1);
  expect(lives.all()[0]).not.toBe(first);
});
