// What may be asked again, and when.

import { setTimeout as sleep } from "node:timers/promises";

/** How failures that pass are met. */
export interface RetryOptions {
  /** Most repetitions of one request; 0: none. Default: 4. */
  retries?: number;
  /** The first pause at most, in milliseconds; it doubles with each repetition. Default: 200. */
  firstPause?: number;
  /** The longest pause, in milliseconds, also of a server that asks for more. Default: 20,000. */
  longestPause?: number;
}

const DEFAULTS: Required<RetryOptions> = { retries: 4, firstPause: 200, longestPause: 20_000 };

/** Answers after which the same request can go well. */
const PASSING = new Set([429, 502, 503, 504]);

/** Connections that never came about: nothing was sent. */
const UNSENT = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Decides about repetitions. */
export class Retry {
  readonly #options: Required<RetryOptions>;

  constructor(options: RetryOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Whether there is another attempt after this many. */
  another(attempts: number): boolean {
    return attempts <= this.#options.retries;
  }

  /**
   * Waits before the next attempt: for a random part of a time that doubles ("full jitter"), or
   * for as long as the server asks for. False: it asks for longer than anybody waits here.
   */
  async pause(attempts: number, asked: number | undefined, signal?: AbortSignal): Promise<boolean> {
    const { firstPause, longestPause } = this.#options;
    if (asked !== undefined && asked > longestPause) {
      return false;
    }
    const most = Math.min(longestPause, firstPause * 2 ** (attempts - 1));
    await sleep(asked ?? Math.random() * most, undefined, { signal });
    return true;
  }
}

/** Whether an answer may be another one the next time. */
export function passes(status: number): boolean {
  return PASSING.has(status);
}

/**
 * Whether sending a request twice does no more than sending it once: it reads, deletes, replaces
 * what its precondition names, sets something whole, or says by a key that it is the same one.
 */
export function repeatable(method: string, headers: Headers, wholeBody: boolean): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "DELETE":
      return true;
    case "PUT":
      return (
        wholeBody &&
        (headers.has("if-match") ||
          headers.has("if-none-match") ||
          headers.get("content-type")?.startsWith("application/json") === true)
      );
    case "POST":
      return wholeBody && headers.has("idempotency-key");
    default:
      return false;
  }
}

/** Whether a failure came before anything was sent. */
export function unsent(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const several = cause instanceof AggregateError ? cause.errors : [cause];
    const codes = several.map((one: unknown) => (one as { code?: unknown } | null)?.code);
    if (codes.length > 0 && codes.every((code) => typeof code === "string" && UNSENT.has(code))) {
      return true;
    }
  }
  return false;
}

/** Reads `Retry-After` (RFC 9110 §10.2.3), in milliseconds from now. */
export function milliseconds(retryAfter: string | null): number | undefined {
  if (retryAfter === null) {
    return undefined;
  }
  const seconds = /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) : undefined;
  const wait = seconds === undefined ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
