// Requests: one pool of connections, the token, time-outs, repetitions, errors.

import { readFileSync } from "node:fs";

import { Agent, fetch, Headers, type Request, type Response } from "undici";
import type WebSocket from "ws";

import { lookup, mayHaveToken, originOf } from "./address.js";
import { jsonOf, parsed, textOf } from "./answers.js";
import {
  ConnectionFailed,
  DevgateError,
  errorOf,
  problemOf,
  TimedOut,
  without,
  type Asked,
} from "./errors.js";
import { encoded } from "./path.js";
import {
  mayPass,
  milliseconds,
  passes,
  repeatable,
  Retry,
  unsent,
  type RetryOptions,
} from "./retry.js";
import { openSocket } from "./socket.js";

/** Where the server is, and who asks. */
export interface TransportOptions {
  /** The server's address, `https://dev.example.com:8443`. Default: `DEVGATE_URL`. */
  url?: string;
  /** An API token. Default: `DEVGATE_TOKEN`. */
  token?: string;
  /**
   * The one authority that the server's certificate has to be of: PEM, or a file with it.
   * Default: the file that `DEVGATE_CA` names, else those that Node trusts.
   */
  ca?: string;
  /** How long an answer may take to begin once all was sent, in milliseconds. Default: 60,000. */
  timeout?: number;
  /** How failures that pass are met. */
  retry?: RetryOptions;
}

/** What is sent: at once, or as it comes. */
export type Body = string | Uint8Array | AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** One request. */
export interface Sending {
  method: string;
  /** The path below `base`, or a whole address that is below it. */
  path: string;
  /** Where the token may go: an application's address with a slash at its end. Default: the server's. */
  base?: string;
  query?: Record<string, string | number | boolean | Uint8Array | undefined>;
  headers?: Record<string, string | undefined>;
  body?: Body;
  signal?: AbortSignal;
  /** How long the answer may take to begin once all was sent, in milliseconds; null: for ever. */
  timeout?: number | null;
  /** Whether it is safe to repeat, whatever its method. */
  again?: boolean;
}

/** Longest body of an error that is read, in bytes. */
const MAX_PROBLEM = 256 * 1024;

/** How long a connection may take, in milliseconds. */
const CONNECT = 10_000;

/** After how long without anything the system asks whether a peer is still there, in milliseconds. */
const KEEP_ALIVE = 30_000;

const encoder = new TextEncoder();

/** How much is sent before the time for it begins anew, in bytes. */
const PIECE = 64 * 1024;

/** Sends requests. */
export class Transport {
  /** The server's address, without a slash at its end. */
  readonly origin: string;
  readonly #token: string;
  readonly #ca: string | undefined;
  readonly #timeout: number;
  readonly #retry: Retry;
  readonly #agent: Agent;
  readonly #sockets = new Set<WebSocket>();

