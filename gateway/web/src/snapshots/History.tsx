/** What happened to a workspace, the newest first. */
import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";

import { request } from "../api/client";
import type { Event, Workspace } from "../api/types";
import { Failure } from "../parts/Failure";
import { sentence } from "../parts/format";
import { Loading } from "../parts/Loading";
import { Panel } from "../parts/Panel";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";
import { told } from "./told";

export function History({ workspace }: { workspace: Workspace }) {
  const history = useInfiniteQuery({
    queryKey: ["history", workspace.id],
    queryFn: ({ pageParam, signal }) =>
      request("GET", "/workspaces/{id}/history", {
        path: { id: workspace.id },
        query: { limit: 30, cursor: pageParam },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const events = history.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="History" flush>
      {history.isPending && <Loading />}
      {history.isError && !history.data && (
        <Failure
          title="The history can't be shown"
          error={history.error}
          retry={() => void history.refetch()}
        />
      )}
      {events.length > 0 && (
        <ul className={rows.list} aria-label="History">
          {events.map((event) => (
            <Line key={event.id} event={event} />
          ))}
          {history.hasNextPage && (
            <li className={rows.row}>
              <Button
                variant="default"
                loading={history.isFetchingNextPage}
                onClick={() => void history.fetchNextPage()}
              >
                Show more
              </Button>
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

function Line({ event }: { event: Event }) {
  const { by }: Record<string, unknown> = event.data;
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span>{sentence(told(event))}</span>
        <span className={rows.note}>
          <Ago time={event.time} />
          {typeof by === "string" && <> · by {by}</>}
        </span>
      </div>
    </li>
  );
}
