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
