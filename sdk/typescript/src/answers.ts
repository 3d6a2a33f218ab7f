// What is done with answers that many calls have.

import type { Response } from "undici";

import { ConnectionFailed, NotFound, without } from "./errors.js";

/** Waits for a deletion. One that was repeated may find that its first attempt was enough. */
export async function gone(deletion: Promise<Response>): Promise<Response | undefined> {
  try {
    return await deletion;
  } catch (error) {
    if (error instanceof NotFound && (error.asked?.attempts ?? 1) > 1) {
      return undefined;
    }
    throw error;
  }
}

/** Returns the body of an answer. One that breaks off is `ConnectionFailed`. */
export function bodyOf(answer: Response, signal?: AbortSignal): ReadableStream<Uint8Array> {
  const body = answer.body as ReadableStream<Uint8Array> | null;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Not before: a body that nobody begins to read ends with its answer.
        reader ??= body?.getReader();
        const part = await whole(reader?.read(), signal);
        if (part === undefined || part.done) {
          controller.close();
        } else {
          controller.enqueue(part.value);
        }
      },
      async cancel(reason) {
        await (reader ?? answer.body)?.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Reads the body of an answer into memory. */
export async function bytesOf(answer: Response, signal?: AbortSignal): Promise<Uint8Array> {
  return new Uint8Array(await whole(answer.arrayBuffer(), signal));
}

/** Reads the body of an answer into memory, as UTF-8. */
export async function textOf(answer: Response, signal?: AbortSignal): Promise<string> {
  return whole(answer.text(), signal);
}

/** Parses what is JSON where it is this server that answers. */
export function jsonOf<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    const detail =
      "the answer isn't JSON: look at the server's address, and at what is on the way to it";
    throw without(ConnectionFailed, "not-json", detail, undefined, error);
  }
}

/** Waits for something of a body, and says it in this library's words where that breaks off. */
async function whole<T>(reading: Promise<T> | T, signal?: AbortSignal): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    const detail = `the answer broke off: ${why}`;
    throw without(ConnectionFailed, "cut-off", detail, undefined, error);
  }
}

/** Reads JSON that may be none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
