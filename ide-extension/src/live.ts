/** What is known of one server, kept up to date by its events. */
import { type Gateway, isOver, rest } from "./api/gateway";
import { explain, Problem } from "./api/problem";
import type { Connection, Port, Workspace } from "./api/types";
import { type Usage, usage } from "./describe";
import type { ServerEvent } from "./api/events";
import { isPorts } from "../../gateway/web/src/workspace/port-list";
import type { Server } from "./servers";

/** How often what workspaces use is asked for while somebody looks: as often as it is measured, in milliseconds. */
const USAGE_EACH = 10_000;

/** Most workspaces whose use is asked for, and whether they are about to sleep. */
const MOST_USAGES = 20;

/** Events come in bursts: each list is fetched once, in milliseconds. */
const GATHER = 80;

/** Something that a person should hear of. */
export interface SleepSoon {
  workspace: Workspace;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface Listener {
  /** What is shown of the server, or of one workspace, is old. */
  changed: (workspace?: string) => void;
  sleepSoon: (soon: SleepSoon) => void;
}

export class Live {
  /** All that the caller sees; nothing until they came for the first time. */
  workspaces: Workspace[] | undefined;
  /** Where its SSH server is, by then. */
  connection: Connection | undefined;
  /** What is wrong with the server, if something is. */
  problem: string | undefined;
  /** Whether somebody has to sign in again. */
  signedOut = false;
  private readonly usages = new Map<string, Usage>();
  private readonly portLists = new Map<string, Port[] | Error>();
  private readonly followedPorts = new Map<string, AbortController>();
  /** Until when workspaces run that were told of. */
  private readonly toldOf = new Map<string, number>();
  /** What comes once the workspaces are known. */
  private known: Promise<void> = Promise.resolve();
  private readonly stop = new AbortController();
  private looking: AbortController | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    readonly server: Server,
    readonly gateway: Gateway,
    private readonly listener: Listener,
  ) {}

  /** Follows the server until it is disposed of; not without a token, which not every editor hands to all windows. */
  start(): void {
    if (!this.gateway.hasToken) {
      this.signedOut = true;
      this.problem = "This window has no token for it: reload the window, or sign in again.";
      return;
    }
    void this.gateway.follow(
      "/events",
      {},
      {
        signal: this.stop.signal,
        opened: () => this.opened(),
        broken: (error) => this.broken(error),
        event: (event) => this.take(event),
      },
    );
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.looking?.abort();
    for (const followed of this.followedPorts.values()) followed.abort();
    this.stop.abort();
    this.gateway.dispose();
  }

  get signal(): AbortSignal {
    return this.stop.signal;
  }

  usage(workspace: string): Usage | undefined {
    return this.usages.get(workspace);
  }

  ports(workspace: string): Port[] | Error | undefined {
    return this.portLists.get(workspace);
  }

  find(workspace: string): Workspace | undefined {
    return this.workspaces?.find(({ id }) => id === workspace);
  }

  /** Asks for whatever happened while nobody listened. */
  private opened(): void {
    this.known = this.refresh();
    void this.known.then(() => this.lookForSleep());
  }

  /** Tells of the workspaces that people were warned of before this listened. */
  private async lookForSleep(): Promise<void> {
    const running = (this.workspaces ?? []).filter(({ state }) => state === "running");
    const isOwn = ({ owner }: Workspace) => owner === this.server.user;
    const ownFirst = [...running.filter(isOwn), ...running.filter((one) => !isOwn(one))];
    const { signal } = this;
    for (const { id } of ownFirst.slice(0, MOST_USAGES)) {
      const asked = this.gateway.request("GET", "/workspaces/{id}/why-running", { path: { id }, signal });
      // It may just have stopped.
      const why = await asked.catch(() => undefined);
      if (isOver(signal)) return;
      if (why?.warned && why.sleeps_at !== null) this.tellOfSleep(id, Date.parse(why.sleeps_at));
    }
  }

  /** Asks for everything anew. */
  refresh(): Promise<void> {
    return this.attempt(async (signal) => {
      const asked = this.gateway.request("GET", "/connection", { signal });
      [this.connection, this.workspaces] = await Promise.all([asked, this.list(signal)]);
    });
  }

  private async list(signal: AbortSignal): Promise<Workspace[]> {
    const found = await this.gateway.workspaces(signal);
    return found.sort((a, b) => a.owner.localeCompare(b.owner) || a.name.localeCompare(b.name));
  }

