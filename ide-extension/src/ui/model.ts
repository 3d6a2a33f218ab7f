/** What the views and commands share: the servers, and word of what changes. */
import * as vscode from "vscode";

import type { Live, SleepSoon } from "../live";
import { Lives, type LivesListener } from "../lives";
import { isTokenKey, Servers } from "../servers";

export type { Place } from "../lives";

/** What changed: everything, or a workspace of a server. */
export type Change = Parameters<LivesListener["changed"]>[0];

export class Model implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<Change>();
  private readonly soon = new vscode.EventEmitter<SleepSoon & { live: Live }>();
  private readonly subscriptions: vscode.Disposable[];
  readonly onDidChange = this.changes.event;
  readonly onSleepSoon = this.soon.event;
  readonly servers: Servers;
  readonly lives: Lives;

  constructor(context: vscode.ExtensionContext) {
    this.servers = new Servers(context.globalState, context.secrets);
    this.lives = new Lives(this.servers, {
      changed: (change) => this.changed(change),
      sleepSoon: (soon) => this.soon.fire(soon),
    });
    // Somebody signed in or out, perhaps in another window; not every editor tells of that.
    this.subscriptions = [
      context.secrets.onDidChange(({ key }) => {
        if (isTokenKey(key)) void this.lives.reload();
      }),
      vscode.window.onDidChangeWindowState(({ focused }) => {
        if (focused) void this.lives.reload();
      }),
    ];
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    this.lives.dispose();
    this.changes.dispose();
    this.soon.dispose();
  }

  private changed(change: Change): void {
    if (!change) {
      const isSignedIn = this.lives.all().length > 0;
      void vscode.commands.executeCommand("setContext", "devgate.signedIn", isSignedIn);
    }
    this.changes.fire(change);
  }
}
