/** What the pages ask the gateway for, and when it is asked again. */
import { queryOptions } from "@tanstack/react-query";

import { request, requestAll, requestText } from "./client";

export const me = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => request("GET", "/me", { signal }),
});

export const connection = queryOptions({
  queryKey: ["connection"],
  queryFn: ({ signal }) => request("GET", "/connection", { signal }),
  staleTime: 10 * 60_000,
});

export const workspaces = queryOptions({
  queryKey: ["workspaces"],
  queryFn: ({ signal }) => requestAll("/workspaces", signal),
  // Events bring changes at once; this is for what they may miss, and for how far a start is.
  refetchInterval: (query) =>
    query.state.data?.some((workspace) => workspace.state === "starting") ? 1500 : 60_000,
});

export const templates = queryOptions({
  queryKey: ["templates"],
  queryFn: ({ signal }) => requestAll("/templates", signal),
});

export const template = (name: string) =>
  queryOptions({
    queryKey: ["template", name],
    queryFn: ({ signal }) => request("GET", "/templates/{name}", { path: { name }, signal }),
    // It is edited: what somebody else wrote meanwhile is shown.
    staleTime: 0,
  });
export const deletedWorkspaces = queryOptions({
  // Old whenever the other list is.
  queryKey: ["workspaces", "deleted"],
  queryFn: ({ signal }) => requestAll("/workspaces", signal, { deleted: true }),
  refetchInterval: 60_000,
});

export const limits = queryOptions({
  queryKey: ["limits"],
  queryFn: ({ signal }) => request("GET", "/limits", { signal }),
  refetchInterval: 60_000,
});

export const snapshots = queryOptions({
  queryKey: ["snapshots"],
  queryFn: ({ signal }) => requestAll("/snapshots", signal),
  // Events tell of the end; this is for how far one is.
  refetchInterval: (query) => (query.state.data?.some((snapshot) => snapshot.doing) ? 1500 : 60_000),
});

export const keys = queryOptions({
  queryKey: ["keys"],
  queryFn: ({ signal }) => requestAll("/me/keys", signal),
});

export const tokens = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => requestAll("/me/tokens", signal),
});

export const logins = queryOptions({
  queryKey: ["logins"],
  queryFn: ({ signal }) => requestAll("/me/logins", signal),
});

export const sshApprovals = queryOptions({
  queryKey: ["ssh-approvals"],
  queryFn: ({ signal }) => requestAll("/me/ssh-approvals", signal),
});

export const users = queryOptions({
  queryKey: ["users"],
  queryFn: ({ signal }) => requestAll("/users", signal),
});

export const server = queryOptions({
  queryKey: ["server"],
  queryFn: ({ signal }) => request("GET", "/server", { signal }),
  refetchInterval: 10_000,
});

export const ports = (id: string) =>
  queryOptions({
    queryKey: ["ports", id],
    queryFn: async ({ signal }) => {
      const page = await request("GET", "/workspaces/{id}/ports", { path: { id }, signal });
      return page.items;
    },
  });

export const terminals = (id: string) =>
  queryOptions({
    queryKey: ["terminals", id],
    queryFn: async ({ signal }) => {
      const list = await request("GET", "/workspaces/{id}/terminals", { path: { id }, signal });
      return list.items;
    },
    refetchInterval: 5000,
  });

/** How often it is asked again why a workspace runs; often once people have been warned. */
export const whyRunning = (id: string) =>
  queryOptions({
    queryKey: ["why-running", id],
    queryFn: ({ signal }) => request("GET", "/workspaces/{id}/why-running", { path: { id }, signal }),
    refetchInterval: (query) => (query.state.data?.warned ? 3000 : 15_000),
  });

export const leases = (id: string) =>
  queryOptions({
    queryKey: ["leases", id],
    queryFn: async ({ signal }) => {
      const page = await request("GET", "/workspaces/{id}/keep-awake", { path: { id }, signal });
      return page.items;
    },
    refetchInterval: 30_000,
  });

export const editor = (id: string) =>
  queryOptions({
    queryKey: ["editor", id],
    queryFn: ({ signal }) => request("GET", "/workspaces/{id}/editor", { path: { id }, signal }),
    refetchInterval: (query) => (query.state.data?.state === "starting" ? 1000 : 10_000),
  });

export const editorLog = (id: string) =>
  queryOptions({
    queryKey: ["editor-log", id],
    queryFn: ({ signal }) =>
      requestText("/workspaces/{id}/editor/log", { path: { id }, query: { tail: 300 }, signal }),
    refetchInterval: 3000,
  });

export type Window = "hour" | "day";

export const statistics = (id: string, window: Window) =>
  queryOptions({
    queryKey: ["statistics", id, window],
    queryFn: ({ signal }) =>
      request("GET", "/workspaces/{id}/statistics", { path: { id }, query: { window }, signal }),
    refetchInterval: window === "hour" ? 10_000 : 60_000,
    placeholderData: (before) => before,
  });
