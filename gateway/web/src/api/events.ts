/** What happens on the gateway, as it happens: keeps everything on the page up to date. */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { address } from "./client";
import { follow } from "./live";

/** The kinds of events that make something on a page old. */
export const EVENTS = [
  "workspace-state",
  "workspace-created",
  "workspace-deleted",
  "workspace-renamed",
  "workspace-transferred",
  "workspace-restored",
  "workspace-purged",
  "out-of-memory",
  "disk-limit-exceeded",
  "workspace-sleep-soon",
  "workspace-expires-soon",
  "workspace-extended",
  "workspace-command",
  "snapshot-state",
  "snapshot-deleted",
  "workspace-notice",
  "user-created",
  "user-changed",
  "user-deleted",
  "key-added",
  "key-removed",
  "token-created",
  "token-deleted",
  "login",
  "logout",
  "ssh-approval",
  "port-changed",
  "startup-failed",
] as const;

/** Returns which cached queries an event of this kind makes old. */
function touched(kind: string): string[] {
  if (kind.startsWith("workspace")) {
    return ["workspaces", "server", "limits", "why-running", "leases", "history", "snapshots"];
  }
  if (kind === "out-of-memory") return ["workspaces", "history"];
  if (kind === "disk-limit-exceeded") return ["limits"];
  if (kind.startsWith("startup")) return ["workspaces", "history"];
  if (kind.startsWith("snapshot")) return ["snapshots", "history"];
  if (kind.startsWith("user")) return ["users", "me", "server"];
  if (kind.startsWith("key")) return ["keys"];
  if (kind.startsWith("token")) return ["tokens"];
  if (kind.startsWith("log")) return ["logins"];
  if (kind.startsWith("ssh-approval")) return ["ssh-approvals"];
  if (kind.startsWith("port")) return ["ports", "history"];
  return [];
}

/** Gathers what a burst of events touches, so that each list is fetched once. */
class Refresh {
  private readonly keys = new Set<string>();
  private timer: number | undefined;

  constructor(private readonly queries: QueryClient) {}

  add(keys: readonly string[]): void {
    for (const key of keys) this.keys.add(key);
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      for (const key of this.keys) void this.queries.invalidateQueries({ queryKey: [key] });
      this.keys.clear();
    }, 60);
  }

  stop(): void {
    window.clearTimeout(this.timer);
  }
}

/** How long a break may last before it is worth a word, in milliseconds. */
const PATIENCE = 3000;

/** Follows the gateway's events. Returns whether the gateway can be heard. */
export function useEvents(): boolean {
  const queries = useQueryClient();
  const [connected, setConnected] = useState(true);
  useEffect(() => {
    const refresh = new Refresh(queries);
    let timer: number | undefined;
    const heard = () => {
      window.clearTimeout(timer);
      timer = undefined;
      setConnected(true);
    };
    const stop = follow({
      url: address("/events"),
      events: EVENTS,
      receive: (kind) => refresh.add(touched(kind)),
      opened: () => {
        heard();
        // Whatever happened while nobody listened.
        refresh.add(["workspaces", "users", "server", "me", "terminals", "editor"]);
      },
      broken: () => {
        timer ??= window.setTimeout(() => setConnected(false), PATIENCE);
        // An ended login looks the same as a gateway that is down; this tells them apart.
        void queries.invalidateQueries({ queryKey: ["me"] });
      },
    });
    return () => {
      stop();
      heard();
      refresh.stop();
    };
  }, [queries]);
  return connected;
}
