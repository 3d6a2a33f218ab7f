/** Addresses of pages about workspaces. */

/** The list with the dialog that creates one. */
export const CREATE = "/workspaces?create";

export function pathOf(workspace: { owner: string; name: string }): string {
  return `/workspaces/${encodeURIComponent(workspace.owner)}/${encodeURIComponent(workspace.name)}`;
}

/** Returns why a name can't be a workspace's, or `null`: 1 to 40 of `[a-z0-9-]`, also a DNS label. */
export function faultOfName(name: string, taken: readonly string[]): string | null {
  if (name === "") return "A workspace needs a name.";
  if (!/^[a-z0-9-]+$/.test(name)) return "Use lower-case letters, digits and hyphens.";
  if (name.startsWith("-") || name.endsWith("-")) return "A hyphen can't be the first or the last character.";
  if (name.includes("--")) return "Two hyphens in a row aren't possible: they separate parts of addresses.";
  if (name.length > 40) return "Use 40 characters at most.";
  if (taken.includes(name)) return `You already have a workspace ${name}.`;
  return null;
}

const WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "indigo", "juniper"];

/** Returns a name that is free, so that nobody has to think of one first. */
export function suggestName(taken: readonly string[]): string {
  const first = taken.length === 0 ? "dev" : WORDS.find((word) => !taken.includes(word));
  if (first !== undefined) return first;
  let number = 2;
  while (taken.includes(`dev-${number}`)) number += 1;
  return `dev-${number}`;
}