  private async attempt(ask: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await ask(this.stop.signal);
      this.problem = undefined;
      this.signedOut = false;
    } catch (error) {
      if (this.stop.signal.aborted) return;
      this.broken(error);
      return;
    }
    this.listener.changed();
  }

  /** Shows a workspace as an answer has it, before its event comes. */
  put(workspace: Workspace): void {
    const others = (this.workspaces ?? []).filter(({ id }) => id !== workspace.id);
    this.workspaces = [...others, workspace].sort((a, b) => a.name.localeCompare(b.name));
    this.listener.changed();
  }

  /** Waits until a workspace is in none of the states that pass. Returns it, or nothing where it is gone. */
  async settled(workspace: string, signal: AbortSignal): Promise<Workspace | undefined> {
    for (;;) {
      const now = await this.gateway.request("GET", "/workspaces/{id}", { path: { id: workspace }, signal });
      if (now.state !== "starting" && now.state !== "stopping") return now;
      this.put(now);
      await rest(500, signal);
      signal.throwIfAborted();
    }
  }

  /** Asks what workspaces use for as long as somebody looks. */
  look(isLooking: boolean): void {
    if (isLooking === (this.looking !== undefined)) return;
    this.looking?.abort();
    this.looking = undefined;
    if (!isLooking) return;
    const looking = new AbortController();
    this.looking = looking;
    void this.measure(looking.signal);
  }

  private async measure(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const running = (this.workspaces ?? []).filter((one) => one.state === "running" && one.may_enter);
      for (const { id } of running.slice(0, MOST_USAGES)) {
        if (isOver(signal)) return;
        await this.measureOne(id, signal);
      }
      // The list may not be there yet.
      await rest(running.length > 0 ? USAGE_EACH : 1000, signal);
    }
  }

  private async measureOne(id: string, signal: AbortSignal): Promise<void> {
    try {
      const found = await this.gateway.request("GET", "/workspaces/{id}/statistics", {
        path: { id },
        signal,
      });
      const used = usage(found, Date.now());
      if (used) this.usages.set(id, used);
      else this.usages.delete(id);
    } catch {
      // It may just have stopped: what was measured is of no use any more.
      this.usages.delete(id);
    }
    if (!signal.aborted) this.listener.changed(id);
  }

  /** Follows the ports of a workspace that somebody looks at. */
  followPorts(id: string): void {
    if (this.followedPorts.has(id)) return;
    const followed = new AbortController();
    this.followedPorts.set(id, followed);
    const carried = { path: { id } };
    void this.gateway
      .follow("/workspaces/{id}/ports", carried, {
        signal: AbortSignal.any([followed.signal, this.stop.signal]),
        event: ({ kind, data }) => {
          const ports = kind === "ports" ? field(parse(data), "items") : undefined;
          if (!isPorts(ports)) return;
          this.portLists.set(id, ports);
          this.listener.changed(id);
        },
        broken: (error) => {
          this.portLists.set(id, error);
          this.listener.changed(id);
        },
      })
      // Refused, as the workspace doesn't run: it is asked for again when somebody looks then.
      .finally(() => {
        if (this.followedPorts.get(id) === followed) this.followedPorts.delete(id);
      });
  }

  unfollowPorts(id: string): void {
    this.followedPorts.get(id)?.abort();
    this.followedPorts.delete(id);
    this.portLists.delete(id);
  }

  private broken(error: unknown): void {
    if (this.stop.signal.aborted) return;
    this.signedOut = error instanceof Problem && error.signedOut;
    this.problem = this.signedOut
      ? "Your sign-in has ended: sign in again."
      : error instanceof Problem && error.code === "ended"
        ? undefined
        : explain(error);
    this.listener.changed();
  }

  private take(event: ServerEvent): void {
    if (!/^(workspace|startup|out-of-memory)/.test(event.kind)) return;
    const soon = event.kind === "workspace-sleep-soon" ? sleepSoon(parse(event.data)) : undefined;
    if (soon) void this.known.then(() => this.tellOfSleep(soon.workspace, soon.at));
    clearTimeout(this.timer);
    const list = async (signal: AbortSignal) => void (this.workspaces = await this.list(signal));
    this.timer = setTimeout(() => void this.attempt(list), GATHER);
  }

  /**
   * Tells of a workspace's sleep, unless that is past or was told of: before that time nobody is
   * warned of another, as the warning is half of the wait at most.
   */
  private tellOfSleep(id: string, at: number): void {
    const now = Date.now();
    const workspace = this.find(id);
    if (!workspace || at <= now || (this.toldOf.get(id) ?? 0) > now) return;
    this.toldOf.set(id, at);
    this.listener.sleepSoon({ workspace, at });
  }
}

/**
 * Tells whether a window tells of a workspace's sleep: the one that shows it, and of one's own
 * the one that somebody looks at. Administrators hear of everybody's.
 */
export function isTold(isOwn: boolean, window: { shows: boolean; focused: boolean }): boolean {
  return window.shows || (isOwn && window.focused);
}

/** Returns which workspace an event says to go to sleep, and when. */
export function sleepSoon(event: unknown): { workspace: string; at: number } | undefined {
  const id = field(field(event, "workspace"), "id");
  const at = field(field(event, "data"), "at");
  const time = typeof at === "string" ? Date.parse(at) : NaN;
  return typeof id === "string" && !Number.isNaN(time) ? { workspace: id, at: time } : undefined;
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
