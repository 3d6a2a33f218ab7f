// How things are done to files.

import type { CallOptions, Entry, SearchEnd } from "./types.js";

/** A kind of archive. */
export type ArchiveFormat = "tar" | "tar.gz" | "zip";

/** Which part of a file. */
export interface ReadOptions extends CallOptions {
  /** The first byte, from 0 on. */
  from?: number;
  /** The byte after the last one. */
  to?: number;
}

/** How a file is written. */
export interface WriteOptions extends CallOptions {
  /** Its permissions, `0755`. Default: those of what it replaces, else 0644. */
  mode?: string;
  /** Whether to make the folders that are missing. */
  parents?: boolean;
  /** Writes only over a file with this `etag`. Then it is safe to repeat, and is. */
  ifMatch?: string;
  /** Writes only where there is nothing yet. Then it is safe to repeat, and is. */
  create?: boolean;
  /** `Content-Digest` that what arrives must have: `sha-256=:…:`. */
  digest?: string;
  /** Whether to answer only once it would survive a power failure. */
  durable?: boolean;
}

/** What to find by its name. */
export interface FindOptions extends CallOptions {
  /** A glob for the name, or, where it has a `/`, for the path below the folder. */
  name?: string;
  kind?: Entry["kind"];
  /** Whether to look at what begins with a dot. */
  hidden?: boolean;
  /** Whether to look at what `.gitignore` and `.ignore` leave out. */
  ignored?: boolean;
  limit?: number;
}

/** What to find by its content. */
export interface GrepOptions extends CallOptions {
  /** A glob for the files' names, or, where it has a `/`, for their paths below the folder. */
  glob?: string;
  ignoreCase?: boolean;
  /** Whether the pattern is a text that is meant as it is. */
  fixed?: boolean;
  hidden?: boolean;
  ignored?: boolean;
  /** Lines to show before and after each match. */
  context?: number;
  limit?: number;
}

/** How a git repository is cloned. */
export interface CloneOptions extends CallOptions {
  /** Its folder. Default: in the home, as the repository is called. */
  path?: string;
  /** What to check out. Default: the remote's own. */
  branch?: string;
  /** How many commits of its past come with it. Default: all. */
  depth?: number;
}

/** Results as they are found; `end` is there once all were. */
export interface Search<T> extends AsyncIterable<T> {
  readonly end: SearchEnd | undefined;
}
