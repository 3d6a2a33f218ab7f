/** A workspace's time to live: when it is over, and what to do about it. */
import { Alert, Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconHourglassLow } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { connection } from "../api/queries";
import type { Workspace } from "../api/types";
import { Ago, useNow } from "../parts/Time";
import classes from "./Awake.module.css";

/** How long before its end it is told more loudly, in milliseconds. */
const SOON = 24 * 3600 * 1000;

function useExtend(workspace: Workspace) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => request("POST", "/workspaces/{id}/extend", { path: { id: workspace.id }, body: {} }),
    onError: (error) => {
      notifications.show({
        color: "red",
        title: `${workspace.name} doesn't live longer`,
        message: explain(error),
      });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["workspaces"] }),
  });
}

/** Stands above everything where a workspace doesn't live for good. */
export function Lifetime({ workspace }: { workspace: Workspace }) {
  const extend = useExtend(workspace);
  const now = useNow(60_000);
  const grace = useQuery(connection).data?.delete_grace_seconds ?? 0;
  if (!workspace.expires_at) return null;
  const soon = Date.parse(workspace.expires_at) - now.getTime() < SOON;
  return (
    <Alert
      mb="md"
      color={soon ? "yellow" : "gray"}
      icon={<IconHourglassLow size={18} />}
      title={soon ? `${workspace.name} is deleted soon` : undefined}
      role="status"
    >
      <div className={classes.soon}>
        <span>
          Its time to live is over <Ago time={workspace.expires_at} />. It is deleted then
          {grace > 0 ? ", and can be restored for a while." : " with all that is in it."}
        </span>
        <Button
          size="xs"
          variant={soon ? "filled" : "default"}
          loading={extend.isPending}
          onClick={() => extend.mutate()}
        >
          Have it live longer
        </Button>
      </div>
    </Alert>
  );
}