  constructor(options: TransportOptions) {
    const url = given(options.url, "DEVGATE_URL");
    if (url === undefined) {
      throw new TypeError("no server is named: give `url`, or set DEVGATE_URL");
    }
    // What is read from a file ends in a newline.
    const token = given(options.token, "DEVGATE_TOKEN")?.trim() ?? "";
    if (token === "") {
      throw new TypeError("no token is given: give `token`, or set DEVGATE_TOKEN");
    }
    if (!/^[!-~]+$/.test(token)) {
      throw new TypeError("the token has characters that none can have");
    }
    this.origin = originOf(url);
    this.#token = token;
    const ca = given(options.ca, "DEVGATE_CA");
    this.#ca = ca === undefined ? undefined : authorityOf(ca);
    this.#timeout = options.timeout ?? 60_000;
    this.#retry = new Retry(options.retry);
    this.#agent = new Agent({
      // Times are measured here: what is followed may be silent for long.
      headersTimeout: 0,
      bodyTimeout: 0,
      // The server ends what is idle after 10 s: what it is about to end isn't used again.
      keepAliveTimeout: 8_000,
      connect: {
        ca: this.#ca,
        timeout: CONNECT,
        lookup,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE,
      },
    });
  }

  /** Sends a request and returns an answer that doesn't refuse; its body is the caller's. */
  async send(sending: Sending): Promise<Response> {
    const { method, signal } = sending;
    const url = this.#urlOf(sending);
    const headers = new Headers({ authorization: `Bearer ${this.#token}` });
    for (const [name, value] of Object.entries(sending.headers ?? {})) {
      if (value !== undefined) {
        headers.set(name, value);
      }
    }
    const body = typeof sending.body === "string" ? encoder.encode(sending.body) : sending.body;
    if (typeof sending.body === "string" && !headers.has("content-type")) {
      headers.set("content-type", "text/plain;charset=UTF-8");
    }
    if (body instanceof Uint8Array) {
      headers.set("content-length", String(body.length));
    }
    const whole = body === undefined || body instanceof Uint8Array;
    const again = whole && (sending.again ?? repeatable(method, headers, whole));
    const repetition = this.#retry.begin();
    for (let attempts = 1; ; attempts++) {
      signal?.throwIfAborted();
      const asked: Asked = { method, path: url.pathname, attempts };
      let failure: DevgateError;
      try {
        const answer = await this.#once(url, { ...sending, body }, headers, asked);
        if (answer.ok) {
          return answer;
        }
        const retryAfter = milliseconds(answer.headers.get("retry-after"));
        failure = errorOf(problemOf(answer.status, await problemIn(answer)), asked, retryAfter);
        if (!(again && passes(answer.status))) {
          throw failure;
        }
      } catch (error) {
        if (!(error instanceof ConnectionFailed || error instanceof TimedOut)) {
          throw error;
        }
        if (!(again || (whole && unsent(error)))) {
          throw error;
        }
        failure = error;
      }
      if (!(await repetition.pause(failure, signal))) {
        throw failure;
      }
    }
  }

  /** Sends a request and reads JSON. */
  async json<T>(sending: Sending): Promise<T> {
    return jsonOf<T>(await textOf(await this.send(sending), sending.signal));
  }

  /** Does again what failures that pass may hinder, as often as a request is repeated. */
  async repeated<T>(once: (attempts: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const repetition = this.#retry.begin();
    for (let attempts = 1; ; attempts++) {
      signal?.throwIfAborted();
      try {
        return await once(attempts);
      } catch (error) {
        if (!mayPass(error) || !(await repetition.pause(error, signal))) {
          throw error;
        }
      }
    }
  }

  /**
   * Opens a WebSocket, once the server has agreed. What is wanted of it is said later, so that this
   * is repeated as anything that reads.
   */
  async socket(path: string, query?: Sending["query"], signal?: AbortSignal): Promise<WebSocket> {
    const url = this.#urlOf({ method: "GET", path, query });
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const asked = { method: "GET", path: url.pathname };
    const options = {
      headers: { authorization: `Bearer ${this.#token}` },
      ca: this.#ca,
      handshakeTimeout: this.#timeout,
      keepAlive: KEEP_ALIVE,
    };
    return this.repeated((attempts) => {
      const opening = openSocket(url, options, { ...asked, attempts }, signal);
      this.#sockets.add(opening.socket);
      opening.socket.once("close", () => this.#sockets.delete(opening.socket));
      return opening.open;
    }, signal);
  }

  /** Answers requests of `openapi-fetch`, whose bodies are small. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const { searchParams } = new URL(request.url);
    const waits = Number(searchParams.get("wait_seconds") ?? searchParams.get("wait") ?? 0);
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    return this.send({
      method: request.method,
      path: request.url,
      headers: Object.fromEntries(request.headers),
      body,
      signal: request.signal as AbortSignal,
      // Whoever waits for an end that nobody knows gives a signal.
      timeout: Number.isNaN(waits) ? null : this.#timeout + waits * 1000,
    });
  };

  /** Ends all connections, those with something under way included. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.terminate();
    }
    await this.#agent.destroy();
  }

  /** Returns where a request goes. Whatever its path says, the token stays below its base. */
  #urlOf({ path, base, query }: Sending): URL {
    const below = new URL(base ?? `${this.origin}/`);
    const url = new URL(path, below);
    if (!url.href.startsWith(below.href) || !mayHaveToken(below)) {
      throw new TypeError(`the token isn't sent to ${url.href}, which isn't below ${below.href}`);
    }
    const raw: string[] = [];
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value instanceof Uint8Array) {
        raw.push(`${name}=${encoded(value)}`);
      } else if (value !== undefined) {
        url.searchParams.set(name, String(value));
      }
    }
    if (raw.length > 0) {
      // At last: whatever is set after it makes UTF-8 of it.
      url.search = [url.search.slice(1), ...raw].filter((one) => one !== "").join("&");
    }
    return url;
  }

  /**
   * Sends it once. The time begins anew with each piece that was taken, and ends with the answer's
   * head; a signal ends the body, too.
   */
  async #once(url: URL, sending: Sending, headers: Headers, asked: Asked): Promise<Response> {
    const { method, signal, body } = sending;
    const streams = body !== undefined && !(body instanceof Uint8Array);
    // What is sent as it comes takes as long as it takes.
    const timeout = sending.timeout === undefined && !streams ? this.#timeout : sending.timeout;
    const ending = new AbortController();
    let late = false;
    let timer =
      timeout === undefined || timeout === null
        ? undefined
        : setTimeout(() => {
            late = true;
            ending.abort();
          }, timeout);
    try {
      return await fetch(url, {
        method,
        headers,
        body: (body instanceof Uint8Array ? inPieces(body, () => timer?.refresh()) : body) as
          Uint8Array | undefined,
        ...(body === undefined ? {} : { duplex: "half" as const }),
        signal: signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]),
        redirect: "manual",
        dispatcher: this.#agent,
      });
    } catch (error) {
      if (signal?.aborted === true) {
        throw signal.reason;
      }
      if (late) {
        const text = `there was no answer within ${String(timeout)} ms`;
        throw without(TimedOut, "timed-out", text, asked, error);
      }
      throw without(ConnectionFailed, "connection-failed", chain(error), asked, error);
    } finally {
      clearTimeout(timer);
      timer = undefined;
    }
  }
}

