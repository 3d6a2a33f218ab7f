import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { authority, parseAuthority, type Target } from "./authority";
import { expanded, folder, hostsFor, knownHost, leadsTo, wayTo } from "./config";
import { hint, settingsOf } from "./extensions";

test("an address is JSON in hexadecimal, as Remote-SSH extensions read it", () => {
  const target: Target = { by: "address", user: "api.ada", host: "Dev.example.com", port: 2222 };
  const expected = '{"hostName":"Dev.example.com","user":"api.ada","port":2222}';
  expect(authority(target)).toBe(`ssh-remote+${Buffer.from(expected).toString("hex")}`);
  expect(authority(target)).toMatch(/^ssh-remote\+[0-9a-f]+$/);
});

test("a host is named, unless it would be written in lower case or taken for JSON", () => {
  expect(authority({ by: "host", host: "api.home.devgate" })).toBe("ssh-remote+api.home.devgate");
  for (const host of ["Api.home", "abcd", "a b"]) {
    const text = authority({ by: "host", host });
    expect(text).toMatch(/^ssh-remote\+[0-9a-f]+$/);
    expect(parseAuthority(text)).toEqual({ by: "host", host });
  }
});

test("an authority is found out again, in each form", () => {
  const target: Target = { by: "address", user: "api", host: "::1", port: 2222 };
  expect(parseAuthority(authority(target))).toEqual(target);
  expect(parseAuthority("ssh-remote+api@dev:2222")).toEqual({
    by: "address",
    user: "api",
    host: "dev",
    port: 2222,
  });
  expect(parseAuthority("ssh-remote%2Bx")).toBeUndefined();
  expect(parseAuthority("wsl+Debian")).toBeUndefined();
});

const ID = "0123456789abcdef";

test("of a configuration the hosts count that lead to the workspace", () => {
  const text = [
    "Host web.home.devgate",
    "    User web.ada",
    "    ProxyCommand '/usr/bin/devgate' --context home proxy aaaaaaaaaaaaaaaa",
    "",
    "Host api.home.devgate",
    "    User api.ada",
    `    ProxyCommand '/usr/bin/devgate' --context home proxy ${ID}`,
    "",
    "Host -oProxyCommand=x",
    `    ProxyCommand devgate proxy ${ID}`,
    "Host $(x)",
    `    ProxyCommand devgate proxy ${ID}`,
  ].join("\n");
  expect(hostsFor(text, ID)).toEqual(["api.home.devgate", "-oProxyCommand=x"].slice(0, 1));
  expect(leadsTo(`devgate proxy ${ID}`, ID)).toBe(true);
  expect(leadsTo(`devgate proxy x${ID}`, ID)).toBe(false);
});

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "devgate-ssh-"));
  vi.stubEnv("XDG_CONFIG_HOME", join(home, "config"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

test("what is written counts where ssh itself takes it, and not where nothing includes it", async () => {
  const place = folder(process.env, home);
  expect(place).toBe(join(home, "config/devgate/ssh"));
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "home.conf"), `Host api.home.devgate\n    ProxyCommand devgate proxy ${ID}\n`);
  const included = join(home, "included");
  writeFileSync(included, `Include "${place}/*.conf"\n`);
  const empty = join(home, "empty");
  writeFileSync(empty, "");
  // What ssh reads has to be its owner's alone.
  for (const file of [included, empty, join(place, "home.conf")]) chmodSync(file, 0o600);
  execFileSync("ssh", ["-V"], { stdio: "ignore" });
  expect(await knownHost(ID, { program: "ssh", file: included })).toBe("api.home.devgate");
  expect(await knownHost("fedcba9876543210", { program: "ssh", file: included })).toBeUndefined();
  expect(await knownHost(ID, { program: "ssh", file: empty })).toBeUndefined();
  expect(await knownHost(ID, { program: join(home, "missing"), file: included })).toBeUndefined();
});

test("ssh says where a host leads, by a proxy or to an address", async () => {
  const file = join(home, "config-of-ssh");
  const hosts = [
    "Host api.home.devgate",
    "    User api.ada",
    `    ProxyCommand devgate --context home proxy ${ID}`,
    "Host mine",
    "    HostName dev.example.com",
    "    Port 2222",
    "    User api",
  ];
  writeFileSync(file, hosts.join("\n"), { mode: 0o600 });
  const ssh = { program: "ssh", file };
  expect(await wayTo("api.home.devgate", ssh)).toMatchObject({ user: "api.ada", proxied: ID });
  const mine = { user: "api", host: "dev.example.com", port: 2222, proxied: undefined };
  expect(await wayTo("mine", ssh)).toEqual(mine);
  expect(await wayTo("mine", { program: "ssh", file: join(home, "missing") })).toBeUndefined();
  expect(await wayTo("mine", { program: join(home, "missing") })).toBeUndefined();
});

test("a configuration below the home is found as people write it", () => {
  expect(expanded("~/.ssh/work", "/home/ada")).toBe("/home/ada/.ssh/work");
  for (const same of ["/etc/ssh/x", "~bob/x", "x~/y", ""]) expect(expanded(same, "/home/ada")).toBe(same);
});

test("each editor has its extension, and each extension a section of its own", () => {
  expect(hint("cursor").id).toBe("anysphere.remote-ssh");
  expect(hint("windsurf").id).toBe("codeium.windsurf-remote-openssh");
  expect(hint("vscodium").id).toBe("jeanp413.open-remote-ssh");
  expect(hint("vscode").id).toBe("ms-vscode-remote.remote-ssh");
  const section = (...names: string[]) => ({
    properties: Object.fromEntries(names.map((name) => [name, {}])),
  });
  const manifest = (configuration: unknown) => ({ contributes: { configuration } });
  expect(settingsOf(manifest(section("remote.SSH.remotePlatform", "remote.SSH.configFile")))).toEqual({
    platforms: "remote.SSH.remotePlatform",
    configFile: "remote.SSH.configFile",
  });
  expect(settingsOf(manifest([section("a.b"), section("remote.windsurfSSH.configFile")]))).toEqual({
    configFile: "remote.windsurfSSH.configFile",
  });
  for (const nothing of [undefined, null, {}, manifest(undefined)]) expect(settingsOf(nothing)).toEqual({});
});
