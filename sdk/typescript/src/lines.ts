// Streams of text, cut into lines.

import { ConnectionFailed, DevgateError, without } from "./errors.js";

/** Longest line that is taken, in characters: more is no answer of this API. */
const MAX_LINE = 16 * 1024 * 1024;

/** Yields the lines of a stream as they come, without their ends. */
export async function* lines(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of stream) {
    const text = decoder.decode(part, { stream: true });
    const cut = (rest + text).split("\n");
    rest = cut.pop() ?? "";
    if (rest.length > MAX_LINE) {
      throw without(ConnectionFailed, "too-long", "a line of the answer is too long");
    }
    for (const line of cut) {
      yield line.endsWith("\r") ? line.slice(0, -1) : line;
    }
  }
  if (rest !== "") {
    yield rest;
  }
}

/** One of the Server-Sent Events of a stream. */
export interface ServerEvent {
  id: string;
  name: string;
  data: string;
}

/** Yields Server-Sent Events; one that the end cut off is none. */
export async function* serverEvents(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, void, undefined> {
  let id = "";
  let name = "message";
  let data: string[] = [];
  for await (const line of lines(stream)) {
    if (line === "") {
      if (data.length > 0) {
        yield { id, name, data: data.join("\n") };
      }
      name = "message";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") {
      id = value;
    } else if (field === "event") {
      name = value;
    } else if (field === "data") {
      data.push(value);
    }
  }
}

/** How long a stream of events may be silent, in milliseconds: a server says something every 15 s. */
export const IDLE = 60_000;

/**
 * Yields the events of an answer that is to go on for long. One that is silent for too long is
 * taken as broken, since nobody may be at its other end any more.
 */
export async function* followed(
  open: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>,
  signal?: AbortSignal,
  idle = IDLE,
): AsyncGenerator<ServerEvent, void, undefined> {
  const silent = new AbortController();
  const either = signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal]);
  const stream = await open(either);
  let timer = setTimeout(() => silent.abort(), idle);
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const part of stream) {
      clearTimeout(timer);
      yield part;
      timer = setTimeout(() => silent.abort(), idle);
    }
  }
  try {
    yield* serverEvents(watched());
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DevgateError && !silent.signal.aborted) {
      throw error;
    }
    const detail = silent.signal.aborted
      ? `the server was silent for ${idle} ms`
      : error instanceof Error
        ? error.message
        : String(error);
    throw without(ConnectionFailed, "cut-off", detail, undefined, error);
  } finally {
    clearTimeout(timer);
  }
}
