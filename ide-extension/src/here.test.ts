import { expect, test, vi } from "vitest";

import type { Connection } from "./api/types";
import { type Here, hereOf, isHere } from "./here";
import { authority } from "./ssh/authority";
import type { Way } from "./ssh/config";
import { CONNECTION, WORKSPACE } from "./testing";

const nowhere = () => Promise.resolve(undefined);

/** Where somebody is signed in, and what is known of that server. */
function at(user: string, connection: Partial<Connection> = {}) {
  const server = { url: "https://dev.example.com", user, trust: { by: "system" } as const };
  return { server, connection: { ...CONNECTION, ...connection } };
}

/** Returns what a window shows that was opened by an authority. */
async function opened(
  text: string,
  resolve: (host: string) => Promise<Way | undefined> = nowhere,
): Promise<Here> {
  return (await hereOf({ authority: text, environment: {} }, resolve)) ?? { by: "id", id: "nothing" };
}

function address(user: string, host = "dev.example.com", port = 2222): Promise<Here> {
  return opened(authority({ by: "address", user, host, port }));
}

test("within a workspace its id says which, whatever it is called on other servers", async () => {
  const environment = { DEVGATE_WORKSPACE_ID: WORKSPACE.id, DEVGATE_WORKSPACE: "api", DEVGATE_OWNER: "ada" };
  const here = await hereOf({ authority: undefined, environment }, nowhere);
  expect(here && isHere(WORKSPACE, at("ada"), here)).toBe(true);
  expect(here && isHere({ ...WORKSPACE, id: "fedcba9876543210" }, at("ada"), here)).toBe(false);
  expect(await hereOf({ authority: undefined, environment: {} }, nowhere)).toBeUndefined();
});

test("an address is a workspace's where name, host and port are its server's", async () => {
  expect(isHere(WORKSPACE, at("ada"), await address("api"))).toBe(true);
  expect(isHere(WORKSPACE, at("ada"), await address("api", "DEV.example.com"))).toBe(true);
  expect(isHere(WORKSPACE, at("bob"), await address("api"))).toBe(false);
  expect(isHere(WORKSPACE, at("bob"), await address("api.ada"))).toBe(true);
  expect(isHere(WORKSPACE, at("ada"), await address("api", "unrelated-host"))).toBe(false);
  expect(isHere(WORKSPACE, at("ada"), await address("api", "dev.example.com", 22))).toBe(false);
  expect(isHere(WORKSPACE, at("ada", { ssh_host: "[::1]" }), await address("api", "::1"))).toBe(true);
  expect(isHere(WORKSPACE, { ...at("ada"), connection: undefined }, await address("api"))).toBe(false);
});

test("a host is what ssh says of it", async () => {
  const way = { user: "api.ada", host: "api.home.devgate", port: 22 };
  const proxied = (id: string) => vi.fn(() => Promise.resolve({ ...way, proxied: id }));
  const own = proxied(WORKSPACE.id);
  expect(isHere(WORKSPACE, at("ada"), await opened("ssh-remote+api.home.devgate", own))).toBe(true);
  expect(own).toHaveBeenCalledExactlyOnceWith("api.home.devgate");
  // Of the same name, by the name of another server.
  const others = proxied("fedcba9876543210");
  expect(isHere(WORKSPACE, at("ada"), await opened("ssh-remote+api.work.devgate", others))).toBe(false);
  // One that people wrote themselves.
  const written = () => Promise.resolve({ user: "api", host: "dev.example.com", port: 2222 });
  expect(isHere(WORKSPACE, at("ada"), await opened("ssh-remote+dev", written))).toBe(true);
  const elsewhere = () => Promise.resolve({ user: "api", host: "unrelated-host", port: 2222 });
  expect(isHere(WORKSPACE, at("ada"), await opened("ssh-remote+dev", elsewhere))).toBe(false);
  expect(isHere(WORKSPACE, at("ada"), await opened("ssh-remote+api.home.devgate"))).toBe(false);
  expect(isHere(WORKSPACE, at("ada"), await opened("wsl+Debian"))).toBe(false);
});
