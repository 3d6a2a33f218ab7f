// Programs in a workspace.

import type WebSocket from "ws";
import type { RawData } from "ws";

import { answered, type Api } from "./api.js";
import { ConnectionFailed, errorOf, problemOf, without } from "./errors.js";
import { bodyOf, gone, jsonOf } from "./answers.js";
import { IDLE } from "./lines.js";
import { withResolvers } from "./socket.js";
import type { Body, Transport } from "./transport.js";
import type {
  CallOptions,
  Process,
  ProcessControl,
  ProcessNotice,
  ProcessRequest,
  ProcessResult,
} from "./types.js";

/** A part of what a program writes. */
export interface Output {
  stream: "stdout" | "stderr";
  data: Uint8Array;
}

/** How much output waits here before the socket, and with it the program, has to. In bytes. */
const WINDOW = 256 * 1024;

/** How long a program has to be hung up in, when nobody is there any more. In milliseconds. */
const CLOSING = 2000;

/** How a program is followed. */
export interface RunOptions extends CallOptions {
  /** How long the server may say nothing at all, in milliseconds. Default: 60,000. */
  idle?: number;
}

/** The programs of one workspace that were started over the API. */
export class Processes {
  readonly #api: Api;
  readonly #transport: Transport;
  readonly #id: string;

  constructor(api: Api, transport: Transport, id: string) {
    this.#api = api;
    this.#transport = transport;
    this.#id = id;
  }

  /**
   * Runs a program and returns at once; what it writes is read from the result. It stops while
   * nobody reads, and ends with this program, unless `detach` is said.
   */
  async run(request: ProcessRequest, options: RunOptions = {}): Promise<Run> {
    const socket = await this.#transport.socket(this.#path("/run"), undefined, options.signal);
    return Run.begin(socket, options, request);
  }

