// Uploads in pieces, which a broken connection only interrupts.

import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { Conflict, ConnectionFailed, Denied, NotFound, TimedOut, Unavailable } from "./errors.js";
import { asked, named, type FilePath } from "./path.js";
import type { Transport } from "./transport.js";
import type { CallOptions, Entry, UploadState } from "./types.js";

/** A file of this machine by its path, or bytes. */
export type UploadSource = string | URL | Uint8Array;

/** How a file is uploaded. */
export interface UploadOptions extends CallOptions {
  /** Its permissions. Default: those of what it replaces, else 0644. */
  mode?: string;
  /** Whether to make the folders that are missing. */
  parents?: boolean;
  /** Whether to answer only once it would survive a power failure. */
  durable?: boolean;
  /** How large a piece is, in bytes; as much is in memory. Default: 8 MiB. */
  pieceSize?: number;
  /** The id of an upload that was begun before, to go on with it. */
  resume?: string;
  /** Is told after each piece; `id` is what `resume` takes. */
  onProgress?: (progress: { id: string; sent: number; size: number }) => void;
}

/** How often in a row a piece, or the end, may fail. */
const TRIES = 8;

/** The first pause after what failed, in milliseconds; it doubles. */
const PAUSE = 200;

/** Uploads a file. */
export async function upload(
  transport: Transport,
  files: string,
  path: FilePath,
  source: UploadSource,
  options: UploadOptions,
): Promise<Entry> {
  const { mode, parents, durable, signal, pieceSize = 8 * 1024 * 1024 } = options;
  const base = `${files}/uploads`;
  const reading = await Reading.of(source);
  try {
    const state =
      options.resume === undefined
        ? await transport.json<UploadState>({
            method: "POST",
            path: base,
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ ...named(path), size: reading.size, mode, parents }),
            signal,
            // One that nobody goes on with is given up by the server.
            again: true,
          })
        : await transport.json<UploadState>({
            method: "GET",
            path: `${base}/${encodeURIComponent(options.resume)}`,
            signal,
          });
    if (state.size !== reading.size) {
      throw new RangeError(
        `the upload ${state.id} is of ${state.size} bytes, and this has ${reading.size}`,
      );
    }
    const one = `${base}/${encodeURIComponent(state.id)}`;
    const sending = new Sender(transport, one, signal);
    let at = state.offset;
    await reading.hashTo(at);
    options.onProgress?.({ id: state.id, sent: at, size: reading.size });
    while (at < reading.size) {
      const piece = await reading.read(at, pieceSize);
      at = await sending.send(at, piece);
      await reading.hashTo(at);
      options.onProgress?.({ id: state.id, sent: at, size: reading.size });
    }
    const ending = JSON.stringify({ sha256: reading.digest(), durable });
    // What the server says of a path is text, and so less than what isn't UTF-8.
    const place = typeof asked(path) === "string" ? state.path : path;
    return await complete(transport, files, [state, place], ending, signal);
  } finally {
    await reading.close();
  }
}

/** Gives an upload its name. Where the answer to that is lost, the file says whether it has it. */
async function complete(
  transport: Transport,
  files: string,
  [{ id, size }, path]: [UploadState, FilePath],
  body: string,
  signal?: AbortSignal,
): Promise<Entry> {
  const before = await there(transport, files, path, signal);
  try {
    return await transport.json<Entry>({
      method: "POST",
      path: `${files}/uploads/${encodeURIComponent(id)}/complete`,
      headers: { "content-type": "application/json" },
      body,
      signal,
      timeout: null,
      again: true,
    });
  } catch (error) {
    if (!lost(error)) {
      throw error;
    }
    const now = await there(transport, files, path, signal);
    if (now?.kind === "file" && now.size === size && now.etag !== before?.etag) {
      return now;
    }
    throw error;
  }
}

/** Whether the answer to what went well may have been lost on the way. */
function lost(error: unknown): boolean {
  return error instanceof NotFound
    ? (error.asked?.attempts ?? 1) > 1 && error.code === "no-upload"
    : error instanceof ConnectionFailed && error.code === "cut-off";
}

