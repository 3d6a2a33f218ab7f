// Snapshots of workspaces.

import { setTimeout as sleep } from "node:timers/promises";

import { answered, type Api } from "./api.js";
import { Failed, TimedOut, without } from "./errors.js";
import { gone } from "./answers.js";
import type { Transport } from "./transport.js";
import type { CallOptions, Snapshot, WaitOptions } from "./types.js";

/** How long a snapshot that is awaited may take, in milliseconds. */
const PATIENCE = 600_000;

/** How long to wait between two looks, in milliseconds. */
const LOOK = 500;

/** Snapshots, of one workspace or of all. */
export class Snapshots {
  readonly #api: Api;
  readonly #transport: Transport;
  readonly #workspace: string | undefined;

  constructor(api: Api, transport: Transport, workspace?: string) {
    this.#api = api;
    this.#transport = transport;
    this.#workspace = workspace;
  }

  /** Yields the snapshots. */
  async *list(options: CallOptions = {}): AsyncGenerator<Snapshot, void, undefined> {
    let cursor: string | undefined;
    do {
      const params = { query: { workspace: this.#workspace, cursor } };
      const asked = { params, signal: options.signal };
      const page = answered(await this.#api.GET("/api/v1/snapshots", asked));
      yield* page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Shows a snapshot. */
  async get(id: string, options: CallOptions = {}): Promise<Snapshot> {
    const asked = { params: { path: { id } }, signal: options.signal };
    return answered(await this.#api.GET("/api/v1/snapshots/{id}", asked));
  }

  /** Takes one of the workspace, and waits until it is ready. */
  async create(
    name: string,
    options: WaitOptions & { description?: string } = {},
  ): Promise<Snapshot> {
    if (this.#workspace === undefined) {
      throw new TypeError("a snapshot is taken of a workspace: use `workspace.snapshots`");
    }
    const params = { path: { id: this.#workspace }, query: { wait: 20 } };
    const { description, signal } = options;
    const asked = { params, body: { name, description }, signal };
    const begun = answered(await this.#api.POST("/api/v1/workspaces/{id}/snapshots", asked));
    return this.ready(begun.id, options);
  }

  /** Waits until a snapshot is ready. */
  async ready(id: string, options: WaitOptions = {}): Promise<Snapshot> {
    const { signal, timeout = PATIENCE } = options;
    const until = Date.now() + timeout;
    for (;;) {
      const snapshot = await this.get(id, { signal });
      if (snapshot.state === "ready") {
        return snapshot;
      }
      if (snapshot.state === "failed") {
        const why = snapshot.reason ?? "the server doesn't say why";
        throw without(Failed, "snapshot-failed", `the snapshot ${snapshot.name} failed: ${why}`);
      }
      if (Date.now() > until) {
        const text = `the snapshot ${snapshot.name} isn't ready after ${timeout} ms`;
        throw without(TimedOut, "timed-out", text);
      }
      await sleep(LOOK, undefined, { signal });
    }
  }

  /** Deletes one. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const path = `/api/v1/snapshots/${encodeURIComponent(id)}`;
    await gone(this.#transport.send({ method: "DELETE", path, signal: options.signal }));
  }
}
