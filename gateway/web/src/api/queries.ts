/** What the pages ask the gateway for, and when it is asked again. */
import { queryOptions } from "@tanstack/react-query";

import { request, requestAll, requestText } from "./client";
import type {
  Connection,
  Editor,
  Key,
  Login,
  Me,
  Page,
  Port,
  Server,
  Statistics,
  Terminal,
  Token,
  User,
  Workspace,
} from "./types";

export const me = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => request<Me>("GET", "/me", { signal }),
});

export const connection = queryOptions({
  queryKey: ["connection"],
  queryFn: ({ signal }) => request<Connection>("GET", "/connection", { signal }),
  staleTime: 10 * 60_000,
});

export const workspaces = queryOptions({
  queryKey: ["workspaces"],
  queryFn: ({ signal }) => requestAll<Workspace>("/workspaces", { signal }),
  // Events bring changes at once; this is for what they may miss.
  refetchInterval: 60_000,
});

export const keys = queryOptions({
  queryKey: ["keys"],
  queryFn: ({ signal }) => requestAll<Key>("/me/keys", { signal }),
});

export const tokens = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => requestAll<Token>("/me/tokens", { signal }),
});

export const logins = queryOptions({
  queryKey: ["logins"],
  queryFn: ({ signal }) => requestAll<Login>("/me/logins", { signal }),
});

export const users = queryOptions({
  queryKey: ["users"],
  queryFn: ({ signal }) => requestAll<User>("/users", { signal }),
});

export const server = queryOptions({
  queryKey: ["server"],
  queryFn: ({ signal }) => request<Server>("GET", "/server", { signal }),
  refetchInterval: 10_000,
});

export const ports = (workspace: string) =>
  queryOptions({
    queryKey: ["ports", workspace],
    queryFn: async ({ signal }) => {
      const page = await request<Page<Port>>("GET", `/workspaces/${workspace}/ports`, { signal });
      return page.items;
    },
  });

export const terminals = (workspace: string) =>
  queryOptions({
    queryKey: ["terminals", workspace],
    queryFn: async ({ signal }) => {
      const list = await request<{ items: Terminal[] }>("GET", `/workspaces/${workspace}/terminals`, {
        signal,
      });
      return list.items;
    },
    refetchInterval: 5000,
  });

export const editor = (workspace: string) =>
  queryOptions({
    queryKey: ["editor", workspace],
    queryFn: ({ signal }) => request<Editor>("GET", `/workspaces/${workspace}/editor`, { signal }),
    refetchInterval: (query) => (query.state.data?.state === "starting" ? 1000 : 10_000),
  });

export const editorLog = (workspace: string) =>
  queryOptions({
    queryKey: ["editor-log", workspace],
    queryFn: ({ signal }) =>
      requestText(`/workspaces/${workspace}/editor/log`, { signal, query: { tail: 300 } }),
    refetchInterval: 3000,
  });

export type Window = "hour" | "day";

export const statistics = (workspace: string, window: Window) =>
  queryOptions({
    queryKey: ["statistics", workspace, window],
    queryFn: ({ signal }) =>
      request<Statistics>("GET", `/workspaces/${workspace}/statistics`, { signal, query: { window } }),
    refetchInterval: window === "hour" ? 10_000 : 60_000,
    placeholderData: (before) => before,
  });
