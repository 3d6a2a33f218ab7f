import { useOutletContext } from "react-router";

import type { Me, Workspace } from "../api/types";

export interface WorkspaceContext {
  workspace: Workspace;
  who: Me;
}

/** Returns the workspace whose page this is. */
export function useWorkspace(): WorkspaceContext {
  return useOutletContext<WorkspaceContext>();
}
