/** Links that open a workspace in people's own programs, which then come in by SSH. */

export interface Destination {
  /** The login name: `WORKSPACE` or `WORKSPACE.OWNER`. */
  user: string;
  host: string;
  port: number;
  /** Folder to open, absolute; empty for none. */
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

/** `vscode://vscode-remote/ssh-remote+user@host:port/path`; the forks take the same. */
export function vscode(to: Destination, scheme = "vscode"): string {
  const folder = to.folder === "" ? "/" : pathOf(to.folder);
  return `${scheme}://vscode-remote/ssh-remote+${authority(to)}${folder}?windowId=_blank`;
}

/** `jetbrains-gateway://connect#type=ssh&…`; its IDE is chosen in Gateway. */
export function jetbrains(to: Destination): string {
  const parameters = new URLSearchParams({
    type: "ssh",
    deploy: "false",
    host: to.host,
    port: String(to.port),
    user: to.user,
  });
  if (to.folder !== "") parameters.set("projectPath", to.folder);
  return `jetbrains-gateway://connect#${parameters.toString()}`;
}

/** `zed://ssh/user@host:port/path`. */
export function zed(to: Destination): string {
  return `zed://ssh/${authority(to)}${to.folder === "" ? "/" : pathOf(to.folder)}`;
}

/** Returns what is typed as a folder if it can be opened: absolute, or nothing. */
export function checkedFolder(typed: string): string | null {
  const folder = typed.trim();
  return folder === "" || folder.startsWith("/") ? folder : null;
}
