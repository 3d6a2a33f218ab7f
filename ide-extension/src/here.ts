/** Which workspace a window shows, where it shows one. */
import { loginName } from "../../gateway/web/src/workspace/links";
import type { Workspace } from "./api/types";
import { parseAuthority } from "./ssh/authority";

/** What the window and its programs say of themselves. */
export interface Surroundings {
  /** The authority of what is open, in a remote window. */
  authority: string | undefined;
  /** Variables of the extension's own process, which runs in the workspace where the editor does. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** Tells whether a window shows a workspace. `caller` is who is signed in to its server. */
export function isHere(workspace: Workspace, caller: string, around: Surroundings): boolean {
  const { DEVGATE_WORKSPACE: name, DEVGATE_OWNER: owner } = around.environment;
  if (name !== undefined && owner !== undefined) return workspace.name === name && workspace.owner === owner;
  const target = around.authority === undefined ? undefined : parseAuthority(around.authority);
  switch (target?.by) {
    case undefined:
      return false;
    case "address":
      return [loginName(workspace, caller), `${workspace.name}.${workspace.owner}`].includes(target.user);
    case "host":
      // `devgate config-ssh` names hosts WORKSPACE.SERVER.devgate, one's own workspaces alone.
      return (
        workspace.owner === caller &&
        target.host.startsWith(`${workspace.name}.`) &&
        target.host.endsWith(".devgate")
      );
  }
}
