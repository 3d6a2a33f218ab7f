/** Opening a workspace: over SSH with whichever extension does that here, or in the browser. */
import * as vscode from "vscode";

import { loginName } from "../../../gateway/web/src/workspace/links";
import { isStartable } from "../describe";
import { authority, bare, settingKey, type Target } from "../ssh/authority";
import { knownHost } from "../ssh/config";
import { hint, type SshSettings } from "../ssh/extensions";
import { during } from "./ask";
import { browse } from "./browse";
import { start } from "./life";
import type { Place } from "./model";
import { remoteSsh, sshOf } from "./remote-ssh";

/** Which window shows it. */
export type Window = "this" | "new";

async function sayWhatToInstall(place: Place): Promise<void> {
  const inBrowser = "Open in Browser";
  if (vscode.env.uiKind === vscode.UIKind.Web) {
    const text =
      "An editor in a browser opens nothing over SSH: use the editor of your computer, or the workspace's own.";
    if ((await vscode.window.showWarningMessage(text, inBrowser)) === inBrowser) await openInBrowser(place);
    return;
  }
  const { id, name } = hint(vscode.env.uriScheme);
  const show = "Show the Extension";
  const text = `To open workspaces over SSH, ${vscode.env.appName} needs the extension “${name}” (${id}): install it, then try again.`;
  const answer = await vscode.window.showWarningMessage(text, show, inBrowser);
  if (answer === show) await vscode.commands.executeCommand("workbench.extensions.search", `@id:${id}`);
  if (answer === inBrowser) await openInBrowser(place);
}

/** Opens a workspace's editor in the browser. */
export async function openInBrowser({ workspace }: Place): Promise<void> {
  await browse(workspace.urls.editor);
}

/** Opens a workspace over SSH, and starts it first where it doesn't run. */
export async function open(place: Place, window: Window): Promise<void> {
  const settings = remoteSsh();
  if (!settings) return sayWhatToInstall(place);
  if (!(await hasKey(place))) return;
  const { live, workspace } = place;
  if (isStartable(workspace.state)) await start(place);
  const target = await during(`Opening ${workspace.name}`, (signal) => targetOf(place, settings, signal));
  await sayItIsLinux(settings, target);
  await show(authority(target), window, live.find(workspace.id)?.home ?? workspace.home);
}

/** Nobody gets in without a key; the dashboard takes one. */
async function hasKey({ live, workspace }: Place): Promise<boolean> {
  const { items } = await live.gateway.request("GET", "/me/keys");
  if (items.length > 0) return true;
  const [add, go] = ["Add a Key…", "Open Anyway"];
  const text = `SSH needs a key of yours, and ${new URL(live.server.url).host} knows none: add one before ${workspace.name} is opened.`;
  const answer = await vscode.window.showWarningMessage(text, add, go);
  if (answer === add) await browse(`${live.server.url}/account/keys`);
  return answer === go;
}

/** Returns how ssh gets there: by a host of its own configuration, else by the address. */
async function targetOf(place: Place, settings: SshSettings, signal: AbortSignal): Promise<Target> {
  const { live, workspace } = place;
  const host = await knownHost(workspace.id, sshOf(settings));
  if (host !== undefined) return { by: "host", host };
  const to = await live.gateway.request("GET", "/connection", { signal });
  return {
    by: "address",
    user: loginName(workspace, live.server.user),
    host: bare(to.ssh_host),
    port: to.ssh_port,
  };
}

/** Has nobody be asked what system the host is. */
async function sayItIsLinux({ platforms }: SshSettings, target: Target): Promise<void> {
  if (platforms === undefined) return;
  const configuration = vscode.workspace.getConfiguration();
  const before = configuration.inspect<Record<string, string>>(platforms)?.globalValue ?? {};
  const host = settingKey(target);
  if (before[host] === "linux") return;
  const after = { ...before, [host]: "linux" };
  await configuration.update(platforms, after, vscode.ConfigurationTarget.Global).then(undefined, () => {
    // Settings that are being edited, or have a mistake, can't be written: then the person is asked.
  });
}

async function show(remoteAuthority: string, window: Window, folder: string): Promise<void> {
  const isNew = window === "new";
  if (vscode.workspace.getConfiguration("devgate").get<string>("openFolder") === "none") {
    await vscode.commands.executeCommand("vscode.newWindow", { remoteAuthority, reuseWindow: !isNew });
    return;
  }
  const uri = vscode.Uri.from({ scheme: "vscode-remote", authority: remoteAuthority, path: folder });
  await vscode.commands.executeCommand("vscode.openFolder", uri, {
    forceNewWindow: isNew,
    forceReuseWindow: !isNew,
  });
}
