/** How a request to a gateway fails. */
import type { Trust } from "./gateway";

/** What a gateway's refusals are (RFC 9457). What stands in front of it answers otherwise. */
export const MEDIA_TYPE = "application/problem+json";

/** Refusals that pass by themselves: too late, too early, too many. */
const PASSING = [408, 425, 429];

/** What the gateway answers where it refuses (RFC 9457), or what stood in the way of asking it. */
export class Problem extends Error {
  override name = "Problem";

  constructor(
    readonly status: number,
    /** The gateway's word for it, or ours; empty where the answer is neither's. */
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }

  /** Whether the gateway itself refuses, and would again: not a proxy whose gateway starts anew. */
  get isFinal(): boolean {
    const isRefused = this.status >= 400 && this.status < 500 && !PASSING.includes(this.status);
    return isRefused && this.code !== "";
  }

  /** Whether nobody is signed in any more. */
  get signedOut(): boolean {
    return this.isFinal && this.status === 401;
  }
}

/** The certificate of a server is of an authority that isn't trusted. */
export class Untrusted extends Error {
  override name = "Untrusted";
}

/** Node's words for a certificate whose issuer isn't known; others are mistakes that nobody should overlook. */
const UNKNOWN_ISSUER = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Returns what a connection's error means, with what to do next. */
export function unreachable(error: unknown, url: string, knownBy: Trust["by"]): Error {
  const code = codeOf(error);
  if (UNKNOWN_ISSUER.has(code)) {
    if (knownBy === "authority") {
      return new Untrusted(
        `The certificate of ${url} is of another authority than the one that it is known by: somebody may be in ` +
          "between. Ask who runs the server whether it has a new one, and only then sign in to it again.",
      );
    }
    return new Untrusted(
      `The certificate of ${url} is of an authority that this machine doesn't know: sign in to it again to ` +
        "compare its fingerprint, or name the authority's file in the setting devgate.certificateAuthority.",
    );
  }
  return new Problem(0, "unreachable", `${url} can't be reached: ${reason(code, error)}`);
}

function reason(code: string, error: unknown): string {
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name isn't known here. Check the address and your network.";
    case "ECONNREFUSED":
      return "nothing listens there. Check the port, and that devgate runs.";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "its certificate is for another name. Use the address that `devgate status` shows on the server.";
    case "CERT_HAS_EXPIRED":
      return "its certificate is too old. Check this machine's clock; else the server's administrator renews it.";
    case "EPROTO":
      return "it doesn't speak TLS. Check the port and whether it is http:// or https://.";
    case "TimeoutError":
      return "it didn't answer in time. Check your network, then try again.";
    default:
      return `${error instanceof Error ? error.message : String(error)}. Check your network, then try again.`;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? code : error.name;
}

/** Returns a problem for an answer that refuses. */
export function refused(status: number, type: string | undefined, body: string): Problem {
  const isOurs = type?.split(";")[0]?.trim().toLowerCase() === MEDIA_TYPE;
  let fields: unknown;
  try {
    fields = isOurs ? JSON.parse(body) : undefined;
  } catch {
    fields = undefined;
  }
  const field = (name: string): string | undefined => {
    if (typeof fields !== "object" || fields === null) return undefined;
    const value: unknown = (fields as Record<string, unknown>)[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return new Problem(
    status,
    field("code") ?? "",
    sentence(field("detail") ?? field("title") ?? `the server answered ${status}`),
  );
}

/** Returns a text as people write sentences. */
export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Returns what to say of an error. */
export function explain(error: unknown): string {
  return error instanceof Error ? sentence(error.message) : String(error);
}
