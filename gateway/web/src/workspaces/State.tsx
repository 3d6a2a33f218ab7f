import { Loader } from "@mantine/core";
import { IconAlertTriangleFilled, IconMoonFilled } from "@tabler/icons-react";

import { useDeleting } from "../api/lifecycle";
import type { Workspace, WorkspaceState } from "../api/types";
import { Elapsed } from "../parts/Time";
import classes from "./State.module.css";

const WORD: Record<WorkspaceState, string> = {
  created: "New",
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  stopped: "Stopped",
  asleep: "Asleep",
  failed: "Failed",
  unreachable: "Unreachable",
  deleted: "Deleted",
};

/** Says what a workspace is doing; colour and shape say the same. */
export function StateMark({ workspace }: { workspace: Workspace }) {
  const deleting = useDeleting(workspace.id);
  const busy = deleting || workspace.state === "starting" || workspace.state === "stopping";
  return (
    <span className={classes.mark} data-state={deleting ? "stopping" : workspace.state}>
      <span className={classes.sign} aria-hidden>
        {busy ? (
          <Loader size={12} color="currentColor" />
        ) : workspace.reason !== null ? (
          <IconAlertTriangleFilled size={14} />
        ) : workspace.state === "asleep" ? (
          <IconMoonFilled size={13} />
        ) : (
          <span className={classes.dot} />
        )}
      </span>
      {deleting ? "Deleting" : WORD[workspace.state]}
      {!deleting && workspace.state === "running" && workspace.startup?.state === "failed" && (
        <span className={classes.doing} title={workspace.startup.detail}>
          start-up failed
        </span>
      )}
      {(busy || workspace.state === "running") && workspace.doing && (
        <span className={classes.doing} title={workspace.doing}>
          {workspace.doing}
        </span>
      )}
      {busy && !deleting && (
        <span className={classes.elapsed} aria-hidden>
          <Elapsed since={workspace.changed} />
        </span>
      )}
    </span>
  );
}
