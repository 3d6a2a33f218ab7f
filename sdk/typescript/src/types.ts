// What the API speaks of, by the names that it has in the document.

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

export type { components, paths };
export type CreateWorkspace = Schemas["CreateWorkspace"];
export type Entry = Schemas["Entry"];
export type FileLine = Schemas["FileLine"];
export type GitStatus = Schemas["GitStatus"];
export type Health = Schemas["Health"];
export type Port = Schemas["Port"];
export type PortSetting = Schemas["PortSetting"];
export type Process = Schemas["Process"];
export type ProcessControl = Schemas["ProcessControl"];
export type ProcessNotice = Schemas["ProcessNotice"];
export type ProcessRequest = Schemas["ProcessRequest"];
export type ProcessResult = Schemas["ProcessResult"];
export type SearchEnd = Schemas["SearchEnd"];
export type Snapshot = Schemas["Snapshot"];
export type Statistics = Schemas["Statistics"];
export type Unpacked = Schemas["Unpacked"];
export type UploadState = Schemas["Upload"];
export type Visibility = Schemas["Visibility"];
export type WatchEvent = Schemas["WatchEvent"];
export type WatchState = Schemas["Watch"];
export type WorkspaceInfo = Schemas["Workspace"];

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, and what it has begun to answer. */
  signal?: AbortSignal;
}

/** How long something may take to come about. */
export interface WaitOptions extends CallOptions {
  /** In milliseconds. Default: 10 minutes. */
  timeout?: number;
}