/** Shows what is at a path, if something is and the token may see it. */
async function there(
  transport: Transport,
  files: string,
  path: FilePath,
  signal?: AbortSignal,
): Promise<Entry | undefined> {
  try {
    const query = { path: asked(path) };
    return await transport.json<Entry>({ method: "GET", path: `${files}/stat`, query, signal });
  } catch (error) {
    if (error instanceof NotFound || error instanceof Denied) {
      return undefined;
    }
    throw error;
  }
}

/** Whether another attempt can go well. */
function passing(error: unknown): boolean {
  return (
    error instanceof ConnectionFailed || error instanceof TimedOut || error instanceof Unavailable
  );
}

/** Waits before another attempt. */
async function rest(tries: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.random() * PAUSE * 2 ** tries, undefined, { signal });
}

/** Sends pieces, each until the server has it or some of it. */
class Sender {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;

  constructor(transport: Transport, path: string, signal?: AbortSignal) {
    this.#transport = transport;
    this.#path = path;
    this.#signal = signal;
  }

  /** Sends a piece and returns where the next one begins. */
  async send(at: number, piece: Uint8Array): Promise<number> {
    for (let tries = 1; ; tries++) {
      try {
        const state = await this.#transport.json<UploadState>({
          method: "PATCH",
          path: this.#path,
          headers: {
            "content-type": "application/octet-stream",
            "upload-offset": String(at),
          },
          body: piece,
          signal: this.#signal,
          timeout: null,
        });
        return state.offset;
      } catch (error) {
        const offset = error instanceof Conflict ? error.problem?.["offset"] : undefined;
        if (typeof offset === "number" && offset !== at) {
          return offset;
        }
        if (!passing(error) || tries >= TRIES) {
          throw error;
        }
        await rest(tries, this.#signal);
        // What came before the cut counts.
        const state = await this.#transport.json<UploadState>({
          method: "GET",
          path: this.#path,
          signal: this.#signal,
        });
        if (state.offset !== at) {
          return state.offset;
        }
      }
    }
  }
}

/** Reads what is uploaded, and takes its SHA-256 as it goes. */
class Reading {
  readonly size: number;
  readonly #file: FileHandle | undefined;
  readonly #bytes: Uint8Array | undefined;
  readonly #hash = createHash("sha256");
  #hashed = 0;
  #last: { at: number; piece: Uint8Array } = { at: 0, piece: new Uint8Array() };

  private constructor(size: number, file?: FileHandle, bytes?: Uint8Array) {
    this.size = size;
    this.#file = file;
    this.#bytes = bytes;
  }

  static async of(source: UploadSource): Promise<Reading> {
    if (source instanceof Uint8Array) {
      return new Reading(source.length, undefined, source);
    }
    const file = await open(source, "r");
    try {
      return new Reading((await file.stat()).size, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(at: number, most: number): Promise<Uint8Array> {
    const wanted = Math.min(most, this.size - at);
    let piece: Uint8Array;
    if (this.#file === undefined) {
      piece = this.#bytes?.subarray(at, at + wanted) ?? new Uint8Array();
    } else {
      const { buffer, bytesRead } = await this.#file.read(new Uint8Array(wanted), 0, wanted, at);
      if (bytesRead === 0) {
        throw new RangeError("the file has become shorter while it was uploaded: upload it again");
      }
      piece = buffer.subarray(0, bytesRead);
    }
    this.#last = { at, piece };
    return piece;
  }

  /** Takes into the digest what is before a place. */
  async hashTo(end: number): Promise<void> {
    while (this.#hashed < end) {
      const { at, piece } = this.#last;
      const known = at <= this.#hashed && this.#hashed < at + piece.length;
      const from = known ? piece.subarray(this.#hashed - at) : undefined;
      const part = from ?? (await this.read(this.#hashed, 1024 * 1024));
      const taken = part.subarray(0, end - this.#hashed);
      this.#hash.update(taken);
      this.#hashed += taken.length;
    }
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
