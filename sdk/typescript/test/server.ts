// A server of this machine for tests: real sockets, and answers that a test decides about.

import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";

import { Devgate, type TransportOptions } from "../src/index.js";

export type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
) => void | Promise<void>;

/** A server, what it was asked, and a client of it. */
export class Fixture implements AsyncDisposable {
  readonly asked: IncomingMessage[] = [];
  readonly sockets = new Set<Socket>();
  readonly server: Server;
  readonly devgate: Devgate;

  private constructor(server: Server, options: TransportOptions) {
    this.server = server;
    const { port } = server.address() as AddressInfo;
    this.devgate = new Devgate({
      url: `http://127.0.0.1:${port}`,
      token: "dgt_secret",
      retry: { firstPause: 1, longestPause: 1500 },
      ...options,
    });
  }

  static async of(answer: Answer, options: TransportOptions = {}): Promise<Fixture> {
    let fixture: Fixture | undefined = undefined as Fixture | undefined;
    const listener: RequestListener = (request, response) => {
      fixture?.asked.push(request);
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("error", () => undefined);
      request.on("end", () => void answer(request, response, Buffer.concat(parts)));
    };
    const server = createServer(listener);
    server.on("connection", (socket) => fixture?.sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    fixture = new Fixture(server, options);
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.devgate.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/problem+json", ...headers });
  response.end(JSON.stringify({ status, title: "", code, detail: "as the test wants it" }));
}

/** A workspace as the server shows it. */
export function workspace(state = "running"): Record<string, unknown> {
  return {
    id: "w",
    name: "demo",
    owner: "ada",
    state,
    reason: null,
    doing: null,
    urls: { application_template: "http://127.0.0.1/{port}/" },
  };
}

/** An answer that lets `devgate.workspaces.get("w")` succeed, and hands everything else on. */
export function inside(answer: Answer): Answer {
  return (request, response, body) => {
    if (request.method === "GET" && request.url === "/api/v1/workspaces/w") {
      json(response, 200, workspace());
      return undefined;
    }
    return answer(request, response, body);
  };
}
