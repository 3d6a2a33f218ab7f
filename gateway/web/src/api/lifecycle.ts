/** What one does with workspaces. */
import { notifications } from "@mantine/notifications";
import { useIsMutating, useMutation, useQueryClient } from "@tanstack/react-query";

import { explain, Problem, request } from "./client";
import { deletedWorkspaces, workspaces } from "./queries";
import type { Workspace, WorkspaceState } from "./types";

export type Action = "start" | "stop" | "restart" | "sleep";

/** What an action leads to, shown at once; events bring the truth. */
const NEXT: Record<Action, WorkspaceState> = {
  start: "starting",
  stop: "stopping",
  restart: "stopping",
  sleep: "stopping",
};

const VERB: Record<Action, string> = {
  start: "start",
  stop: "stop",
  restart: "restart",
  sleep: "go to sleep",
};

export function useAction() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ workspace, action }: { workspace: Workspace; action: Action }) =>
      request("POST", `/workspaces/{id}/${action}`, { path: { id: workspace.id } }),
    onMutate: async ({ workspace, action }) => {
      await queries.cancelQueries(workspaces);
      const hoped = { state: NEXT[action], reason: null, changed: new Date().toISOString() };
      let before: Workspace | undefined;
      queries.setQueryData(workspaces.queryKey, (all) =>
        all?.map((one) => {
          if (one.id !== workspace.id) return one;
          before = one;
          return { ...one, ...hoped };
        }),
      );
      return { before, since: hoped.changed };
    },
    onError: (error, { workspace, action }, shown) => {
      // Where the gateway is away nothing else would say that it goes on as before.
      queries.setQueryData(workspaces.queryKey, (all) =>
        all?.map((one) =>
          shown?.before && one.id === workspace.id && one.changed === shown.since ? shown.before : one,
        ),
      );
      notifications.show({
        color: "red",
        title: `${workspace.name} didn't ${VERB[action]}`,
        message: explain(error),
        autoClose: 10_000,
      });
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

/** Deletes a workspace; `gone` is called even where whoever asked has left the page. */
export function useDelete(gone: (workspace: Workspace) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: ["delete"],
    mutationFn: async (workspace: Workspace) => {
      try {
        await request("DELETE", "/workspaces/{id}", {
          path: { id: workspace.id },
          query: { wait: 60 },
        });
      } catch (error) {
        // Somebody else was quicker.
        if (!(error instanceof Problem && error.status === 404)) throw error;
      }
    },
    onError: (error, workspace) => {
      notifications.show({
        color: "red",
        title: `${workspace.name} wasn't deleted`,
        message: explain(error),
        autoClose: 10_000,
      });
    },
    onSuccess: (_, workspace) => {
      queries.setQueryData(workspaces.queryKey, (all) => all?.filter((one) => one.id !== workspace.id));
      notifications.show({ message: `${workspace.name} was deleted` });
      gone(workspace);
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

/** Gives a workspace another name or owner. */
export function useChange() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ workspace, ...change }: { workspace: Workspace; name?: string; owner?: string }) =>
      request("PATCH", "/workspaces/{id}", { path: { id: workspace.id }, body: change }),
    onSuccess: (changed) => {
      queries.setQueryData(workspaces.queryKey, (all) =>
        all?.map((one) => (one.id === changed.id ? changed : one)),
      );
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

/** Has a deleted workspace live again, stopped. */
export function useRestore() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ workspace, name }: { workspace: Workspace; name: string }) =>
      request("POST", "/workspaces/{id}/restore", {
        path: { id: workspace.id },
        query: { wait: 60 },
        body: { name },
      }),
    onSuccess: (_, { workspace, name }) => {
      queries.setQueryData(deletedWorkspaces.queryKey, (all) =>
        all?.filter((one) => one.id !== workspace.id),
      );
      notifications.show({ message: `${name} was restored, and is stopped` });
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

/** Removes what is left of a deleted workspace. */
export function usePurge() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (workspace: Workspace) =>
      request("DELETE", "/workspaces/{id}", {
        path: { id: workspace.id },
        query: { purge: true, wait: 60 },
      }),
    onSuccess: (_, workspace) => {
      notifications.show({ message: `${workspace.name} was removed for good` });
    },
    onError: (error, workspace) => {
      notifications.show({
        color: "red",
        title: `${workspace.name} wasn't removed`,
        message: explain(error),
        autoClose: 10_000,
      });
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

/** Whether this page is deleting the workspace right now. */
export function useDeleting(id: string): boolean {
  const count = useIsMutating({
    mutationKey: ["delete"],
    predicate: (mutation) => (mutation.state.variables as Workspace | undefined)?.id === id,
  });
  return count > 0;
}

/** Whether this page is deleting any workspace right now. */
export function useDeletingAny(): boolean {
  return useIsMutating({ mutationKey: ["delete"] }) > 0;
}

/** What a workspace is made of. */
export interface Chosen {
  template: string | null;
  cpus: string | null;
  memory: string | null;
}

/** Makes a workspace anew. */
export function useRebuild() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ workspace, choice }: { workspace: Workspace; choice: Chosen }) =>
      request("POST", "/workspaces/{id}/rebuild", { path: { id: workspace.id }, body: choice }),
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}

export function useCreate() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ name, idempotency, choice }: { name: string; idempotency: string; choice: Chosen }) =>
      request("POST", "/workspaces", {
        body: { name, start: true, ...choice },
        header: { "Idempotency-Key": idempotency },
      }),
    onSuccess: (created) => {
      queries.setQueryData(workspaces.queryKey, (all) => [
        ...(all ?? []).filter((one) => one.id !== created.id),
        created,
      ]);
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
}