  /** Follows a program that was started before, from some of its bytes on. */
  async attach(
    process: string,
    options: RunOptions & { stdoutFrom?: number; stderrFrom?: number } = {},
  ): Promise<Run> {
    const query = { stdout_from: options.stdoutFrom, stderr_from: options.stderrFrom };
    const path = this.#path(`/${encodeURIComponent(process)}/attach`);
    const begin = async (): Promise<Run> =>
      Run.begin(await this.#transport.socket(path, query, options.signal), options);
    return this.#transport.repeated(begin, options.signal);
  }

  /**
   * Runs a program to its end and returns what it wrote, up to `keep_bytes` of each output. An
   * exit code other than 0 is no error. When `signal` aborts, the program ends.
   *
   * What it wrote is a text: U+FFFD stands for what isn't UTF-8 there. The bytes are what `run`
   * yields, or `output` of the result's `process.id`.
   */
  async exec(request: ProcessRequest, options: CallOptions = {}): Promise<ProcessResult> {
    return this.#transport.json<ProcessResult>({
      method: "POST",
      path: this.#path(""),
      query: { wait: true, attached: true },
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      signal: options.signal,
      timeout: null,
    });
  }

  /** Starts a program that goes on by itself. */
  async start(request: ProcessRequest, options: CallOptions = {}): Promise<Process> {
    return this.#transport.json<Process>({
      method: "POST",
      path: this.#path(""),
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      signal: options.signal,
    });
  }

  /** Yields the programs, oldest first. */
  async *list(
    options: CallOptions & { state?: Process["state"] } = {},
  ): AsyncGenerator<Process, void, undefined> {
    let cursor: string | undefined;
    do {
      const query = { state: options.state, cursor };
      const params = { path: { id: this.#id }, query };
      const asked = { params, signal: options.signal };
      const page = answered(await this.#api.GET("/api/v1/workspaces/{id}/processes", asked));
      yield* page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Shows a program. */
  async get(process: string, options: CallOptions = {}): Promise<Process> {
    return this.#show(process, 0, options.signal);
  }

  /** Waits for the end of a program. */
  async wait(process: string, options: CallOptions = {}): Promise<Process> {
    for (;;) {
      const now = await this.#show(process, 50, options.signal);
      if (now.state === "ended") {
        return now;
      }
    }
  }

  /** Reads what is kept of an output, and with `follow` what comes, to its end. */
  async output(
    process: string,
    stream: Output["stream"],
    options: CallOptions & { from?: number; follow?: boolean } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const { from, follow, signal } = options;
    const path = this.#path(`/${encodeURIComponent(process)}/output`);
    const query = { stream, from, follow };
    // With `follow` it begins with what the program writes next.
    const timeout = follow === true ? null : undefined;
    const sending = { method: "GET", path, query, signal, timeout };
    return bodyOf(await this.#transport.send(sending), signal);
  }

  /** Writes to a program's stdin, if it was started with `stdin: "open"`. */
  async input(
    process: string,
    content: Body,
    options: CallOptions & { close?: boolean } = {},
  ): Promise<void> {
    const answer = await this.#transport.send({
      method: "POST",
      path: this.#path(`/${encodeURIComponent(process)}/input`),
      query: { close: options.close },
      headers: { "content-type": "application/octet-stream" },
      body: content,
      signal: options.signal,
      timeout: null,
    });
    await answer.body?.cancel();
  }

  /** Sends a signal, `INT` say, to a program's group. */
  async signal(process: string, signal: string, options: CallOptions = {}): Promise<void> {
    const params = { path: { id: this.#id, process } };
    const asked = { params, body: { signal }, signal: options.signal };
    await this.#api.POST("/api/v1/workspaces/{id}/processes/{process}/signal", asked);
  }

  /** Ends a program (TERM, and KILL 5 s later) and forgets it. */
  async end(process: string, options: CallOptions = {}): Promise<void> {
    const path = this.#path(`/${encodeURIComponent(process)}`);
    await gone(this.#transport.send({ method: "DELETE", path, signal: options.signal }));
  }

  async #show(process: string, seconds: number, signal?: AbortSignal): Promise<Process> {
    const params = { path: { id: this.#id, process }, query: { wait_seconds: seconds } };
    const asked = { params, signal };
    return answered(await this.#api.GET("/api/v1/workspaces/{id}/processes/{process}", asked));
  }

  #path(rest: string): string {
    return `/api/v1/workspaces/${encodeURIComponent(this.#id)}/processes${rest}`;
  }
}

/**
 * A program that runs. Read it (`for await`), or `wait` for it, which leaves out what it writes:
 * one that nobody reads waits.
 */
export class Run implements AsyncIterable<Output> {
  readonly #socket: WebSocket;
  readonly #queue: Output[] = [];
  readonly #begun = withResolvers<Process>();
  readonly #over = withResolvers<Process>();
  #queued = 0;
  #state: "open" | "ended" | "failed" = "open";
  #dropped = 0;
  #wake: (() => void) | undefined;
  #process: Process | undefined;
  #silence: NodeJS.Timeout | undefined;
  readonly #idle: number;

  private constructor(socket: WebSocket, { signal, idle = IDLE }: RunOptions) {
    this.#socket = socket;
    this.#idle = idle;
    // Whoever doesn't ask how it ended is told by the loop.
    this.#begun.promise.catch(() => undefined);
    this.#over.promise.catch(() => undefined);
    const abort = (): void => {
      this.#fail(signal?.reason);
      socket.terminate();
    };
    signal?.addEventListener("abort", abort, { once: true });
    socket.on("ping", () => this.#heard());
    socket.on("message", (data, binary) => {
      this.#heard();
      if (binary) {
        this.#take(data);
        return;
      }
      try {
        this.#hear(data);
      } catch (error) {
        this.#fail(error);
        socket.terminate();
      }
    });
    socket.on("error", (error) => {
      this.#fail(without(ConnectionFailed, "connection-failed", error.message, undefined, error));
    });
    socket.on("close", (code, reason) => {
      signal?.removeEventListener("abort", abort);
      clearTimeout(this.#silence);
      const why = reason.length > 0 ? `: ${reason.toString("utf8")}` : "";
      const text = `the connection to the program ended (${code}${why})`;
      this.#fail(without(ConnectionFailed, "cut-off", text));
    });
    this.#resume();
  }

  /** Begins one over a socket: with what is to be run, or with what runs. */
  static async begin(
    socket: WebSocket,
    options: RunOptions,
    request?: ProcessRequest,
  ): Promise<Run> {
    const run = new Run(socket, options);
    if (request !== undefined) {
      socket.send(JSON.stringify(request));
    }
    await run.#begun.promise;
    return run;
  }

  /** The program as it was when this was last told: at its start, and at its end. */
  get process(): Process {
    if (this.#process === undefined) {
      throw new TypeError("nothing has begun yet");
    }
    return this.#process;
  }

  /** How much of what it wrote was left out, in bytes: none of what `run` started. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Yields what it writes, in order, to its end. Leaving the loop closes the connection. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Output, void, undefined> {
    try {
      for (;;) {
        const output = this.#queue.shift();
        if (output !== undefined) {
          this.#queued -= output.data.length;
          if (this.#queued < WINDOW && this.#socket.isPaused) {
            this.#resume();
          }
          yield output;
        } else if (this.#state !== "open") {
          await this.#over.promise;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  /** Waits for its end, and leaves out what it writes from now on. */
  async wait(): Promise<Process> {
    for await (const output of this) {
      void output;
    }
    return this.#over.promise;
  }

  /** How it ended, once all that it wrote was read. */
  get ended(): Promise<Process> {
    return this.#over.promise;
  }

  /** Writes to its stdin, and waits while it doesn't read. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    // Nothing at all would be the end.
    for (let at = 0; at < bytes.length; at += WINDOW) {
      await this.#send(framed(bytes.subarray(at, at + WINDOW)));
    }
  }

  /** Ends its stdin. */
  async closeInput(): Promise<void> {
    await this.#send(framed(new Uint8Array()));
  }

  /** Sends a signal, `INT` say, to its group. */
  async signal(signal: string): Promise<void> {
    await this.#say({ signal });
  }

  /** Says how large its terminal is, in cells. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#say({ resize: { columns, rows } });
  }

  /** Lets it go on when this connection ends. */
  async detach(): Promise<void> {
    await this.#say({ detach: true });
  }

  /** Closes the connection; a program that still runs is hung up, unless it was detached. */
  close(): void {
    if (this.#socket.readyState === this.#socket.OPEN) {
      this.#resume();
      this.#socket.close(1000);
      setTimeout(() => this.#socket.terminate(), CLOSING).unref();
    }
  }

  async #say(control: ProcessControl): Promise<void> {
    await this.#send(JSON.stringify(control));
  }

  async #send(message: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.send(message, (error) => {
        if (error) {
          const text = "the program has ended, or its connection has";
          reject(without(ConnectionFailed, "closed", text, undefined, error));
        } else {
          resolve();
        }
      });
    });
  }

  #take(data: RawData): void {
    const bytes = data as Buffer;
    const channel = bytes[0];
    if (channel !== 1 && channel !== 2) {
      return; // of a server that knows more
    }
    const part = bytes.subarray(1);
    this.#queue.push({ stream: channel === 1 ? "stdout" : "stderr", data: part });
    this.#queued += part.length;
    if (this.#queued >= WINDOW) {
      this.#socket.pause();
      clearTimeout(this.#silence); // nor are the server's pings read
    }
    this.#stir();
  }

  #resume(): void {
    this.#socket.resume();
    this.#heard();
  }

  /** The server pings every 15 s: one that isn't heard for long is gone, or the way to it is. */
  #heard(): void {
    clearTimeout(this.#silence);
    if (this.#socket.readyState === this.#socket.CLOSED) {
      return;
    }
    this.#silence = setTimeout(() => {
      const text = `the server was silent for ${this.#idle} ms`;
      this.#fail(without(ConnectionFailed, "cut-off", text));
      this.#socket.terminate();
    }, this.#idle);
  }

  #hear(data: RawData): void {
    const notice = jsonOf<ProcessNotice>((data as Buffer).toString("utf8"));
    if (notice.started) {
      this.#begin(notice.started);
    } else if (notice.attached) {
      this.#begin(notice.attached.process);
    } else if (notice.dropped) {
      this.#dropped += notice.dropped.bytes;
    } else if (notice.error) {
      this.#fail(errorOf(problemOf(notice.error.status, notice.error)));
    } else if (notice.ended) {
      this.#process = notice.ended;
      this.#state = "ended";
      this.#over.resolve(notice.ended);
      this.#stir();
    }
  }

  #begin(process: Process): void {
    this.#process = process;
    this.#begun.resolve(process);
  }

  #fail(reason: unknown): void {
    if (this.#state !== "open") {
      return;
    }
    this.#state = "failed";
    this.#begun.reject(reason);
    this.#over.reject(reason);
    this.#stir();
  }

  #stir(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** Puts data on the channel of stdin. */
function framed(data: Uint8Array): Uint8Array {
  const message = new Uint8Array(data.length + 1);
  message.set(data, 1);
  return message;
}
