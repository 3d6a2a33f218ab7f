// Files of a workspace.

import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Response } from "undici";

import { bodyOf, bytesOf, gone, jsonOf, textOf } from "./answers.js";
import { answered, type Api } from "./api.js";
import { ConnectionFailed, Failed, NotFound, without } from "./errors.js";
import { lines } from "./lines.js";
import type {
  ArchiveFormat,
  CloneOptions,
  FindOptions,
  GrepOptions,
  ReadOptions,
  Search,
  WriteOptions,
} from "./options.js";
import { asked, named, shown, type FilePath } from "./path.js";
import type { Body, Sending, Transport } from "./transport.js";
import type {
  CallOptions,
  components,
  Entry,
  FileLine,
  GitStatus,
  ProcessResult,
  SearchEnd,
  Unpacked,
} from "./types.js";
import { upload, type UploadOptions, type UploadSource } from "./upload.js";

type EntryPage = components["schemas"]["EntryPage"];

/**
 * The files of one workspace. Relative paths begin at the home. A path is also what tells of a
 * file, or bytes: not every name is UTF-8.
 */
export class Files {
  readonly #api: Api;
  readonly #transport: Transport;
  readonly #id: string;

  constructor(api: Api, transport: Transport, id: string) {
    this.#api = api;
    this.#transport = transport;
    this.#id = id;
  }

  /** Shows a file or folder. */
  async stat(path: FilePath, options: CallOptions & { follow?: boolean } = {}): Promise<Entry> {
    const { signal, follow } = options;
    const query = { path: asked(path), follow };
    return this.#transport.json({ method: "GET", path: this.#path("/stat"), query, signal });
  }

