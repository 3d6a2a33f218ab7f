/** What a token can be narrowed to, in words. */
import type { Action, Narrowing } from "../api/types";

export const LABELS: Record<Action, string> = {
  view: "See workspaces",
  run: "Start and stop",
  manage: "Create, change, delete",
  snapshots: "Snapshots",
  "files-read": "Read files",
  "files-write": "Write files",
  processes: "Run programs",
  terminals: "Terminals",
  ports: "Ports and applications",
  editor: "Editor",
  ssh: "SSH over HTTPS",
};

/** The actions that a folder confines. */
export const CONFINED: Action[] = ["view", "files-read", "files-write"];

/** The actions that go with a folder, or all that were chosen without one. */
export function allowed(actions: Action[] | null | undefined, folder: string): Action[] | null {
  if (folder === "") return actions ?? null;
  const kept = (actions ?? CONFINED).filter((action) => CONFINED.includes(action));
  return kept.length > 0 ? kept : CONFINED;
}

/** What is sent: nothing where nothing is narrowed. */
export function asked(value: Narrowing): Narrowing | undefined {
  return value.workspace || value.actions || value.folder ? value : undefined;
}

/** Says what a token is narrowed to; `names` are the workspaces' by their ids. */
export function told(value: Narrowing, names: ReadonlyMap<string, string>): string {
  const parts = [
    value.workspace && `only ${names.get(value.workspace) ?? "a workspace that is gone"}`,
    value.actions?.map((action) => LABELS[action].toLowerCase()).join(", "),
    value.folder && `below ${value.folder}`,
  ];
  return parts.filter((part) => part).join(" · ");
}
