/** The Remote-SSH extension of this editor, and the ssh that it runs. */
import { homedir } from "node:os";

import * as vscode from "vscode";

import { expanded, type Ssh } from "../ssh/config";
import { REMOTE_SSH, settingsOf, type SshSettings } from "../ssh/extensions";

/** Returns its settings, or nothing where there is none. */
export function remoteSsh(): SshSettings | undefined {
  for (const id of REMOTE_SSH) {
    const extension = vscode.extensions.getExtension(id);
    if (extension) return settingsOf(extension.packageJSON);
  }
  return undefined;
}

/** Returns the ssh that knows what that extension's does. */
export function sshOf(settings: SshSettings | undefined): Ssh {
  const program = vscode.workspace.getConfiguration("devgate").get<string>("sshPath", "ssh");
  const file =
    settings?.configFile && vscode.workspace.getConfiguration().get<string | null>(settings.configFile);
  return { program, file: file ? expanded(file, homedir()) : undefined };
}
