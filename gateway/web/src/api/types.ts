/** The API's types, by their names in the gateway's OpenAPI document. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Action = Schemas["Action"];
export type Allotment = Schemas["Allotment"];
export type AwakeReason = Schemas["AwakeReason"];
export type Connection = Schemas["Connection"];
export type DeviceCodes = Schemas["DeviceCodes"];
export type DeviceToken = Schemas["DeviceToken"];
export type DeviceWaiting = Schemas["DeviceWaiting"];
export type Editor = Schemas["Editor"];
export type Event = Schemas["Event"];
export type Key = Schemas["Key"];
export type Lease = Schemas["Lease"];
export type LiveEvent = Schemas["LiveEvent"];
export type Login = Schemas["Login"];
export type Me = Schemas["Me"];
export type Narrowing = Schemas["Narrowing"];
export type Port = Schemas["Port"];
export type Role = Schemas["Role"];
export type Sample = Schemas["Sample"];
export type Schedule = Schemas["Schedule"];
export type Scope = Schemas["Scope"];
export type SignInLink = Schemas["SignInLink"];
export type SshApproval = Schemas["SshApproval"];
export type Startup = Schemas["Startup"];
export type StartupStep = Schemas["StartupStep"];
export type Snapshot = Schemas["Snapshot"];
export type Statistics = Schemas["Statistics"];
export type Template = Schemas["Template"];
export type Terminal = Schemas["Terminal"];
export type Token = Schemas["Token"];
export type User = Schemas["User"];
export type Visibility = Schemas["Visibility"];
export type WhyRunning = Schemas["WhyRunning"];
export type Workspace = Schemas["Workspace"];
export type WorkspaceState = Schemas["WorkspaceState"];