  /** Whether there is something. */
  async exists(path: FilePath, options: CallOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, { ...options, follow: false });
      return true;
    } catch (error) {
      if (error instanceof NotFound) {
        return false;
      }
      throw error;
    }
  }

  /** Yields what is in a folder, by name. */
  async *list(
    path: FilePath = "",
    options: CallOptions = {},
  ): AsyncGenerator<Entry, void, undefined> {
    const { signal } = options;
    let cursor: string | undefined;
    do {
      const query = { path: asked(path), cursor, limit: 1000 };
      const sending = { method: "GET", path: this.#path("/list"), query, signal };
      const page = await this.#transport.json<EntryPage>(sending);
      yield* page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Reads a file as it comes. Leaving the loop ends the request. */
  async read(path: FilePath, options: ReadOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return bodyOf(await this.#content(path, options), options.signal);
  }

  /** Reads a whole file into memory. */
  async readBytes(path: FilePath, options: ReadOptions = {}): Promise<Uint8Array> {
    return bytesOf(await this.#content(path, options), options.signal);
  }

  /** Reads a whole file into memory, as UTF-8. */
  async readText(path: FilePath, options: ReadOptions = {}): Promise<string> {
    return textOf(await this.#content(path, options), options.signal);
  }

  /**
   * Copies a file to one of this machine, which appears once it is whole. What breaks off goes on
   * from where it was, as long as the file is still the same.
   */
  async download(path: FilePath, local: string, options: CallOptions = {}): Promise<void> {
    const part = `${local}.${Math.random().toString(36).slice(2)}.part`;
    try {
      await pipeline(this.#resumed(path, options.signal), createWriteStream(part));
      await rename(part, local);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  /** Writes a file, all or nothing. What is sent as it comes is sent once. */
  async write(path: FilePath, content: Body, options: WriteOptions = {}): Promise<Entry> {
    const { mode, parents, durable, ifMatch, create, digest, signal } = options;
    return this.#transport.json<Entry>({
      method: "PUT",
      path: this.#path("/content"),
      query: { path: asked(path), mode, parents, durable },
      headers: {
        "content-type": "application/octet-stream",
        "if-match": ifMatch,
        "if-none-match": create === true ? "*" : undefined,
        "content-digest": digest,
      },
      body: content,
      signal,
    });
  }

  /** Appends to a file, which is made where it is missing. */
  async append(
    path: FilePath,
    content: Body,
    options: CallOptions & { parents?: boolean; durable?: boolean } = {},
  ): Promise<Entry> {
    const { parents, durable, signal } = options;
    return this.#transport.json<Entry>({
      method: "POST",
      path: this.#path("/append"),
      query: { path: asked(path), parents, durable },
      headers: { "content-type": "application/octet-stream" },
      body: content,
      signal,
    });
  }

  /**
   * Copies a file of this machine, or bytes, in pieces. What breaks off goes on from where the
   * server has it; the whole is compared by its SHA-256.
   */
  async upload(path: FilePath, source: UploadSource, options: UploadOptions = {}): Promise<Entry> {
    return upload(this.#transport, this.#path(""), path, source, options);
  }

  /** Makes a folder. With `parents` also those above it, and one that is there is fine. */
  async makeFolder(
    path: FilePath,
    options: CallOptions & { mode?: string; parents?: boolean } = {},
  ): Promise<Entry> {
    const { signal, mode, parents } = options;
    return this.#change("/folder", { ...named(path), mode, parents }, signal);
  }

  /** Moves or renames. `to` is the thing's own new path. */
  async move(
    from: FilePath,
    to: FilePath,
    options: CallOptions & { overwrite?: boolean } = {},
  ): Promise<Entry> {
    // To another file system it is a copy.
    return this.#long("/move", fromTo(from, to, options), options.signal);
  }

  /** Copies, folders with all that is in them. */
  async copy(
    from: FilePath,
    to: FilePath,
    options: CallOptions & { overwrite?: boolean } = {},
  ): Promise<Entry> {
    return this.#long("/copy", fromTo(from, to, options), options.signal);
  }

  /** Sets permissions: `0755`. */
  async setMode(
    path: FilePath,
    mode: string,
    options: CallOptions & { recursive?: boolean } = {},
  ): Promise<Entry> {
    return this.#long(
      "/mode",
      { ...named(path), mode, recursive: options.recursive },
      options.signal,
    );
  }

  /** Makes a symbolic link. */
  async link(path: FilePath, target: string, options: CallOptions = {}): Promise<Entry> {
    return this.#change("/link", { ...named(path), target }, options.signal);
  }

  /** Deletes; a folder that has something in it with `recursive` only. */
  async delete(path: FilePath, options: CallOptions & { recursive?: boolean } = {}): Promise<void> {
    const { recursive, signal } = options;
    const query = { path: asked(path), recursive };
    const sending = { method: "DELETE", path: this.#path(""), query, signal, timeout: null };
    await gone(this.#transport.send(sending));
  }

  /**
   * Reads a folder as an archive. What may not be read has it refused, or, with
   * `unreadable: "skip"`, is left out.
   */
  async downloadTree(
    path: FilePath,
    options: CallOptions & { format?: ArchiveFormat; unreadable?: "refuse" | "skip" } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const { format, unreadable, signal } = options;
    const query = { path: asked(path), format, unreadable };
    const answer = await this.#transport.send({
      method: "GET",
      path: this.#path("/tree"),
      query,
      signal,
      timeout: null,
    });
    return bodyOf(answer, signal);
  }

  /** Unpacks an archive into a folder. */
  async uploadTree(
    path: FilePath,
    archive: Body,
    options: CallOptions & { format?: ArchiveFormat } = {},
  ): Promise<Unpacked> {
    const { format, signal } = options;
    return this.#transport.json<Unpacked>({
      method: "PUT",
      path: this.#path("/tree"),
      query: { path: asked(path), format },
      headers: { "content-type": "application/octet-stream" },
      body: archive,
      signal,
      timeout: null,
    });
  }

  /** Finds files by their names. */
  find(path: FilePath = "", options: FindOptions = {}): Search<Entry> {
    const { signal, ...query } = options;
    return this.#search<Entry>("/find", { path: asked(path), ...query }, signal);
  }

  /** Finds lines by a regular expression. */
  grep(path: FilePath, pattern: string, options: GrepOptions = {}): Search<FileLine> {
    const { signal, ignoreCase, ...more } = options;
    const query = { path: asked(path), pattern, ignore_case: ignoreCase, ...more };
    return this.#search<FileLine>("/grep", query, signal);
  }

  /** Shows how a git repository is. */
  async gitStatus(path = "", options: CallOptions = {}): Promise<GitStatus> {
    const call = this.#asks({ path }, options.signal);
    return answered(await this.#api.GET("/api/v1/workspaces/{id}/git/status", call));
  }

  /** Clones a git repository, and waits until it is there. When `signal` aborts, git ends. */
  async gitClone(url: string, options: CloneOptions = {}): Promise<void> {
    const { path, branch, depth, signal } = options;
    const { process, stderr } = await this.#transport.json<ProcessResult>({
      method: "POST",
      path: `/api/v1/workspaces/${encodeURIComponent(this.#id)}/git/clone`,
      query: { wait: true, attached: true },
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ url, path, branch, depth }),
      signal,
      timeout: null,
    });
    if (process.exit_code !== 0) {
      throw without(Failed, "clone-failed", stderr.trim() || "git didn't say why");
    }
  }

  #search<T extends object>(
    path: string,
    query: Sending["query"],
    signal?: AbortSignal,
  ): Search<T> {
    const sending = { method: "GET", path: this.#path(path), query, signal, timeout: null };
    const search = {
      end: undefined as SearchEnd | undefined,
      [Symbol.asyncIterator]: async function* (this: void): AsyncGenerator<T, void, undefined> {
        const answer = await transport.send(sending);
        for await (const line of lines(bodyOf(answer, signal))) {
          const said = jsonOf<T | SearchEnd>(line);
          if ("done" in said) {
            search.end = said;
            return;
          }
          yield said;
        }
        const text = "the search was cut off before its end: narrow it, or try again";
        throw without(ConnectionFailed, "cut-off", text);
      },
    };
    const transport = this.#transport;
    return search;
  }

  async #content(path: FilePath, options: ReadOptions): Promise<Response> {
    const { from, to, signal } = options;
    const ranged = from !== undefined || to !== undefined;
    const end = to === undefined ? "" : to - 1;
    return this.#transport.send({
      method: "GET",
      path: this.#path("/content"),
      query: { path: asked(path) },
      headers: { range: ranged ? `bytes=${from ?? 0}-${end}` : undefined },
      signal,
    });
  }

  /** Yields a file's bytes, asking again for what is missing where an answer breaks off. */
  async *#resumed(path: FilePath, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let [at, etag, tries] = [0, "", 0];
    for (;;) {
      const answer = await this.#transport.send({
        method: "GET",
        path: this.#path("/content"),
        query: { path: asked(path) },
        headers: at === 0 ? {} : { range: `bytes=${at}-`, "if-range": etag },
        signal,
      });
      if (at > 0 && answer.status !== 206) {
        await answer.body?.cancel();
        const text = `${shown(path)} has changed while it was read: read it again`;
        throw without(ConnectionFailed, "changed", text);
      }
      etag = answer.headers.get("etag") ?? "";
      try {
        for await (const part of bodyOf(answer)) {
          at += part.length;
          tries = 0;
          yield part;
        }
        return;
      } catch (error) {
        signal?.throwIfAborted();
        tries += 1;
        if (tries > 3 || etag === "") {
          throw without(ConnectionFailed, "cut-off", `${shown(path)} broke off`, undefined, error);
        }
      }
    }
  }

  /** Asks for what takes as long as there are files: a limit here wouldn't end it there. */
  async #long(path: string, body: object, signal?: AbortSignal): Promise<Entry> {
    return this.#change(path, body, signal, null);
  }

  async #change(path: string, body: object, signal?: AbortSignal, timeout?: null): Promise<Entry> {
    return this.#transport.json<Entry>({
      method: "POST",
      path: this.#path(path),
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
      timeout,
    });
  }

  #path(rest: string): string {
    return `/api/v1/workspaces/${encodeURIComponent(this.#id)}/files${rest}`;
  }

  #asks<Q>(query: Q, signal?: AbortSignal) {
    return { params: { path: { id: this.#id }, query }, signal };
  }
}

function fromTo(from: FilePath, to: FilePath, { overwrite }: { overwrite?: boolean }): object {
  return { ...named(from, "from"), ...named(to, "to"), overwrite };
}
