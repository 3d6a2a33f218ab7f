/** A workspace's life: creating it, starting, stopping, keeping it awake. */
import { randomUUID } from "node:crypto";

import * as vscode from "vscode";

import { Problem } from "../api/problem";
import type { Template, Workspace } from "../api/types";
import type { Live } from "../live";
import { during } from "./ask";
import type { Model, Place } from "./model";
import type { Node } from "./tree";

/** Longest name of a workspace, and what it is made of. */
const LONGEST = 40;
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

const LEASES = [
  { label: "For an hour", seconds: 3600 },
  { label: "For 2 hours", seconds: 2 * 3600 },
  { label: "For 8 hours", seconds: 8 * 3600 },
  { label: "For a day", seconds: 24 * 3600 },
  { label: "For a week", seconds: 7 * 24 * 3600 },
];

/** Starts a workspace and waits until it runs. */
export async function start(place: Place): Promise<void> {
  await act(place, "start", `Starting ${place.workspace.name}`);
}

/** Stops a workspace, if the person means it: what runs in it ends. */
export async function stop(place: Place): Promise<void> {
  const { name } = place.workspace;
  const yes = "Stop";
  const options = { modal: true, detail: "What runs in it ends. Its files stay." };
  const answer = await vscode.window.showWarningMessage(`Stop ${name}?`, options, yes);
  if (answer === yes) await act(place, "stop", `Stopping ${name}`);
}

export async function restart(place: Place): Promise<void> {
  const { name } = place.workspace;
  const yes = "Restart";
  const options = { modal: true, detail: "What runs in it ends. Its files stay." };
  const answer = await vscode.window.showWarningMessage(`Restart ${name}?`, options, yes);
  if (answer === yes) await act(place, "restart", `Restarting ${name}`);
}

async function act(
  { live, workspace }: Place,
  action: "start" | "stop" | "restart",
  text: string,
): Promise<void> {
  await during(text, async (signal) => {
    const path = { id: workspace.id };
    live.put(await live.gateway.request("POST", `/workspaces/{id}/${action}`, { path, signal }));
    settle(live, await live.settled(workspace.id, signal));
  });
}

/** Shows how it ended; a start that failed is told. */
function settle(live: Live, now: Workspace | undefined): void {
  if (!now) return;
  live.put(now);
  if (now.state === "failed") {
    throw new Problem(0, "failed", now.reason?.detail ?? "it failed; its log says why");
  }
}

/** Creates a workspace from a template. */
export async function create(model: Model, given?: Live): Promise<void> {
  const live = given ?? (await chooseServer(model));
  if (!live) return;
  const templates = await allTemplates(live);
  const template = await chooseTemplate(templates);
  if (template === undefined) return;
  const name = await askForName(live);
  if (name === undefined) return;
  const cpus = await askForMore("Processors", template?.cpus, template?.max_cpus);
  if (cpus === undefined) return;
  const memory = await askForMore("Memory", template?.memory, template?.max_memory);
  if (memory === undefined) return;
  const body = { name, start: true, template: template?.name ?? null, cpus, memory };
  const { id } = await during(`Creating ${name}`, async (signal) => {
    const header = { "Idempotency-Key": randomUUID() };
    const made = await live.gateway.request("POST", "/workspaces", { body, header, signal });
    live.put(made);
    settle(live, await live.settled(made.id, signal));
    return made;
  });
  await offerToOpen({ kind: "workspace", live, id }, name);
}

async function offerToOpen(node: Node, name: string): Promise<void> {
  const open = "Open";
  const answer = await vscode.window.showInformationMessage(`${name} runs.`, open);
  if (answer === open) await vscode.commands.executeCommand("devgate.openNewWindow", node);
}

async function chooseServer(model: Model): Promise<Live | undefined> {
  const all = model.lives.all();
  if (all.length < 2) return all[0];
  const picks = all.map((live) => ({ label: live.server.url, live }));
  return (await vscode.window.showQuickPick(picks, { placeHolder: "Create it on which server?" }))?.live;
}

async function allTemplates(live: Live): Promise<Template[]> {
  const { items } = await live.gateway.request("GET", "/templates", { query: { limit: 200 } });
  return items.filter(({ problem }) => problem === null);
}

/** Returns a template, `null` for what the server makes without one, nothing where the person gave up. */
async function chooseTemplate(templates: Template[]): Promise<Template | null | undefined> {
  if (templates.length === 0) return null;
  const plain = {
    label: "$(circle-outline) None",
    description: "as the server is configured",
    template: null,
  };
  const picks = templates.map((template) => ({
    label: `$(package) ${template.name}`,
    description: template.description,
    template,
  }));
  const pick = await vscode.window.showQuickPick([...picks, plain], { placeHolder: "From which template?" });
  return pick?.template;
}

function askForName(live: Live): Thenable<string | undefined> {
  const mine = (live.workspaces ?? []).filter(({ owner }) => owner === live.server.user);
  return vscode.window.showInputBox({
    title: "Create Workspace",
    prompt: "Its name: lower-case letters, digits and hyphens",
    ignoreFocusOut: true,
    validateInput: (name) => {
      if (!NAME.test(name) || name.length > LONGEST) {
        return `A name has 1 to ${LONGEST} lower-case letters, digits and hyphens, none of these at an end.`;
      }
      return mine.some((one) => one.name === name) ? "You have a workspace of that name." : undefined;
    },
  });
}

/** Returns how much of something, `null` for the template's own; nothing where the person gave up. */
async function askForMore(
  what: string,
  own: string | null | undefined,
  most: string | null | undefined,
): Promise<string | null | undefined> {
  if (most === null || most === undefined) return null;
  const typed = await vscode.window.showInputBox({
    title: "Create Workspace",
    prompt: `${what}: up to ${most}; empty for ${own ?? "what the server gives"}`,
    ignoreFocusOut: true,
  });
  return typed === undefined ? undefined : typed.trim() === "" ? null : typed.trim();
}

/** Keeps a workspace awake for a time that the person chooses. */
export async function keepAwake(place: Place): Promise<void> {
  const placeHolder = `For how long is ${place.workspace.name} to stay awake?`;
  const pick = await vscode.window.showQuickPick(LEASES, { placeHolder });
  if (pick) await keepAwakeFor(place, pick.seconds);
}

export async function keepAwakeFor({ live, workspace }: Place, seconds: number): Promise<void> {
  const lease = await live.gateway.request("POST", "/workspaces/{id}/keep-awake", {
    path: { id: workspace.id },
    body: { seconds, reason: `Kept awake from ${vscode.env.appName}` },
  });
  const until = new Date(lease.until).toLocaleString();
  vscode.window.setStatusBarMessage(`$(eye) ${workspace.name} stays awake until ${until}`, 10_000);
}
