/** All servers that somebody is signed in to, and what is known of each. */
import * as vscode from "vscode";

import { Gateway } from "../api/gateway";
import type { Workspace } from "../api/types";
import { Live, type SleepSoon } from "../live";
import { isTokenKey, type Server, Servers } from "../servers";

/** A workspace, and the server that it is on. */
export interface Place {
  live: Live;
  workspace: Workspace;
}

/** What changed: everything, or a workspace of a server. */
export type Change = { live: Live; workspace: string } | undefined;

export class Model implements vscode.Disposable {
  private readonly lives = new Map<string, Live>();
  private readonly changes = new vscode.EventEmitter<Change>();
  private readonly soon = new vscode.EventEmitter<SleepSoon & { live: Live }>();
  private readonly listening: vscode.Disposable;
  private isLooking = false;
  readonly onDidChange = this.changes.event;
  readonly onSleepSoon = this.soon.event;
  readonly servers: Servers;

  constructor(context: vscode.ExtensionContext) {
    this.servers = new Servers(context.globalState, context.secrets);
    // Somebody signed in or out, perhaps in another window.
    this.listening = context.secrets.onDidChange(({ key }) => {
      if (isTokenKey(key)) void this.reload(key);
    });
  }

  dispose(): void {
    this.listening.dispose();
    for (const live of this.lives.values()) live.dispose();
    this.lives.clear();
    this.changes.dispose();
    this.soon.dispose();
  }

  all(): Live[] {
    return this.servers.all().flatMap(({ url }) => this.lives.get(url) ?? []);
  }

  /** Returns all workspaces of all servers. */
  places(): Place[] {
    return this.all().flatMap((live) => (live.workspaces ?? []).map((workspace) => ({ live, workspace })));
  }

  /** Says whether somebody looks at the workspaces. */
  look(isLooking: boolean): void {
    this.isLooking = isLooking;
    for (const live of this.lives.values()) live.look(isLooking);
  }

  /** Asks all servers anew; one that something is wrong with by another connection. */
  async refresh(): Promise<void> {
    const all = this.all().map((live) =>
      live.problem === undefined ? live.refresh() : this.reload(live.server.url),
    );
    await Promise.all(all);
  }

  /** Follows the servers that somebody is signed in to now; anew the one whose token changed. */
  async reload(changed?: string): Promise<void> {
    const servers = this.servers.all();
    for (const [url, live] of this.lives) {
      const isOld = !servers.some((server) => server.url === url) || changed?.endsWith(url);
      if (!isOld) continue;
      live.dispose();
      this.lives.delete(url);
    }
    for (const server of servers) {
      if (this.lives.has(server.url)) continue;
      const token = await this.servers.token(server);
      // Meanwhile somebody else may have done it.
      if (!this.lives.has(server.url)) this.lives.set(server.url, this.follow(server, token));
    }
    await vscode.commands.executeCommand("setContext", "devgate.signedIn", servers.length > 0);
    this.changes.fire(undefined);
  }

  private follow(server: Server, token: string | undefined): Live {
    const gateway = new Gateway(server.url, server.trust, token);
    const live: Live = new Live(server, gateway, {
      changed: (workspace) => this.changes.fire(workspace === undefined ? undefined : { live, workspace }),
      sleepSoon: (soon) => this.soon.fire({ ...soon, live }),
    });
    live.start();
    live.look(this.isLooking);
    return live;
  }
}
