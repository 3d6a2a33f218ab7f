/** How a window is told which workspace it is to reach over SSH, and how it is found out again. */

/** Where SSH leads. */
export type Target =
  { by: "host"; host: string } | { by: "address"; user: string; host: string; port: number };

const PREFIX = "ssh-remote+";

/** What an authority can hold as it is: it is written in lower case, and `:` and `@` have a meaning in it. */
const PLAIN = /^[a-z0-9._-]+$/;

/**
 * Returns the authority of a remote window.
 *
 * A host of ssh's configuration is named. For an address there is JSON in hexadecimal, which
 * all Remote-SSH extensions read: with `user@host:port` some lose the port.
 */
export function authority(target: Target): string {
  if (target.by === "host" && PLAIN.test(target.host) && !isHexadecimal(target.host)) {
    return PREFIX + target.host;
  }
  const json =
    target.by === "host"
      ? { hostName: target.host }
      : { hostName: target.host, user: target.user, port: target.port };
  return PREFIX + Buffer.from(JSON.stringify(json)).toString("hex");
}

/** Returns what settings of Remote-SSH extensions know a target by. */
export function settingKey(target: Target): string {
  return target.host;
}

/** Returns a host as two that are the same are written: an IPv6 address without its brackets. */
export function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
}

/** It would be taken for JSON. */
function isHexadecimal(host: string): boolean {
  return host.length % 2 === 0 && /^[0-9a-f]+$/.test(host);
}

/** Returns where an authority leads, or `undefined` for one that isn't of SSH. */
export function parseAuthority(text: string): Target | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const rest = decode(text.slice(PREFIX.length));
  if (isHexadecimal(rest)) {
    const target = parseJson(Buffer.from(rest, "hex").toString("utf8"));
    if (target) return target;
  }
  const [, user, host, port] = /^(?:(.*)@)?(.+?)(?::(\d{1,5}))?$/.exec(rest) ?? [];
  if (host === undefined) return undefined;
  return user === undefined ? { by: "host", host } : { by: "address", user, host, port: Number(port ?? 22) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parseJson(text: string): Target | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { hostName, user, port } = value as Record<string, unknown>;
  if (typeof hostName !== "string" || hostName === "") return undefined;
  if (typeof user !== "string") return { by: "host", host: hostName };
  return { by: "address", user, host: hostName, port: typeof port === "number" ? port : 22 };
}
