/** What is shown of workspaces and ports, in words. */
import type { Port, Sample, Statistics, Visibility, Workspace, WorkspaceState } from "./api/types";

/** What a workspace uses now. */
export interface Usage {
  /** In percent of what it may use. */
  cpu: number;
  memory: number;
  memoryTotal: number;
  /** In bytes. */
  disk: number;
  processes: number;
}

/** How a state looks: an icon of the editor's and a colour of its theme. */
export interface Look {
  icon: string;
  colour?: string;
}

const LOOKS: Record<WorkspaceState, Look> = {
  created: { icon: "circle-outline" },
  starting: { icon: "loading~spin" },
  running: { icon: "vm-running", colour: "testing.iconPassed" },
  stopping: { icon: "loading~spin" },
  stopped: { icon: "vm-outline", colour: "disabledForeground" },
  asleep: { icon: "coffee", colour: "disabledForeground" },
  failed: { icon: "error", colour: "testing.iconFailed" },
  unreachable: { icon: "debug-disconnect", colour: "testing.iconFailed" },
  deleted: { icon: "trash", colour: "disabledForeground" },
};

/** States in which a workspace can be started. */
const STARTABLE: readonly WorkspaceState[] = ["created", "stopped", "asleep", "failed"];

export function look(state: WorkspaceState): Look {
  return LOOKS[state];
}

export function isStartable(state: WorkspaceState): boolean {
  return STARTABLE.includes(state);
}

/** Returns a workspace's name, with its owner's where that is somebody else. */
export function title(workspace: Workspace, caller: string): string {
  return workspace.owner === caller ? workspace.name : `${workspace.name}.${workspace.owner}`;
}

/** Returns the latest of what was measured, where that isn't long ago. */
export function usage(statistics: Statistics, now: number): Usage | undefined {
  const last: Sample | undefined = statistics.samples.at(-1);
  const old = 6 * statistics.interval_seconds * 1000;
  if (!last || now - Date.parse(last.time) > old) return undefined;
  return {
    cpu: Math.max(0, last.cpu_percent / Math.max(1, statistics.cpu_count)),
    memory: last.memory_bytes,
    memoryTotal: statistics.memory_total,
    disk: last.disk_bytes,
    processes: last.processes,
  };
}

/** Returns what stands behind a workspace's name. */
export function summary(workspace: Workspace, used: Usage | undefined): string {
  const parts: string[] = [workspace.state];
  if (workspace.state === "starting" && workspace.doing) parts.push(workspace.doing);
  if (workspace.state === "failed" && workspace.reason) parts.push(workspace.reason.detail);
  if (workspace.state === "running" && used) {
    parts.push(`CPU ${percent(used.cpu)}`, bytes(used.memory));
  }
  return parts.join(" · ");
}

/** Returns all that there is to tell of a workspace, a line each. */
export function details(workspace: Workspace, used: Usage | undefined): string[] {
  const lines = [`${workspace.name}, of ${workspace.owner}: ${workspace.state}`];
  if (workspace.reason) lines.push(workspace.reason.detail);
  if (workspace.doing) lines.push(workspace.doing);
  if (workspace.startup?.detail) lines.push(`Start-up: ${workspace.startup.detail}`);
  if (used && workspace.state === "running") {
    lines.push(`CPU ${percent(used.cpu)}, ${used.processes} processes`);
    lines.push(`Memory ${bytes(used.memory)} of ${bytes(used.memoryTotal)}`, `Disk ${bytes(used.disk)}`);
  }
  if (workspace.out_of_memory) lines.push("A program in it was killed because its memory was used up.");
  lines.push(...workspace.notices, workspace.ssh);
  return lines;
}

/** Returns the words that menus look for. */
export function context(workspace: Workspace): string {
  const words = ["workspace"];
  if (isStartable(workspace.state)) words.push("startable");
  if (workspace.state === "running" || workspace.state === "starting") words.push("stoppable");
  if (workspace.state === "running") words.push("running");
  if (workspace.may_enter) words.push("enterable");
  return words.join(" ");
}

const WHO: Record<Visibility, string> = {
  private: "private",
  members: "members",
  public: "public",
};

export function portSummary(port: Port): string {
  const parts = [port.listening ? (port.process ?? "listening") : "nothing listens"];
  if (port.name) parts.unshift(port.name);
  parts.push(WHO[port.visibility]);
  return parts.join(" · ");
}

export function percent(value: number): string {
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10} %`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let rest = value;
  let index = 0;
  while (rest >= 1000 && index < units.length - 1) {
    rest /= 1024;
    index += 1;
  }
  const shown = rest >= 10 || index === 0 ? Math.round(rest) : Math.round(rest * 10) / 10;
  return `${shown} ${units[index] ?? "B"}`;
}

/** Returns how long something is away, as in `12 min`. */
export function until(time: number, now: number): string {
  const seconds = Math.max(0, Math.round((time - now) / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
