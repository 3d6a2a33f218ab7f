/** Hosts that `devgate config-ssh` has written into ssh's configuration. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** How long ssh may take to say what it would do, in milliseconds. */
const TIMEOUT = 5000;

/** Most files that are read, and most of each, in characters. */
const FILES = 32;
const LARGEST = 1024 * 1024;

/** Returns the folder of what `devgate config-ssh` writes. */
export function folder(environment: NodeJS.ProcessEnv, home: string): string {
  const { XDG_CONFIG_HOME: base } = environment;
  return join(base !== undefined && isAbsolute(base) ? base : join(home, ".config"), "devgate", "ssh");
}

/** Returns the hosts of a configuration whose `ProxyCommand` leads to that workspace. */
export function hostsFor(text: string, workspace: string): string[] {
  const found: string[] = [];
  let host: string | undefined;
  for (const line of text.slice(0, LARGEST).split("\n")) {
    const [, word, rest] = /^\s*(\w+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (word?.toLowerCase() === "host") host = rest;
    if (host !== undefined && word?.toLowerCase() === "proxycommand" && leadsTo(rest ?? "", workspace)) {
      found.push(host);
    }
  }
  return found.filter((one) => /^[A-Za-z0-9._-]+$/.test(one));
}

/** Tells whether a command is `… proxy WORKSPACE`. */
export function leadsTo(command: string, workspace: string): boolean {
  return proxied(command) === workspace;
}

function proxied(command: string): string | undefined {
  return / proxy (\S+)\s*$/.exec(command)?.[1];
}

/** What finds out how ssh would reach a host. */
export interface Ssh {
  program: string;
  /** The configuration that it reads instead of the person's own. */
  file?: string | undefined;
}

/** Where ssh takes a host. */
export interface Way {
  user: string;
  host: string;
  port: number;
  /** The workspace's id, where `devgate proxy` leads there. */
  proxied?: string | undefined;
}

/** Returns a path as ssh takes it: a shell's `~` means nothing to it. */
export function expanded(path: string, home: string): string {
  return /^~(?=$|[/\\])/.test(path) ? join(home, path.slice(1)) : path;
}

/** Returns a host that ssh itself takes to a workspace, if `devgate config-ssh` made one. */
export async function knownHost(workspace: string, ssh: Ssh): Promise<string | undefined> {
  const place = folder(process.env, homedir());
  const names = await readdir(place).catch(() => []);
  for (const name of names.filter((one) => one.endsWith(".conf")).slice(0, FILES)) {
    const text = await readFile(join(place, name), "utf8").catch(() => "");
    for (const host of hostsFor(text, workspace)) {
      // It is written; whether it counts, only ssh knows.
      if ((await wayTo(host, ssh))?.proxied === workspace) return host;
    }
  }
  return undefined;
}

/** Asks ssh where a host leads. It connects to nothing. */
export function wayTo(name: string, { program, file }: Ssh): Promise<Way | undefined> {
  const from = file === undefined ? [] : ["-F", file];
  const given = [...from, "-G", "--", name];
  return new Promise((resolve) => {
    execFile(program, given, { timeout: TIMEOUT, maxBuffer: LARGEST }, (error, output) => {
      resolve(error ? undefined : parseWay(output));
    });
  });
}

function parseWay(output: string): Way | undefined {
  const said = (word: string) => new RegExp(`^${word} (.*)$`, "im").exec(output)?.[1];
  const [user, host, port] = [said("user"), said("hostname"), said("port")];
  if (user === undefined || host === undefined || port === undefined) return undefined;
  return { user, host, port: Number(port), proxied: proxied(said("proxycommand") ?? "") };
}
