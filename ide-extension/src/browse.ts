/** Addresses for the browser. */

/**
 * Returns an address so that VS Code in the browser opens it as it is.
 *
 * code-server leads `localhost:PORT` to its own proxy, as what is there is its own host's for
 * most; a gateway's own host is the person's. It knows it in this spelling alone, and for the
 * browser others are the same.
 */
export function unproxied(url: string): string {
  return url
    .replace(/^(https?:\/\/)localhost(?=[:/]|$)/, "$1LOCALHOST")
    .replace(/^(https?:\/\/)127\.0\.0\.1(?=[:/]|$)/, "$1127.1");
}
