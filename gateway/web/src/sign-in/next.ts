/** Where one goes after the sign-in. */

/**
 * Returns the path to go to: `next` if it leads to a place on this origin, else `/`.
 *
 * Anything else would let a link to the sign-in send people to a foreign page that
 * looks like ours. Applications on other hosts go through the gateway, which checks
 * that the host is one of its own.
 */
export function safeNext(next: string | null, origin: string): string {
  if (!next?.startsWith("/")) return "/";
  let url: URL;
  try {
    url = new URL(next, origin);
  } catch {
    return "/";
  }
  // `//host` and `/\host` are hosts to a browser, and `/.//host` becomes one of them; the
  // parser tells.
  const foreign = url.origin !== origin || url.pathname.startsWith("//");
  if (foreign || url.pathname === "/sign-in") return "/";
  return url.pathname + url.search + url.hash;
}

/** Whether a path is one of the dashboard's own pages; others are the gateway's to answer. */
export function isPage(path: string): boolean {
  return (!path.startsWith("/api/") || path === "/api/v1/docs") && !path.startsWith("/@");
}

/** Returns the sign-in's address that leads back to where one is. */
export function hereAsNext(here: Pick<Location, "pathname" | "search" | "hash">): string {
  const path = here.pathname + here.search + here.hash;
  return path === "/" || path === "/workspaces" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(path)}`;
}

/** Returns the token of a sign-in link out of an address's fragment. */
export function linkToken(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("link");
  return token === null || token === "" ? null : token;
}
