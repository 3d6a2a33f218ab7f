/** In a window that shows a workspace: how far away the gateway is, and word before sleep. */
import * as vscode from "vscode";

import { isOver, rest } from "../api/gateway";
import type { Workspace } from "../api/types";
import { until } from "../describe";
import { type Here, hereOf, isHere, type Surroundings } from "../here";
import { Latency, shown } from "../latency";
import { isTold, type Live, type SleepSoon } from "../live";
import { wayTo } from "../ssh/config";
import { told } from "./ask";
import { keepAwake, keepAwakeFor } from "./life";
import type { Model, Place } from "./model";
import { remoteSsh, sshOf } from "./remote-ssh";

/** How often it is measured while somebody looks at the window, in milliseconds. */
const EACH = 5000;

/** What "Keep Awake" on a notice means, in seconds. */
const LONGER = 2 * 3600;

export class Status implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem(
    "devgate.latency",
    vscode.StatusBarAlignment.Left,
    90,
  );
  private readonly subscriptions: { dispose: () => unknown }[] = [];
  private measuring: { live: Live; workspace: string; stop: AbortController } | undefined;
  private here: Here | undefined;

  constructor(
    private readonly model: Model,
    /** Where the extension runs: beside the window, or where its files are. */
    private readonly kind: vscode.ExtensionKind,
  ) {
    this.item.name = "devgate: the way to the gateway";
    this.subscriptions.push(
      this.item,
      model.onDidChange(() => this.look()),
      model.onSleepSoon((soon) => void told("it isn't kept awake", () => this.warn(soon))()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => void this.locate()),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("devgate.latency")) this.look();
      }),
    );
    void this.locate();
  }

  dispose(): void {
    this.measuring?.stop.abort();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private async locate(): Promise<void> {
    this.here = await hereOf(surroundings(this.kind), (host) => wayTo(host, sshOf(remoteSsh())));
    this.look();
  }

  private isHere(workspace: Workspace, live: Live): boolean {
    return this.here !== undefined && isHere(workspace, live, this.here);
  }

  private look(): void {
    const wanted = vscode.workspace.getConfiguration("devgate").get<boolean>("latency", true);
    const places = wanted ? this.model.lives.places() : [];
    const here = places.find(({ live, workspace }) => this.isHere(workspace, live));
    const { measuring } = this;
    if (measuring && here?.live === measuring.live && here.workspace.id === measuring.workspace) return;
    measuring?.stop.abort();
    this.measuring = undefined;
    this.item.hide();
    if (!here) return;
    const stop = new AbortController();
    this.measuring = { live: here.live, workspace: here.workspace.id, stop };
    void this.measure(here, stop.signal);
  }

  private async measure({ live, workspace }: Place, signal: AbortSignal): Promise<void> {
    const latency = new Latency();
    const host = new URL(live.server.url).host;
    this.item.command = {
      command: "devgate.keepAwake",
      title: "Keep Awake",
      arguments: [{ kind: "workspace", live, id: workspace.id }],
    };
    while (!signal.aborted) {
      await live.gateway.roundTrip(signal).then(
        (time) => latency.measured(time),
        () => latency.missed(),
      );
      if (isOver(signal)) return;
      const { typical, isLost } = latency;
      const now = isLost || typical === undefined ? "no answer" : shown(typical);
      this.item.text = `$(${isLost ? "debug-disconnect" : "pulse"}) ${workspace.name}: ${now}`;
      this.item.tooltip = `The way to ${host} and back: ${now}. Click to keep ${workspace.name} awake.`;
      this.item.backgroundColor = isLost
        ? new vscode.ThemeColor("statusBarItem.warningBackground")
        : undefined;
      this.item.show();
      await rest(EACH, signal);
    }
  }

  /** Tells of sleep. */
  private async warn({ live, workspace, at }: SleepSoon & { live: Live }): Promise<void> {
    const isOwn = workspace.owner === live.server.user;
    const { focused } = vscode.window.state;
    if (!isTold(isOwn, { shows: this.isHere(workspace, live), focused })) return;
    const [longer, choose] = ["Keep Awake for 2 Hours", "Choose…"];
    const text = `Nothing goes on in ${workspace.name}: it goes to sleep in ${until(at, Date.now())}, and what runs in it ends.`;
    const answer = await vscode.window.showWarningMessage(text, longer, choose);
    const place = { live, workspace };
    if (answer === longer) await keepAwakeFor(place, LONGER);
    if (answer === choose) await keepAwake(place);
  }
}

function surroundings(kind: vscode.ExtensionKind): Surroundings {
  const [first] = vscode.workspace.workspaceFolders ?? [];
  const file = vscode.workspace.workspaceFile;
  const authority =
    vscode.env.remoteName === "ssh-remote" ? (first?.uri.authority ?? file?.authority) : undefined;
  // Beside a remote window our own variables are of another machine.
  const isElsewhere = vscode.env.remoteName !== undefined && kind === vscode.ExtensionKind.UI;
  return { authority, environment: isElsewhere ? {} : process.env };
}
