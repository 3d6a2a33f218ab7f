/** The extension's beginning and end: what is there, and which command does what. */
import * as vscode from "vscode";

import { isStartable } from "./describe";
import { chosen, isNode, told } from "./ui/ask";
import { browse } from "./ui/browse";
import { create, keepAwake, restart, start, stop } from "./ui/life";
import { Model, type Place } from "./ui/model";
import { open, openInBrowser } from "./ui/open";
import { copyPort, openPort, sharePort } from "./ui/ports";
import { SignIn } from "./ui/sign-in";
import { Status } from "./ui/status";
import { followLog, openTerminal } from "./ui/terminals";
import { Tree } from "./ui/tree";

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const model = new Model(context);
  const signIn = new SignIn(model);
  context.subscriptions.push(
    model,
    new Tree(model),
    new Status(model, context.extension.extensionKind),
    vscode.window.registerUriHandler(signIn),
    ...commands(model, signIn),
  );
  await model.lives.reload();
}

function commands(model: Model, signIn: SignIn): vscode.Disposable[] {
  const command = (name: string, what: string, run: (...given: unknown[]) => Promise<void>) =>
    vscode.commands.registerCommand(`devgate.${name}`, told(what, run));
  /** One for a workspace, which is given or asked for. */
  const forPlace = (
    name: string,
    what: string,
    failed: string,
    run: (place: Place) => Promise<void> | void,
    fits?: (place: Place) => boolean,
  ) =>
    command(name, failed, async (node) => {
      const place = await chosen(model, node, what, fits);
      if (place) await run(place);
    });
  const mayStart = ({ workspace }: Place) => isStartable(workspace.state);
  const runs = ({ workspace }: Place) => workspace.state === "running";
  const mayEnter = ({ workspace }: Place) => workspace.may_enter;
  return [
    command("signIn", "nobody was signed in", (url) => signIn.signIn(url)),
    command("signOut", "nobody was signed out", (node) => signIn.signOut(node)),
    command("refresh", "the workspaces can't be listed", () => model.lives.refresh()),
    command("create", "no workspace was created", (node) =>
      create(model, isNode(node) && node.kind === "server" ? node.live : undefined),
    ),
    forPlace("start", "start", "it didn't start", start, mayStart),
    forPlace("stop", "stop", "it wasn't stopped", stop, runs),
    forPlace("restart", "restart", "it wasn't restarted", restart, runs),
    forPlace("keepAwake", "keep awake", "it isn't kept awake", keepAwake, runs),
    forPlace("open", "open", "it can't be opened", (place) => open(place, "this"), mayEnter),
    forPlace("openNewWindow", "open", "it can't be opened", (place) => open(place, "new"), mayEnter),
    forPlace("openInBrowser", "open in the browser", "it can't be opened", openInBrowser, mayEnter),
    forPlace("terminal", "open a terminal of", "there is no terminal", openTerminal, mayEnter),
    forPlace("logs", "follow the log of", "there is no log", (place) => followLog(place, "agent")),
    forPlace("startupLog", "follow the start-up of", "there is no log", (place) =>
      followLog(place, "startup"),
    ),
    forPlace("copySsh", "copy the ssh command of", "nothing was copied", async ({ workspace }) => {
      await vscode.env.clipboard.writeText(workspace.ssh);
    }),
    command("openDashboard", "the dashboard can't be opened", (node) => openDashboard(model, node)),
    command("openPort", "the port can't be opened", openPort),
    command("copyPort", "nothing was copied", copyPort),
    command("sharePort", "nothing was changed", sharePort),
  ];
}

async function openDashboard(model: Model, node: unknown): Promise<void> {
  if (isNode(node) && node.kind === "server") {
    await browse(node.live.server.url);
    return;
  }
  const place = await chosen(model, node, "show on the dashboard");
  if (!place) return;
  const { owner, name } = place.workspace;
  await browse(`${place.live.server.url}/workspaces/${owner}/${name}`);
}
