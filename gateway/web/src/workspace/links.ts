/** Links that open a workspace in people's own programs, which then come in by SSH. */

export interface Destination {
  /** The login name: `WORKSPACE` or `WORKSPACE.OWNER`. */
  user: string;
  host: string;
  port: number;
  /** Folder to open, absolute. */
  folder: string;
}

/** Returns the login name for a workspace, as its owner or as somebody else. */
export function loginName(workspace: { name: string; owner: string }, caller: string): string {
  return workspace.owner === caller ? workspace.name : `${workspace.name}.${workspace.owner}`;
}

function pathOf(folder: string): string {
  return folder.split("/").map(encodeURIComponent).join("/");
}

/** IPv6 addresses stand in brackets in an address. */
function authority({ user, host, port }: Destination): string {
  return `${encodeURIComponent(user)}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * `vscode://vscode-remote/ssh-remote+user@host:port/path`, in a window of its own:
 * without `windowId` it takes the place of what somebody has open. Its relatives take the
 * same, each with a scheme of its own.
 */
export function vscode(to: Destination, scheme = "vscode"): string {
  return `${scheme}://vscode-remote/ssh-remote+${authority(to)}${pathOf(to.folder)}?windowId=_blank`;
}

/**
 * `jetbrains-gateway://connect#type=ssh&deploy=false&host=…&port=…&user=…&projectPath=…`.
 * Without an `idePath` Gateway asks which of the workspace's IDEs to use.
 */
export function jetbrains(to: Destination): string {
  const parameters = {
    type: "ssh",
    deploy: "false",
    host: to.host,
    port: String(to.port),
    user: to.user,
    projectPath: to.folder,
  };
  // Not URLSearchParams: a space is `%20` here, and `+` a plus.
  const text = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `jetbrains-gateway://connect#${text.join("&")}`;
}

/**
 * `jetbrains://gateway/ssh/environment?h=…&p=…&u=…&launchIde=true&projectHint=…`. Without
 * an `ideHint` Toolbox asks which IDE to use.
 */
export function toolbox(to: Destination): string {
  const parameters = {
    h: to.host,
    p: String(to.port),
    u: to.user,
    launchIde: "true",
    projectHint: to.folder,
  };
  const text = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `jetbrains://gateway/ssh/environment?${text.join("&")}`;
}

/** `zed://ssh/user@host:port/path`. */
export function zed(to: Destination): string {
  return `zed://ssh/${authority(to)}${pathOf(to.folder)}`;
}

/** A program of people's own, with the link that opens a workspace in it. */
export interface Program {
  id: "vscode" | "cursor" | "windsurf" | "vscodium" | "jetbrains" | "toolbox" | "zed";
  name: string;
  href: string;
}

/** Returns all of them; `devgate open --in` makes the same links. */
export function programs(to: Destination): Program[] {
  return [
    { id: "vscode", name: "VS Code Desktop", href: vscode(to) },
    { id: "cursor", name: "Cursor", href: vscode(to, "cursor") },
    { id: "windsurf", name: "Windsurf", href: vscode(to, "windsurf") },
    { id: "vscodium", name: "VSCodium", href: vscode(to, "vscodium") },
    { id: "jetbrains", name: "JetBrains Gateway", href: jetbrains(to) },
    { id: "toolbox", name: "JetBrains Toolbox", href: toolbox(to) },
    { id: "zed", name: "Zed", href: zed(to) },
  ];
}

/** Returns the folder that is typed, `home` where none is, or `null` for one that isn't absolute. */
export function checkedFolder(typed: string, home: string): string | null {
  const folder = typed.trim();
  if (folder === "") return home;
  return folder.startsWith("/") ? folder : null;
}
