/** The tree: servers, their workspaces, and the ports of each. */
import * as vscode from "vscode";

import { explain } from "../api/problem";
import type { Port, Workspace } from "../api/types";
import { context, details, look, portSummary, summary, title } from "../describe";
import type { Live } from "../live";
import type { Model } from "./model";

export type Node =
  | { kind: "server"; live: Live }
  | { kind: "workspace"; live: Live; id: string }
  | { kind: "port"; live: Live; id: string; port: Port }
  | { kind: "words"; text: string; icon: string };

export class Tree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<Node | undefined>();
  readonly onDidChangeTreeData = this.changes.event;
  /** One node a server and a workspace: the editor knows them by identity. */
  private readonly nodes = new Map<string, Node>();
  /** What the tree was last asked for, and what was below each server then. */
  private servers: Live[] | undefined;
  private readonly below = new WeakMap<Live, string>();
  private readonly subscriptions: { dispose: () => unknown }[] = [];

  constructor(private readonly model: Model) {
    const view = vscode.window.createTreeView("devgate.workspaces", { treeDataProvider: this });
    model.lives.look(view.visible);
    this.subscriptions.push(
      view,
      this.changes,
      view.onDidChangeVisibility(({ visible }) => model.lives.look(visible)),
      view.onDidCollapseElement(({ element }) => {
        if (element.kind === "workspace") element.live.unfollowPorts(element.id);
      }),
      model.onDidChange((change) => {
        if (change) this.changes.fire(this.node(change.live, change.workspace));
        else this.everything();
      }),
    );
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  /**
   * Draws everything anew, and only what is there in another place from above: until that is drawn
   * the editor knows none of the entries below, and a menu that is open would be of none.
   */
  private everything(): void {
    const all = this.model.lives.all();
    const { servers } = this;
    if (servers?.length !== all.length || all.some((live, index) => live !== servers[index])) {
      this.changes.fire(undefined);
      return;
    }
    for (const live of all) {
      if (this.below.get(live) !== outline(live)) this.changes.fire(this.node(live));
      else for (const { id } of live.workspaces ?? []) this.changes.fire(this.node(live, id));
    }
  }

  getChildren(node?: Node): Node[] {
    switch (node?.kind) {
      case undefined:
        this.servers = this.model.lives.all();
        return this.servers.map((live) => this.node(live));
      case "server":
        return this.workspaces(node.live);
      case "workspace":
        return this.ports(node.live, node.id);
      case "port":
      case "words":
        return [];
    }
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case "server":
        return serverItem(node.live);
      case "workspace": {
        const workspace = node.live.find(node.id);
        return workspace ? workspaceItem(node.live, workspace) : new vscode.TreeItem(node.id);
      }
      case "port":
        return portItem(node.port);
      case "words": {
        const item = new vscode.TreeItem(node.text);
        item.iconPath = new vscode.ThemeIcon(node.icon);
        return item;
      }
    }
  }

  private node(live: Live, id?: string): Node {
    const name = key(live, id);
    const known = this.nodes.get(name);
    // After a sign-in the same server is another connection.
    if (known && known.kind !== "words" && known.live === live) return known;
    const made: Node = id === undefined ? { kind: "server", live } : { kind: "workspace", live, id };
    this.nodes.set(name, made);
    return made;
  }

  private workspaces(live: Live): Node[] {
    this.below.set(live, outline(live));
    const words = (text: string, icon: string): Node => ({ kind: "words", text, icon });
    const problem = live.problem === undefined ? [] : [words(live.problem, "warning")];
    if (!live.workspaces) return problem.length > 0 ? problem : [words("Asking the server…", "loading~spin")];
    if (live.workspaces.length === 0) return [...problem, words("No workspaces: create one with +", "info")];
    return [...problem, ...live.workspaces.map(({ id }) => this.node(live, id))];
  }

  private ports(live: Live, id: string): Node[] {
    const workspace = live.find(id);
    if (workspace?.state !== "running") return [{ kind: "words", text: "It doesn't run", icon: "info" }];
    live.followPorts(id);
    const ports = live.ports(id);
    if (ports instanceof Error) return [{ kind: "words", text: explain(ports), icon: "warning" }];
    if (!ports) return [{ kind: "words", text: "Looking for ports…", icon: "loading~spin" }];
    if (ports.length === 0) return [{ kind: "words", text: "Nothing listens on a port", icon: "info" }];
    return ports.map((port) => ({ kind: "port", live, id, port }));
  }
}

/** Returns what decides about a server's entry, and about which ones are below it. */
function outline({ problem, signedOut, workspaces }: Live): string {
  return JSON.stringify([problem, signedOut, workspaces?.map(({ id }) => id)]);
}

function key(live: Live, workspace = ""): string {
  return `${live.server.url} ${workspace}`;
}

function serverItem(live: Live): vscode.TreeItem {
  const { url, user } = live.server;
  const item = new vscode.TreeItem(new URL(url).host, vscode.TreeItemCollapsibleState.Expanded);
  item.id = url;
  item.description = user;
  item.contextValue = "server";
  item.tooltip = `${url}, signed in as ${user}`;
  item.iconPath = new vscode.ThemeIcon(live.problem === undefined ? "server-environment" : "warning");
  if (live.signedOut) {
    item.description = `${user} · signed out`;
    item.command = { command: "devgate.signIn", title: "Sign In", arguments: [url] };
  }
  return item;
}

function workspaceItem(live: Live, workspace: Workspace): vscode.TreeItem {
  const used = live.usage(workspace.id);
  const item = new vscode.TreeItem(
    title(workspace, live.server.user),
    workspace.state === "running" && workspace.may_enter
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.None,
  );
  const { icon, colour } = look(workspace.state);
  item.id = key(live, workspace.id);
  item.description = summary(workspace, used);
  item.contextValue = context(workspace);
  item.iconPath = new vscode.ThemeIcon(
    icon,
    colour === undefined ? undefined : new vscode.ThemeColor(colour),
  );
  item.tooltip = details(workspace, used).join("\n");
  item.accessibilityInformation = { label: `${workspace.name}, ${item.description}` };
  return item;
}

function portItem(port: Port): vscode.TreeItem {
  const item = new vscode.TreeItem(String(port.port));
  item.description = portSummary(port);
  item.contextValue = "port";
  item.iconPath = new vscode.ThemeIcon(port.visibility === "private" ? "plug" : "broadcast");
  item.tooltip = port.url;
  // Else the address would be read out.
  item.accessibilityInformation = { label: `${port.port}, ${item.description}` };
  return item;
}
