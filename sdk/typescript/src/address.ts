// Addresses of servers: which may have the token, and where `*.localhost` is.

import { lookup as systemLookup } from "node:dns";
import { isIPv4, type LookupFunction } from "node:net";

/** Where RFC 6761 says that `*.localhost` is, whatever the system's resolver knows of it. */
export const lookup: LookupFunction = (host, options, found) => {
  if (!host.endsWith(".localhost")) {
    systemLookup(host, options, found);
  } else if (options.all === true) {
    found(null, [{ address: "127.0.0.1", family: 4 }]);
  } else {
    found(null, "127.0.0.1", 4);
  }
};

/** Returns the origin of a server's address. */
export function originOf(url: string): string {
  const parsed = new URL(url);
  if (!mayHaveToken(parsed)) {
    throw new TypeError(`${url}: a token goes over https only, or to this machine itself`);
  }
  return parsed.origin;
}

/** Whether nobody on the way can read what is sent there. */
export function mayHaveToken({ hostname, protocol }: URL): boolean {
  const here =
    hostname === "localhost" ||
    hostname.endsWith(".localhost") || // by `lookup`
    hostname === "[::1]" ||
    (isIPv4(hostname) && hostname.startsWith("127."));
  return protocol === "https:" || (protocol === "http:" && here);
}
