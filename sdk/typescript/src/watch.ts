// What happens to a workspace's files.

import { setTimeout as sleep } from "node:timers/promises";

import { ConnectionFailed, DevgateError, NotFound, TimedOut, Unavailable } from "./errors.js";
import { bodyOf, gone, jsonOf } from "./answers.js";
import { followed } from "./lines.js";
import { named, type FilePath } from "./path.js";
import type { Transport } from "./transport.js";
import type { CallOptions, WatchEvent, WatchState } from "./types.js";

/** What to watch. */
export interface WatchOptions extends CallOptions {
  /** Whether the folders in it are watched as well. Default: true. */
  recursive?: boolean;
  /** Patterns of what is told of: `*.rs`, `src/**`. Default: all. */
  include?: string[];
  /** Patterns of what isn't. */
  exclude?: string[];
  /** How long the server keeps events while nobody is connected, in seconds. Default: 600. */
  keepSeconds?: number;
  /** How long the server may say nothing at all, in milliseconds. Default: 60,000. */
  idle?: number;
  /** Is told when the connection broke, before it is made again. */
  onReconnect?: (reason: DevgateError) => void;
}

/** The first pause before connecting again, in milliseconds; it doubles up to the longest. */
const PAUSE = 100;
const LONGEST_PAUSE = 10_000;

/**
 * Events of a folder or file, in order, each once, over as many connections as it takes.
 *
 * An `overflow` says that something may have been missed, so that all has to be looked at again:
 * there were more events than the server keeps, or the workspace was restarted.
 */
export class Watch implements AsyncIterable<WatchEvent> {
  readonly #transport: Transport;
  readonly #base: string;
  readonly #path: FilePath;
  readonly #options: WatchOptions;
  readonly #ending = new AbortController();
  #state: WatchState;
  #last: number;

  private constructor(
    transport: Transport,
    base: string,
    path: FilePath,
    options: WatchOptions,
    state: WatchState,
  ) {
    this.#transport = transport;
    this.#base = base;
    this.#path = path;
    this.#options = options;
    this.#state = state;
    this.#last = state.sequence;
  }

  /** Begins one: what happens from now on is told. */
  static async begin(
    transport: Transport,
    workspace: string,
    path: FilePath,
    options: WatchOptions,
  ): Promise<Watch> {
    const base = `/api/v1/workspaces/${encodeURIComponent(workspace)}/watches`;
    const state = await create(transport, base, path, options, options.signal);
    return new Watch(transport, base, path, options, state);
  }

  /** Its id. */
  get id(): string {
    return this.#state.id;
  }

  /** The number of the last event that was told of. */
  get sequence(): number {
    return this.#last;
  }

  /** Yields what happens until it is closed. Leaving the loop closes it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void, undefined> {
    try {
      let lost = false;
      for (let failures = 0; ;) {
        try {
          if (lost) {
            yield await this.#anew();
            lost = false;
          }
          for await (const event of this.#connection()) {
            failures = 0;
            yield event;
          }
        } catch (error) {
          if (this.#ending.signal.aborted) {
            return;
          }
          this.#options.signal?.throwIfAborted();
          // One that is gone is made anew, which what passes may hinder as well.
          if (error instanceof NotFound && error.code !== "no-such-workspace" && !lost) {
            lost = true;
          } else if (!passing(error)) {
            throw error;
          }
          this.#options.onReconnect?.(error);
        }
        if (this.#ending.signal.aborted) {
          return;
        }
        const most = Math.min(LONGEST_PAUSE, PAUSE * 2 ** failures);
        failures += 1;
        try {
          await sleep(Math.random() * most, undefined, { signal: this.#signal() });
        } catch {
          this.#options.signal?.throwIfAborted();
          return;
        }
      }
    } finally {
      await this.close();
    }
  }

  /** Ends it, here and on the server. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) {
      return;
    }
    this.#ending.abort();
    try {
      await gone(this.#transport.send({ method: "DELETE", path: this.#one(), timeout: 5000 }));
    } catch (error) {
      // The server ends it by itself, as nobody follows it any more.
      if (!(error instanceof DevgateError)) {
        throw error;
      }
    }
  }

  async *#connection(): AsyncGenerator<WatchEvent, void, undefined> {
    const open = async (signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
      const answer = await this.#transport.send({
        method: "GET",
        path: `${this.#one()}/events`,
        query: { since: this.#last },
        headers: { accept: "text/event-stream" },
        signal,
      });
      return bodyOf(answer, signal);
    };
    for await (const { data } of followed(open, this.#signal(), this.#options.idle)) {
      const event = jsonOf<WatchEvent>(data);
      // One that came before the connection broke isn't told of again.
      if (event.sequence > this.#last) {
        this.#last = event.sequence;
        yield event;
      }
    }
  }

  /** Begins another watch where the old one is gone, and says that something may be missing. */
  async #anew(): Promise<WatchEvent> {
    this.#state = await create(
      this.#transport,
      this.#base,
      this.#path,
      this.#options,
      this.#signal(),
    );
    this.#last = this.#state.sequence;
    return { sequence: this.#last, kind: "overflow", path: this.#state.path, folder: true };
  }

  #one(): string {
    return `${this.#base}/${encodeURIComponent(this.#state.id)}`;
  }

  #signal(): AbortSignal {
    const { signal } = this.#options;
    const own = this.#ending.signal;
    return signal === undefined ? own : AbortSignal.any([signal, own]);
  }
}

async function create(
  transport: Transport,
  base: string,
  path: FilePath,
  options: WatchOptions,
  signal?: AbortSignal,
): Promise<WatchState> {
  const { recursive, include, exclude, keepSeconds } = options;
  return transport.json<WatchState>({
    method: "POST",
    path: base,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...named(path),
      recursive,
      include,
      exclude,
      keep_seconds: keepSeconds,
    }),
    signal,
  });
}

function passing(error: unknown): error is DevgateError {
  return (
    error instanceof ConnectionFailed || error instanceof TimedOut || error instanceof Unavailable
  );
}
