// WebSockets: opened once, or told why not.

import WebSocket from "ws";

import { lookup } from "./address.js";
import { parsed } from "./answers.js";
import { ConnectionFailed, errorOf, problemOf, without, type Asked } from "./errors.js";
import { milliseconds } from "./retry.js";

/** How a WebSocket is opened. */
export interface SocketOptions {
  headers: Record<string, string>;
  ca: string | undefined;
  /** How long the server may take to agree, in milliseconds. */
  handshakeTimeout: number;
  /** After how long without anything the system asks whether the peer is there, in milliseconds. */
  keepAlive: number;
}

/** Begins to open a WebSocket, which is `open` once the server has agreed. */
export function openSocket(
  url: URL,
  { headers, ca, handshakeTimeout, keepAlive }: SocketOptions,
  asked: Asked,
  signal?: AbortSignal,
): { socket: WebSocket; open: Promise<WebSocket> } {
  const socket = new WebSocket(url, {
    headers,
    ca,
    lookup,
    handshakeTimeout,
    perMessageDeflate: false,
    maxPayload: 64 * 1024 * 1024,
  });
  socket.once("upgrade", ({ socket: connection }) => {
    connection.setKeepAlive(true, keepAlive);
  });
  const { promise, resolve, reject } = withResolvers<WebSocket>();
  const abort = (): void => {
    reject(signal?.reason);
    socket.terminate();
  };
  signal?.addEventListener("abort", abort, { once: true });
  socket.on("error", (error) => {
    reject(without(ConnectionFailed, "connection-failed", error.message, asked, error));
  });
  socket.once("unexpected-response", (request, response) => {
    const parts: Buffer[] = [];
    response.on("data", (part: Buffer) => parts.push(part));
    response.once("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const retryAfter = milliseconds(response.headers["retry-after"] ?? null);
      reject(errorOf(problemOf(response.statusCode ?? 0, parsed(text)), asked, retryAfter));
      request.destroy();
    });
    response.once("error", (error) => {
      reject(without(ConnectionFailed, "cut-off", error.message, asked, error));
    });
  });
  socket.once("open", () => {
    socket.pause(); // until somebody listens
    resolve(socket);
  });
  const open = promise.finally(() => signal?.removeEventListener("abort", abort));
  return { socket, open };
}

/** Returns a promise and what settles it. */
export function withResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
