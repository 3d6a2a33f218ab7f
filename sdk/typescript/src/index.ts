// devgate for programs. `Devgate` is where to begin.

import { apiOver, type Api } from "./api.js";
import { Snapshots } from "./snapshots.js";
import { Transport, type TransportOptions } from "./transport.js";
import { Workspaces } from "./workspaces.js";

export type { Api } from "./api.js";
export * from "./errors.js";
export type { Files } from "./files.js";
export type * from "./options.js";
export type { FilePath } from "./path.js";
export type { Ports } from "./ports.js";
export type { Output, Processes, Run, RunOptions } from "./processes.js";
export type { RetryOptions } from "./retry.js";
export type { Snapshots } from "./snapshots.js";
export type { Body, TransportOptions } from "./transport.js";
export type * from "./types.js";
export type { UploadOptions, UploadSource } from "./upload.js";
export type { Watch, WatchOptions } from "./watch.js";
export type { Workspace, Workspaces } from "./workspaces.js";

/** A devgate server, asked with an API token over one pool of connections. */
export class Devgate implements AsyncDisposable {
  /** The workspaces that the token may see. */
  readonly workspaces: Workspaces;
  /** The snapshots of all of them. */
  readonly snapshots: Snapshots;
  /** Every operation of the API, typed by its document: what has no method of its own here. */
  readonly api: Api;
  readonly #transport: Transport;

  /** What isn't given is taken from `DEVGATE_URL`, `DEVGATE_TOKEN` and `DEVGATE_CA`. */
  constructor(options: TransportOptions = {}) {
    this.#transport = new Transport(options);
    this.api = apiOver(this.#transport);
    this.workspaces = new Workspaces(this.api, this.#transport);
    this.snapshots = new Snapshots(this.api, this.#transport);
  }

  /** Ends all connections, and what is under way over them. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
