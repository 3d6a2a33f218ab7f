/** All servers that somebody is signed in to, each followed with the token that it is known by. */
import { Gateway } from "./api/gateway";
import type { Workspace } from "./api/types";
import { Live, type SleepSoon } from "./live";
import type { Servers } from "./servers";

/** A workspace, and the server that it is on. */
export interface Place {
  live: Live;
  workspace: Workspace;
}

export interface LivesListener {
  /** Everything that is shown is old, or one workspace of a server. */
  changed: (change?: { live: Live; workspace: string }) => void;
  sleepSoon: (soon: SleepSoon & { live: Live }) => void;
}

interface Followed {
  live: Live;
  /** All that it is followed with. */
  by: string;
}

export class Lives {
  private readonly followed = new Map<string, Followed>();
  /** One at a time: an older token never takes the place of a newer one. */
  private reloading: Promise<void> = Promise.resolve();
  private isLooking = false;
  private isOver = false;

  constructor(
    private readonly servers: Servers,
    private readonly listener: LivesListener,
  ) {}

  dispose(): void {
    this.isOver = true;
    for (const url of [...this.followed.keys()]) this.drop(url);
  }

  all(): Live[] {
    return this.servers.all().flatMap(({ url }) => this.followed.get(url)?.live ?? []);
  }

  /** Returns all workspaces of all servers. */
  places(): Place[] {
    return this.all().flatMap((live) => (live.workspaces ?? []).map((workspace) => ({ live, workspace })));
  }

  /** Says whether somebody looks at the workspaces. */
  look(isLooking: boolean): void {
    this.isLooking = isLooking;
    for (const { live } of this.followed.values()) live.look(isLooking);
  }

  /** Asks all servers anew; one that something is wrong with by another connection. */
  async refresh(): Promise<void> {
    for (const { server, problem } of this.all()) if (problem !== undefined) this.drop(server.url);
    const kept = this.all();
    await this.reload();
    await Promise.all(kept.map((live) => live.refresh()));
  }

  /** Follows the servers that are kept now, whichever window signed in to them or out of them. */
  reload(): Promise<void> {
    const reloaded = this.reloading.then(() => this.reloadNow());
    this.reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  private async reloadNow(): Promise<void> {
    const tokens = new Map<string, string | undefined>();
    for (const server of this.servers.all()) tokens.set(server.url, await this.servers.token(server));
    if (this.isOver) return;
    // Meanwhile somebody may have signed out of one; whoever signed in to one reloads again.
    const servers = this.servers.all().filter(({ url }) => tokens.has(url));
    const before = new Set(this.followed.values());
    for (const url of [...this.followed.keys()]) {
      if (!servers.some((server) => server.url === url)) this.drop(url);
    }
    for (const server of servers) {
      const token = tokens.get(server.url);
      const by = JSON.stringify([server, token]);
      if (this.followed.get(server.url)?.by === by) continue;
      this.drop(server.url);
      const live = this.follow(new Gateway(server.url, server.trust, token), server);
      this.followed.set(server.url, { live, by });
    }
    const now = [...this.followed.values()];
    if (now.length !== before.size || now.some((one) => !before.has(one))) this.listener.changed();
  }

  private drop(url: string): void {
    this.followed.get(url)?.live.dispose();
    this.followed.delete(url);
  }

  private follow(gateway: Gateway, server: Live["server"]): Live {
    const live: Live = new Live(server, gateway, {
      changed: (workspace) =>
        this.listener.changed(workspace === undefined ? undefined : { live, workspace }),
      sleepSoon: (soon) => this.listener.sleepSoon({ ...soon, live }),
    });
    live.start();
    live.look(this.isLooking);
    return live;
  }
}
