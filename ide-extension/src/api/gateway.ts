/** Requests to a gateway. */
import http from "node:http";
import https from "node:https";

import {
  type Answer,
  type Given,
  type Method,
  type Path,
  ROOT,
} from "../../../gateway/web/src/api/operation";
import { EventParser, type ServerEvent } from "./events";
import { Problem, refused, unreachable } from "./problem";
import type { Workspace } from "./types";

/** Longest wait for an answer, in milliseconds: the gateway itself waits 60 s at most where it is asked to. */
const TIMEOUT = 75_000;

/** Largest answer that is read, in bytes. */
const LARGEST = 16 * 1024 * 1024;

/** A stream that says nothing for so long is dead, in milliseconds: the gateway shows every 15 s that it lives. */
const SILENCE = 45_000;

/** First and longest pause before a lost stream is asked for again, in milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/** Most entries of a list that are shown. */
const MOST = 2000;

/** Whose certificates are believed. */
export type Trust = { by: "system" } | { by: "authority"; pem: string } | { by: "nobody" };

/** What a request carries, whatever its operation. */
interface Carried {
  path?: Record<string, string | number>;
  query?: Record<string, string | number | boolean | null | undefined>;
  header?: Record<string, string | undefined>;
  body?: unknown;
  signal?: AbortSignal;
}

/** What follows a stream. */
export interface Follower {
  event: (event: ServerEvent) => void;
  /** It is there (again): what was fetched before may be old. */
  opened?: () => void;
  /** It broke, and is asked for again; or, where it was refused, isn't. */
  broken?: (error: Error) => void;
  signal: AbortSignal;
}

/** Returns what the TLS of a connection is told. */
export function tls(trust: Trust): Pick<https.RequestOptions, "ca" | "rejectUnauthorized"> {
  switch (trust.by) {
    case "system":
      return {};
    case "authority":
      return { ca: trust.pem };
    case "nobody":
      // For asking who it is, and for nothing secret.
      return { rejectUnauthorized: false };
  }
}

export class Gateway {
  private readonly agent: http.Agent;

  /** `url` is an origin, as in `https://dev.example.com:8443`. */
  constructor(
    readonly url: string,
    readonly trust: Trust,
    private readonly token?: string,
  ) {
    this.agent = this.isTls
      ? new https.Agent({ keepAlive: true, ...tls(trust) })
      : new http.Agent({ keepAlive: true });
  }

  dispose(): void {
    this.agent.destroy();
  }

  private get isTls(): boolean {
    return this.url.startsWith("https:");
  }

  /** Asks for JSON. An answer without a body is `undefined`. */
  async request<M extends Method, P extends Path<M>>(
    method: M,
    path: P,
    ...[options]: Given<M, P>
  ): Promise<Answer<M, P>> {
    const text = await this.text(method, path, options ?? {});
    // The types are the gateway's own: the document is tested against its answers.
    return (text === "" ? undefined : JSON.parse(text)) as Answer<M, P>;
  }

  /** Asks for text. */
  async text(method: Method, path: string, carried: Carried = {}): Promise<string> {
    const timeout = AbortSignal.timeout(TIMEOUT);
    const signal = carried.signal ? AbortSignal.any([timeout, carried.signal]) : timeout;
    try {
      const response = await this.send(
        method,
        ROOT + fill(path, carried),
        carried,
        "application/json",
        signal,
      );
      const body = await read(response);
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return body;
      throw refused(status, response.headers["content-type"], body);
    } catch (error) {
      throw this.failed(error, timeout.aborted, carried.signal);
    }
  }

  private failed(error: unknown, late: boolean, signal?: AbortSignal): unknown {
    if (error instanceof Problem || signal?.aborted) return error;
    const cause = late ? Object.assign(new Error("no answer"), { name: "TimeoutError" }) : error;
    return unreachable(cause, this.url, this.trust.by);
  }

  /** Returns all workspaces that the caller sees. */
  async workspaces(signal?: AbortSignal): Promise<Workspace[]> {
    const all: Workspace[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? { limit: 200 } : { limit: 200, cursor };
      const page = await this.request("GET", "/workspaces", { query, ...(signal ? { signal } : {}) });
      all.push(...page.items);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined && all.length < MOST);
    return all;
  }

