/** Ports of workspaces: opening them, and who else may. */
import * as vscode from "vscode";

import type { Visibility } from "../api/types";
import { isNode } from "./ask";
import { browse } from "./browse";
import type { Node } from "./tree";

type PortNode = Extract<Node, { kind: "port" }>;

function portOf(node: unknown): PortNode | undefined {
  return isNode(node) && node.kind === "port" ? node : undefined;
}

export async function openPort(node: unknown): Promise<void> {
  const chosen = portOf(node);
  if (chosen) await browse(chosen.port.url);
}

export async function copyPort(node: unknown): Promise<void> {
  const chosen = portOf(node);
  if (!chosen) return;
  await vscode.env.clipboard.writeText(chosen.port.url);
  vscode.window.setStatusBarMessage(`$(copy) ${chosen.port.url}`, 5000);
}

const WHO: { label: string; description: string; visibility: Visibility }[] = [
  { label: "$(lock) Private", description: "you alone", visibility: "private" },
  {
    label: "$(organization) Members",
    description: "everybody who is signed in to the server",
    visibility: "members",
  },
  { label: "$(globe) Public", description: "everybody who has the address", visibility: "public" },
];

/** Asks who may open a port, and says so to the server. */
export async function sharePort(node: unknown): Promise<void> {
  const chosen = portOf(node);
  if (!chosen) return;
  const { live, id, port } = chosen;
  const placeHolder = `Who may open port ${port.port}? It is ${port.visibility} now.`;
  const pick = await vscode.window.showQuickPick(WHO, { placeHolder });
  if (!pick || pick.visibility === port.visibility) return;
  const path = { id, port: String(port.port) };
  if (pick.visibility === "private")
    await live.gateway.request("DELETE", "/workspaces/{id}/ports/{port}", { path });
  else {
    const body = { visibility: pick.visibility };
    await live.gateway.request("PUT", "/workspaces/{id}/ports/{port}", { path, body });
  }
}
