// The whole API, typed by its document.

import createClient, { type Client } from "openapi-fetch";
import { Request, type Response as Answer } from "undici";

import { jsonOf, textOf } from "./answers.js";
import type { paths } from "./schema.js";
import type { Transport } from "./transport.js";

/** Every operation of the document: `api.GET("/api/v1/me")`. Refusals are thrown. */
export type Api = Client<paths>;

/** Makes a client of the whole API over a transport. */
export function apiOver(transport: Transport): Api {
  const api = createClient<paths>({
    baseUrl: transport.origin,
    // undici's own are those of the pool that the transport has; Node's differ in name alone.
    fetch: transport.fetch as unknown as typeof globalThis.fetch,
    Request: Request as unknown as typeof globalThis.Request,
  });
  api.use({
    // What breaks off, and what isn't JSON, is told in the words of this library.
    async onResponse({ request, response, options }) {
      const { status, headers } = response;
      if (options.parseAs !== "json" || status === 204) {
        return undefined;
      }
      const text = await textOf(response as unknown as Answer, request.signal);
      if (text !== "") {
        jsonOf(text);
      }
      return new Response(text, { status, headers: [...headers] });
    },
  });
  return api;
}

/** Returns what was answered, which is there, as refusals are thrown. */
export function answered<T>(answer: { data?: T; response: { status: number } }): T {
  if (answer.data === undefined) {
    throw new TypeError(`the answer (${answer.response.status}) is empty`);
  }
  return answer.data;
}