  /** Returns how long a request and its answer take on a connection that is there, in milliseconds. */
  async roundTrip(signal: AbortSignal): Promise<number> {
    // The first one may have to connect.
    await this.alive(signal);
    const begin = performance.now();
    await this.alive(signal);
    return performance.now() - begin;
  }

  private async alive(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([AbortSignal.timeout(10_000), signal]);
    const response = await this.send("GET", "/healthz", {}, "*/*", both);
    const body = await read(response);
    // What stands in front of a gateway answers as well, also where that is gone.
    if (response.statusCode !== 200 || !isAlive(body)) {
      throw refused(response.statusCode ?? 0, response.headers["content-type"], body);
    }
  }

  /**
   * Follows a stream of events until the signal says stop. After a break it goes on with what came
   * after the last event, where events have ids.
   */
  async follow(path: string, carried: Carried, follower: Follower): Promise<void> {
    let pause = FIRST_PAUSE;
    let last: string | undefined;
    const heard = { opened: () => (pause = FIRST_PAUSE), id: (id: string) => (last = id) };
    const { signal } = follower;
    while (!signal.aborted) {
      try {
        const header = { ...carried.header, "Last-Event-ID": last };
        await this.stream(path, { ...carried, header }, follower, heard);
        follower.broken?.(new Problem(0, "ended", `${this.url} ended the stream.`));
      } catch (error) {
        if (isOver(signal)) return;
        const problem = this.failed(error, false) as Error;
        follower.broken?.(problem);
        if (problem instanceof Problem && problem.isFinal) return;
      }
      await rest(pause * (0.75 + Math.random() / 2), signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  private async stream(
    path: string,
    carried: Carried,
    follower: Follower,
    heard: { opened: () => void; id: (id: string) => void },
  ): Promise<void> {
    const target = ROOT + fill(path, carried);
    const quiet = new AbortController();
    const signal = AbortSignal.any([follower.signal, quiet.signal]);
    let timer = setTimeout(() => quiet.abort(), SILENCE);
    try {
      const response = await this.send("GET", target, carried, "text/event-stream", signal);
      if (response.statusCode !== 200) {
        throw refused(response.statusCode ?? 0, response.headers["content-type"], await read(response));
      }
      heard.opened();
      follower.opened?.();
      const parser = new EventParser();
      response.setEncoding("utf8");
      for await (const piece of response) {
        clearTimeout(timer);
        timer = setTimeout(() => quiet.abort(), SILENCE);
        for (const event of parser.push(piece as string)) follower.event(event);
        if (parser.lastId !== undefined) heard.id(parser.lastId);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  private send(
    method: Method,
    target: string,
    carried: Carried,
    accept: string,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const headers: Record<string, string> = {
      accept,
      "user-agent": "devgate-vscode",
      ...this.authorization(),
    };
    for (const [name, value] of Object.entries(carried.header ?? {})) {
      if (value !== undefined) headers[name] = value;
    }
    const body = carried.body === undefined ? undefined : JSON.stringify(carried.body);
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = String(Buffer.byteLength(body));
    }
    return new Promise((resolve, reject) => {
      const options = { method, headers, signal, agent: this.agent, ...tls(this.trust) };
      const request = (this.isTls ? https : http).request(this.url + target, options, resolve);
      request.on("error", reject);
      request.end(body);
    });
  }

  get hasToken(): boolean {
    return this.token !== undefined;
  }

  /** Returns the header that shows the token. */
  authorization(): Record<string, string> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }
}

/** Returns a path with its parameters filled in and encoded. */
export function fill(path: string, { path: parts = {}, query = {} }: Carried): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parts[name] ?? ""));
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${filled}${text === "" ? "" : `?${text}`}`;
}

async function read(response: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LARGEST) {
      response.destroy();
      throw new Problem(0, "too-large", "The answer is larger than a gateway's: check the address.");
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Tells whether the answer of `/healthz` is a gateway's own. */
function isAlive(body: string): boolean {
  try {
    return (JSON.parse(body) as { status?: unknown } | null)?.status === "ok";
  } catch {
    return false;
  }
}

/** Tells whether a signal says stop by now. */
export function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Waits, unless the signal says stop. */
export function rest(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done);
  });
}
