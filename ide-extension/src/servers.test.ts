import { beforeEach, expect, test } from "vitest";

import { isTokenKey, type Server, Servers } from "./servers";

const SERVER: Server = { url: "https://a", user: "ada", trust: { by: "system" } };
let kept: Map<string, unknown>;
let secrets: Map<string, string>;
let servers: Servers;

beforeEach(() => {
  kept = new Map();
  secrets = new Map();
  servers = new Servers(
    {
      get: (key) => kept.get(key),
      update: (key, value) => {
        // As the editor keeps it: as text.
        kept.set(key, JSON.parse(JSON.stringify(value)) as unknown);
        return Promise.resolve();
      },
    },
    {
      get: (key) => Promise.resolve(secrets.get(key)),
      store: (key, value) => Promise.resolve(void secrets.set(key, value)),
      delete: (key) => Promise.resolve(void secrets.delete(key)),
    },
  );
});

test("several servers are kept, each with its token, which stands among the secrets alone", async () => {
  const other: Server = { url: "https://b", user: "bob", trust: { by: "authority", pem: "PEM" } };
  await servers.add(SERVER, "dgt_a");
  await servers.add(other, "dgt_b");
  expect(servers.all()).toEqual([SERVER, other]);
  expect(await servers.token(other)).toBe("dgt_b");
  expect(JSON.stringify([...kept])).not.toContain("dgt_");
  expect([...secrets.keys()].every(isTokenKey)).toBe(true);
});

test("signing in again replaces what was known", async () => {
  await servers.add(SERVER, "dgt_a");
  await servers.add({ ...SERVER, user: "grace" }, "dgt_c");
  expect(servers.all()).toEqual([{ ...SERVER, user: "grace" }]);
  expect(await servers.token(SERVER)).toBe("dgt_c");
});

test("nothing of a server is left once somebody has signed out", async () => {
  await servers.add(SERVER, "dgt_a");
  await servers.remove(SERVER.url);
  expect(servers.all()).toEqual([]);
  expect(secrets.size).toBe(0);
});

test("whoever hears that a token changed finds the list as it is then", async () => {
  const heard: string[][] = [];
  const hears = (memory: Map<string, unknown>) =>
    heard.push(((memory.get("servers") ?? []) as Server[]).map(({ url }) => url));
  servers = new Servers(
    { get: (key) => kept.get(key), update: (key, value) => Promise.resolve(void kept.set(key, value)) },
    {
      get: (key) => Promise.resolve(secrets.get(key)),
      store: () => Promise.resolve(void hears(kept)),
      delete: () => Promise.resolve(void hears(kept)),
    },
  );
  await servers.add(SERVER, "dgt_a");
  await servers.remove(SERVER.url);
  expect(heard).toEqual([[SERVER.url], []]);
});

test("what another version kept, and trust in nobody, is not taken", () => {
  kept.set("servers", [
    { url: "https://a", user: "ada" },
    { ...SERVER, trust: { by: "nobody" } },
    null,
    "x",
    SERVER,
  ]);
  expect(servers.all()).toEqual([SERVER]);
  kept.set("servers", "rubbish");
  expect(servers.all()).toEqual([]);
});
