// Workspaces: their lives, and what is in them.

import { randomUUID } from "node:crypto";

import { answered, type Api } from "./api.js";
import { Failed, NotFound, TimedOut, without } from "./errors.js";
import { gone } from "./answers.js";
import { Files } from "./files.js";
import type { FilePath } from "./path.js";
import { Ports } from "./ports.js";
import { Processes } from "./processes.js";
import { Snapshots } from "./snapshots.js";
import type { Transport } from "./transport.js";
import type {
  CallOptions,
  CreateWorkspace,
  Health,
  Snapshot,
  Statistics,
  WaitOptions,
  WorkspaceInfo,
} from "./types.js";
import { Watch, type WatchOptions } from "./watch.js";

/** How long to wait for a workspace unless a call says otherwise, in milliseconds. */
const PATIENCE = 600_000;

/** Most seconds that the server waits with an answer. */
const ONCE = 50;

/** The workspaces that the token may see. */
export class Workspaces {
  readonly #api: Api;
  readonly #transport: Transport;

  constructor(api: Api, transport: Transport) {
    this.#api = api;
    this.#transport = transport;
  }

  /** Yields the workspaces. */
  async *list(
    options: CallOptions & { owner?: string; name?: string; state?: WorkspaceInfo["state"] } = {},
  ): AsyncGenerator<Workspace, void, undefined> {
    const { signal, ...chosen } = options;
    let cursor: string | undefined;
    do {
      const params = { query: { ...chosen, cursor } };
      const page = answered(await this.#api.GET("/api/v1/workspaces", { params, signal }));
      for (const info of page.items) {
        yield new Workspace(this.#api, this.#transport, info);
      }
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Returns one by its id. */
  async get(id: string, options: CallOptions = {}): Promise<Workspace> {
    const asked = { params: { path: { id } }, signal: options.signal };
    const info = answered(await this.#api.GET("/api/v1/workspaces/{id}", asked));
    return new Workspace(this.#api, this.#transport, info);
  }

  /** Returns one by its name; several owners may have one of that name. */
  async named(name: string, options: CallOptions & { owner?: string } = {}): Promise<Workspace> {
    const found: Workspace[] = [];
    for await (const workspace of this.list({ ...options, name })) {
      found.push(workspace);
    }
    const [first, ...others] = found;
    if (first === undefined) {
      const detail = `there is no workspace ${name}`;
      throw new NotFound({ status: 404, title: "", code: "no-such-workspace", detail });
    }
    if (others.length > 0) {
      const owners = found.map((one) => one.info.owner).join(", ");
      throw new TypeError(`there are several workspaces ${name}: give the owner, of ${owners}`);
    }
    return first;
  }

  /**
   * Creates one and waits until it runs (or, with `start: false`, until it is there). Repeated
   * after a failure of the connection, it creates no second one.
   */
  async create(
    request: CreateWorkspace,
    options: WaitOptions & { wait?: boolean } = {},
  ): Promise<Workspace> {
    const { signal } = options;
    const asked = {
      params: { header: { "Idempotency-Key": randomUUID() } },
      body: request,
      signal,
    };
    const info = answered(await this.#api.POST("/api/v1/workspaces", asked));
    const workspace = new Workspace(this.#api, this.#transport, info);
    if (options.wait !== false) {
      await workspace.settled(options);
      if (request.start !== false) {
        workspace.mustBe("running");
      }
    }
    return workspace;
  }
}

/** One workspace. */
export class Workspace {
  /** Its files. */
  readonly files: Files;
  /** Its programs. */
  readonly processes: Processes;
  /** Its ports. */
  readonly ports: Ports;
  /** Its snapshots. */
  readonly snapshots: Snapshots;
  readonly #api: Api;
  readonly #transport: Transport;
  #info: WorkspaceInfo;

  constructor(api: Api, transport: Transport, info: WorkspaceInfo) {
    this.#api = api;
    this.#transport = transport;
    this.#info = info;
    this.files = new Files(api, transport, info.id);
    this.processes = new Processes(api, transport, info.id);
    this.ports = new Ports(api, transport, info.id);
    this.snapshots = new Snapshots(api, transport, info.id);
  }

  /** Its id, which no other will ever have. */
  get id(): string {
    return this.#info.id;
  }

  /** Its name. */
  get name(): string {
    return this.#info.name;
  }

  /** All that was known of it when the server was last asked. */
  get info(): WorkspaceInfo {
    return this.#info;
  }

  /** Asks the server how it is. */
  async refresh(options: CallOptions = {}): Promise<WorkspaceInfo> {
    return this.#look(0, options.signal);
  }

  /** Waits until it is neither starting nor stopping. */
  async settled(options: WaitOptions = {}): Promise<WorkspaceInfo> {
    const { signal, timeout = PATIENCE } = options;
    const until = Date.now() + timeout;
    while (["created", "starting", "stopping"].includes(this.#info.state)) {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0) {
        const doing = this.#info.doing === null ? "" : ` (${this.#info.doing})`;
        const text = `${this.name} is still ${this.#info.state}${doing} after ${timeout} ms`;
        throw without(TimedOut, "timed-out", text);
      }
      const before = this.#info.state;
      await this.#look(Math.min(ONCE, left), signal);
      if (before === "created" && this.#info.state === "created") {
        break; // with `start: false` it stays so
      }
    }
    return this.#info;
  }

  /** Throws unless it was in this state when the server was last asked. */
  mustBe(state: WorkspaceInfo["state"]): void {
    if (this.#info.state !== state) {
      const why = this.#info.reason?.detail ?? "the server doesn't say why";
      const text = `${this.name} is ${this.#info.state} and not ${state}: ${why}`;
      throw without(Failed, `workspace-${this.#info.state}`, text);
    }
  }

  /** Starts it, and waits until it runs. */
  async start(options: WaitOptions = {}): Promise<void> {
    await this.#act("start", options);
    this.mustBe("running");
  }

  /** Stops it, and waits until it has. */
  async stop(options: WaitOptions = {}): Promise<void> {
    await this.#act("stop", options);
    this.mustBe("stopped");
  }

  /** Stops and starts it, and waits until it runs. */
  async restart(options: WaitOptions = {}): Promise<void> {
    await this.#act("restart", options);
    this.mustBe("running");
  }

  /** Deletes it. Its home is kept for as long as the server says, unless with `purge`. */
  async delete(options: CallOptions & { purge?: boolean } = {}): Promise<void> {
    const { purge, signal } = options;
    const path = `/api/v1/workspaces/${this.id}`;
    const sending = { method: "DELETE", path, query: { purge, wait: ONCE }, signal };
    const timeout = 2 * ONCE * 1000;
    const answer = await gone(this.#transport.send({ ...sending, timeout }));
    await answer?.body?.cancel();
  }

  /** Makes it anew from a snapshot, and waits until it runs or has stopped again. */
  async restore(snapshot: string | Snapshot, options: WaitOptions = {}): Promise<void> {
    const id = typeof snapshot === "string" ? snapshot : snapshot.id;
    const params = { path: { id }, query: { wait: ONCE } };
    const asked = { params, body: { workspace: this.id }, signal: options.signal };
    this.#info = answered(await this.#api.POST("/api/v1/snapshots/{id}/restore", asked));
    await this.settled(options);
    if (this.#info.state === "failed") {
      this.mustBe("running");
    }
  }

  /** Shows what it used: processors, memory, disk, network. */
  async statistics(options: CallOptions & { window?: "hour" | "day" } = {}): Promise<Statistics> {
    const { window, signal } = options;
    const asked = { params: { path: { id: this.id }, query: { window } }, signal };
    return answered(await this.#api.GET("/api/v1/workspaces/{id}/statistics", asked));
  }

  /** Asks its agent how it is. */
  async health(options: CallOptions = {}): Promise<Health> {
    const asked = { params: { path: { id: this.id } }, signal: options.signal };
    return answered(await this.#api.GET("/api/v1/workspaces/{id}/health", asked));
  }

  /** Watches a folder or a file from now on. Relative paths begin at the home. */
  async watch(path: FilePath, options: WatchOptions = {}): Promise<Watch> {
    return Watch.begin(this.#transport, this.id, path, options);
  }

  async #act(what: "start" | "stop" | "restart", options: WaitOptions): Promise<void> {
    const params = { path: { id: this.id }, query: { wait: ONCE } };
    const asked = { params, signal: options.signal };
    this.#info = answered(await this.#api.POST(`/api/v1/workspaces/{id}/${what}`, asked));
    await this.settled(options);
  }

  async #look(wait: number, signal?: AbortSignal): Promise<WorkspaceInfo> {
    const asked = { params: { path: { id: this.id }, query: { wait } }, signal };
    this.#info = answered(await this.#api.GET("/api/v1/workspaces/{id}", asked));
    return this.#info;
  }
}
