// What may be asked again, and when.

import { setTimeout as sleep } from "node:timers/promises";

import { ConnectionFailed, DevgateError, TimedOut } from "./errors.js";

/** How failures that pass are met. */
export interface RetryOptions {
  /** Most repetitions of one request, but for `patience`; 0: none at all. Default: 4. */
  retries?: number;
  /**
   * For how long a request is repeated, however often, while the server can't be reached or answers
   * 503, as when it starts again; in milliseconds since that was first seen. Default: 60,000.
   */
  patience?: number;
  /** The first pause at most, in milliseconds; it doubles with each repetition. Default: 200. */
  firstPause?: number;
  /** The longest pause, in milliseconds, also of a server that asks for more. Default: 20,000. */
  longestPause?: number;
}

const DEFAULTS: Required<RetryOptions> = {
  retries: 4,
  patience: 60_000,
  firstPause: 200,
  longestPause: 20_000,
};

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

/** What is seen of a server that ends, or isn't there yet. A name that is unknown is no sign of it. */
const AWAY = new Set([
  ...[...UNSENT].filter((code) => code !== "ENOTFOUND"),
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_SOCKET",
]);

/** Certificates that aren't what they should be, and what isn't TLS: no pause mends that. */
const LASTING = /CERT|^ERR_SSL_|^ERR_TLS_|^UNABLE_TO_|^HOSTNAME_MISMATCH$|^EPROTO$/;

/** The longest pause while a server is away, in milliseconds: it is soon back. */
const AWAY_PAUSE = 2000;

/** Decides about repetitions. */
export class Retry {
  readonly #options: Required<RetryOptions>;

  constructor(options: RetryOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Begins with one request. */
  begin(): Repetition {
    return new Repetition(this.#options);
  }
}

/** The repetitions of one request. */
class Repetition {
  readonly #options: Required<RetryOptions>;
  #failures = 0;
  #away: number | undefined;

  constructor(options: Required<RetryOptions>) {
    this.#options = options;
  }

  /**
   * Waits before the next attempt: for a random part of a time that doubles ("full jitter"), or
   * for as long as the server asks for. False: there is no other, or the server asks for longer
   * than anybody waits here.
   */
  async pause(failure: DevgateError, signal?: AbortSignal): Promise<boolean> {
    const { retries, patience, firstPause, longestPause } = this.#options;
    const asked = failure.retryAfter;
    this.#failures += 1;
    if (retries === 0 || lasts(failure) || (asked !== undefined && asked > longestPause)) {
      return false;
    }
    const away = isAway(failure);
    const most = Math.min(
      away ? Math.min(longestPause, AWAY_PAUSE) : longestPause,
      firstPause * 2 ** (this.#failures - 1),
    );
    const wait = asked ?? Math.random() * most;
    const now = performance.now();
    this.#away ??= away ? now : undefined;
    const until = away ? (this.#away ?? now) + patience : now;
    if (this.#failures > retries && now + wait > until) {
      return false;
    }
    await sleep(wait, undefined, { signal });
    return true;
  }
}

/** Whether the server can't be reached, or says that it isn't ready. */
function isAway(failure: DevgateError): boolean {
  return failure instanceof ConnectionFailed ? someCode(failure, AWAY) : failure.status === 503;
}

/** Whether the same would fail again. */
function lasts(failure: DevgateError): boolean {
  return codesOf(failure).some((codes) => codes.some((code) => LASTING.test(code)));
}

/** Whether an answer may be another one the next time. */
export function passes(status: number): boolean {
  return PASSING.has(status);
}

/** Whether what failed can go well when it is tried again. */
export function mayPass(error: unknown): error is DevgateError {
  const unanswered = error instanceof ConnectionFailed || error instanceof TimedOut;
  return unanswered || (error instanceof DevgateError && passes(error.status));
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
  return someCode(error, UNSENT);
}

/** Whether a cause is one of these; where there were several at once, all of them. */
function someCode(error: unknown, wanted: ReadonlySet<string>): boolean {
  return codesOf(error).some(
    (codes) => codes.length > 0 && codes.every((code) => wanted.has(code)),
  );
}

/** Returns what the system called an error and its causes. */
function codesOf(error: unknown): string[][] {
  const all: string[][] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const several: unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
    all.push(several.map((one) => String((one as { code?: unknown } | null)?.code)));
  }
  return all;
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
