/** The API's types, by their names in the gateway's OpenAPI document. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Connection = Schemas["Connection"];
export type Editor = Schemas["Editor"];
export type Event = Schemas["Event"];
export type Key = Schemas["Key"];
export type Login = Schemas["Login"];
export type Me = Schemas["Me"];
export type Port = Schemas["Port"];
export type Role = Schemas["Role"];
export type Sample = Schemas["Sample"];
export type Scope = Schemas["Scope"];
export type SignInLink = Schemas["SignInLink"];
export type Snapshot = Schemas["Snapshot"];
export type Statistics = Schemas["Statistics"];
export type Terminal = Schemas["Terminal"];
export type Token = Schemas["Token"];
export type User = Schemas["User"];
export type Visibility = Schemas["Visibility"];
export type Workspace = Schemas["Workspace"];
export type WorkspaceState = Schemas["WorkspaceState"];
