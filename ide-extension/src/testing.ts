/** What tests share: a server of their own, on a port that is free. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";

import { MEDIA_TYPE } from "./api/problem";

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