/** Yields pieces, and tells of each that was taken. */
async function* inPieces(body: Uint8Array, taken: () => void): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE) {
    yield body.subarray(at, at + PIECE);
    taken();
  }
}

/** Returns an authority's certificate: PEM, or what a file has. */
function authorityOf(ca: string): string {
  const isText = ca.includes("-----BEGIN");
  const pem = isText ? ca : readFileSync(ca, "utf8");
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new TypeError(`${isText ? "what `ca` says" : ca} is no authority's certificate, PEM`);
  }
  return pem;
}

function given(option: string | undefined, variable: string): string | undefined {
  // An empty variable is none.
  return option ?? (process.env[variable] || undefined);
}

/** Reads the body of an answer that refuses, so that its connection can be used again. */
async function problemIn(answer: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of answer.body ?? []) {
      length += part.length;
      if (length > MAX_PROBLEM) {
        break;
      }
      parts.push(part);
    }
  } catch {
    // The status is enough.
  }
  return parsed(Buffer.concat(parts).toString("utf8"));
}

/** Says what failed, down to the cause: `fetch failed` alone helps nobody. */
export function chain(error: unknown): string {
  const texts: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const text = cause.message || String((cause as { code?: unknown }).code ?? cause.name);
    if (!texts.includes(text)) {
      texts.push(text);
    }
  }
  return texts.join(": ") || String(error);
}
