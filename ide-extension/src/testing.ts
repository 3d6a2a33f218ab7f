/** What tests share: a server of their own, on a port that is free. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";

import { MEDIA_TYPE } from "./api/problem";
import type { Connection, Workspace } from "./api/types";

export interface Serving {
  url: string;
  server: http.Server;
  close: () => Promise<void>;
}

/** Serves over plain HTTP, or with a certificate over TLS. */
export async function serve(
  answer: http.RequestListener,
  tls?: { key: string; cert: string },
): Promise<Serving> {
  const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? "https" : "http"}://localhost:${port}`,
    server,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Answers with JSON, as a gateway does. */
export function json(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": status < 400 ? "application/json" : MEDIA_TYPE });
  response.end(JSON.stringify(body));
}

/** A workspace. */
export const WORKSPACE: Workspace = {
  id: "0123456789abcdef",
  name: "api",
  owner: "ada",
  state: "running",
  ssh: "ssh -p 2222 api@dev.example.com",
  home: "/home/dev",
  may_enter: true,
  notices: [],
  agent: null,
  changed: "2026-01-01T00:00:00Z",
  created: "2026-01-01T00:00:00Z",
  deleted_at: null,
  doing: null,
  expires_at: null,
  out_of_memory: null,
  reason: null,
  restorable_until: null,
  startup: null,
  template: null,
  urls: { editor: "https://editor--api--ada.dev.example.com/", application_template: "" },
};

/** Where a server is. */
export const CONNECTION: Connection = {
  url: "https://dev.example.com",
  domain: "dev.example.com",
  applications: "subdomain",
  ssh_host: "dev.example.com",
  ssh_port: 2222,
  host_authority: "",
  host_keys: [],
  public_keys: [],
  delete_grace_seconds: 0,
};
