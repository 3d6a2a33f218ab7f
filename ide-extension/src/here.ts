/** Which workspace a window shows, where it shows one. */
import { loginName } from "../../gateway/web/src/workspace/links";
import type { Workspace } from "./api/types";
import type { Live } from "./live";
import { bare, parseAuthority } from "./ssh/authority";
import type { Way } from "./ssh/config";

/** What the window and its programs say of themselves. */
export interface Surroundings {
  /** The authority of what is open, in a remote window. */
  authority: string | undefined;
  /** Variables of what runs where the window's files are. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** What a window says of the workspace that it shows: its id, which no two servers share, or the way there. */
export type Here = { by: "id"; id: string } | { by: "way"; way: Way };

/** Returns what a window shows. `resolve` asks ssh where a host of its configuration leads. */
export async function hereOf(
  { authority, environment }: Surroundings,
  resolve: (host: string) => Promise<Way | undefined>,
): Promise<Here | undefined> {
  const { DEVGATE_WORKSPACE_ID: id } = environment;
  if (id !== undefined) return { by: "id", id };
  const target = authority === undefined ? undefined : parseAuthority(authority);
  if (!target) return undefined;
  const way: Way | undefined = target.by === "host" ? await resolve(target.host) : target;
  if (!way) return undefined;
  return way.proxied === undefined ? { by: "way", way } : { by: "id", id: way.proxied };
}

/** Tells whether a window shows a workspace of a server. */
export function isHere(workspace: Workspace, live: Pick<Live, "server" | "connection">, here: Here): boolean {
  switch (here.by) {
    case "id":
      return workspace.id === here.id;
    case "way": {
      const { user, host, port } = here.way;
      const { server, connection } = live;
      const names = [loginName(workspace, server.user), `${workspace.name}.${workspace.owner}`];
      return (
        connection !== undefined &&
        names.includes(user) &&
        port === connection.ssh_port &&
        bare(host) === bare(connection.ssh_host)
      );
    }
  }
}
