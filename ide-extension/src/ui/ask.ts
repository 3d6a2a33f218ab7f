/** What commands have in common: of which workspace they are, and how they fail. */
import * as vscode from "vscode";

import { explain, Problem, Untrusted } from "../api/problem";
import { look, summary, title } from "../describe";
import type { Model, Place } from "./model";
import type { Node } from "./tree";

interface Pick extends vscode.QuickPickItem {
  place: Place;
}

/** Returns the workspace that a command is for: the one in the tree, or one that the person chooses. */
export async function chosen(
  model: Model,
  node: unknown,
  what: string,
  fits: (place: Place) => boolean = () => true,
): Promise<Place | undefined> {
  if (isNode(node) && (node.kind === "workspace" || node.kind === "port")) {
    const workspace = node.live.find(node.id);
    if (workspace) return { live: node.live, workspace };
  }
  const places = model.lives.places().filter(fits);
  if (places.length === 0) {
    void vscode.window.showInformationMessage(`There is no workspace to ${what}: create one, or sign in.`);
    return undefined;
  }
  const several = model.lives.all().length > 1;
  const picks = places.map((place): Pick => {
    const { live, workspace } = place;
    const pick: Pick = {
      label: `$(${look(workspace.state).icon.replace("~spin", "")}) ${title(workspace, live.server.user)}`,
      description: summary(workspace, live.usage(workspace.id)),
      place,
    };
    return several ? { ...pick, detail: live.server.url } : pick;
  });
  const pick = await vscode.window.showQuickPick(picks, { placeHolder: `Which workspace to ${what}?` });
  return pick?.place;
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "kind" in value;
}

/** Shows progress while something is done; its signal says when the person has had enough. */
export function during<T>(text: string, work: (signal: AbortSignal) => Promise<T>): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: text, cancellable: true };
  return vscode.window.withProgress(options, (_, cancelled) => {
    const stop = new AbortController();
    const listening = cancelled.onCancellationRequested(() => stop.abort());
    return work(stop.signal).finally(() => {
      listening.dispose();
    });
  });
}

/** Returns a command that tells the person what went wrong and what to do next. */
export function told(what: string, command: (...given: unknown[]) => Promise<void>) {
  return async (...given: unknown[]): Promise<void> => {
    try {
      await command(...given);
    } catch (error) {
      // The person has ended it.
      if (error instanceof Error && error.name === "AbortError") return;
      await complain(what, error);
    }
  };
}

async function complain(what: string, error: unknown): Promise<void> {
  const again = error instanceof Untrusted || (error instanceof Problem && error.signedOut);
  const action = again ? ["Sign In…"] : [];
  const answer = await vscode.window.showErrorMessage(`devgate: ${what}: ${explain(error)}`, ...action);
  if (answer !== undefined) await vscode.commands.executeCommand("devgate.signIn");
}
