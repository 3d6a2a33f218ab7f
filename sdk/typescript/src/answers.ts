// What is done with answers that many calls have.

import type { Response } from "undici";

import { NotFound } from "./errors.js";

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

/** Returns the body of an answer. */
export function bodyOf(answer: Response): ReadableStream<Uint8Array> {
  return (answer.body ?? new ReadableStream()) as ReadableStream<Uint8Array>;
}
