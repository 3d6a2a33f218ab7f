// The whole API, typed by its document.

import createClient, { type Client } from "openapi-fetch";
import { Request } from "undici";

import type { paths } from "./schema.js";
import type { Transport } from "./transport.js";

/** Every operation of the document: `api.GET("/api/v1/me")`. Refusals are thrown. */
export type Api = Client<paths>;

/** Makes a client of the whole API over a transport. */
export function apiOver(transport: Transport): Api {
  return createClient<paths>({
    baseUrl: transport.origin,
    // undici's own are those of the pool that the transport has; Node's differ in name alone.
    fetch: transport.fetch as unknown as typeof globalThis.fetch,
    Request: Request as unknown as typeof globalThis.Request,
  });
}

/** Returns what was answered, which is there, as refusals are thrown. */
export function answered<T>(answer: { data?: T; response: { status: number } }): T {
  if (answer.data === undefined) {
    throw new TypeError(`the answer (${answer.response.status}) is empty`);
  }
  return answer.data;
}
