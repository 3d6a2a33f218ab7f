// Ports of a workspace: what listens, who may open it, and requests to it.

import type { Response } from "undici";

import { answered, type Api } from "./api.js";
import { without, TimedOut } from "./errors.js";
import { bodyOf, gone, jsonOf } from "./answers.js";
import { followed } from "./lines.js";
import type { Sending, Transport } from "./transport.js";
import type { CallOptions, Port, PortSetting, Visibility, WaitOptions } from "./types.js";

/** The ports of one workspace. */
export class Ports {
  readonly #api: Api;
  readonly #transport: Transport;
  readonly #id: string;

  constructor(api: Api, transport: Transport, id: string) {
    this.#api = api;
    this.#transport = transport;
    this.#id = id;
  }

  /** Lists the ports that something listens on, that others may open, or that are named. */
  async list(options: CallOptions = {}): Promise<Port[]> {
    const path = `/api/v1/workspaces/${encodeURIComponent(this.#id)}/ports`;
    const sending = { method: "GET", path, signal: options.signal };
    return (await this.#transport.json<{ items: Port[] }>(sending)).items;
  }

  /** Yields the whole list, now and with each change. */
  async *follow(options: CallOptions = {}): AsyncGenerator<Port[], void, undefined> {
    const open = async (signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
      const answer = await this.#transport.send({
        method: "GET",
        path: `/api/v1/workspaces/${encodeURIComponent(this.#id)}/ports`,
        headers: { accept: "text/event-stream" },
        signal,
      });
      return bodyOf(answer, signal);
    };
    for await (const event of followed(open, options.signal)) {
      if (event.name === "ports") {
        yield jsonOf<{ items: Port[] }>(event.data).items;
      }
    }
  }

  /** Waits until something listens on a port. */
  async waitFor(port: number, options: WaitOptions = {}): Promise<Port> {
    const { signal, timeout = 60_000 } = options;
    const late = AbortSignal.timeout(timeout);
    const either = signal === undefined ? late : AbortSignal.any([signal, late]);
    try {
      for (;;) {
        for await (const ports of this.follow({ signal: either })) {
          const found = ports.find((one) => one.port === port && one.listening);
          if (found !== undefined) {
            return found;
          }
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (late.aborted) {
        const text = `nothing listens on port ${port} after ${timeout} ms`;
        throw without(TimedOut, "timed-out", text, undefined, error);
      }
      throw error;
    }
  }

  /** Says who may open a port, until a time or until somebody says otherwise. */
  async share(
    port: number,
    visibility: Visibility,
    options: CallOptions & { until?: Date } = {},
  ): Promise<PortSetting> {
    const params = { path: { id: this.#id, port: String(port) } };
    const body = { visibility, expires_at: options.until?.toISOString() };
    const asked = { params, body, signal: options.signal };
    return answered(await this.#api.PUT("/api/v1/workspaces/{id}/ports/{port}", asked));
  }

  /** Makes a port private. */
  async unshare(port: number, options: CallOptions = {}): Promise<void> {
    const path = `/api/v1/workspaces/${encodeURIComponent(this.#id)}/ports/${port}`;
    await gone(this.#transport.send({ method: "DELETE", path, signal: options.signal }));
  }

  /** Returns the address of a port's web application, for browsers. */
  async address(port: number, options: CallOptions = {}): Promise<string> {
    const asked = { params: { path: { id: this.#id } }, signal: options.signal };
    const workspace = answered(await this.#api.GET("/api/v1/workspaces/{id}", asked));
    return workspace.urls.application_template.replaceAll("{port}", String(port));
  }

  /**
   * Sends a request to a port's web application, as the owner of the token, and to nowhere else.
   * Redirects aren't followed; the answer's body is as `fetch` has it.
   */
  async fetch(
    port: number,
    path = "/",
    init: Omit<Sending, "method" | "path" | "base"> & { method?: string } = {},
  ): Promise<Response> {
    const address = await this.address(port, { signal: init.signal });
    const base = address.endsWith("/") ? address : `${address}/`;
    return this.#transport.send({ method: "GET", ...init, path: path.replace(/^\/+/, ""), base });
  }
}
