/** The API's types. */

export type Role = "admin" | "member";
export type WorkspaceState = "created" | "starting" | "running" | "stopping" | "stopped" | "failed";
export type Visibility = "private" | "members" | "public";
export type Scope = "read" | "write" | "admin";

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Me {
  id: string;
  name: string;
  role: Role;
  has_password: boolean;
  created: string;
}

export interface Key {
  fingerprint: string;
  algorithm: string;
  label: string;
  created: string;
}

export interface Token {
  id: string;
  name: string;
  scope: Scope;
  created: string;
  expires_at: string | null;
  last_used: string | null;
}

export interface NewToken extends Token {
  token: string;
}

export interface Login {
  id: string;
  created: string;
  last_used: string;
  address: string;
  user_agent: string;
  current: boolean;
}

export interface User {
  id: string;
  name: string;
  role: Role;
  has_password: boolean;
  created: string;
  workspaces: number;
}

export interface SignInLink {
  url: string;
  expires_at: string;
}

export interface HostKey {
  algorithm: string;
  fingerprint: string;
}

export interface Server {
  version: string;
  started: string;
  uptime_seconds: number;
  ssh_address: string;
  http_url: string;
  host_keys: HostKey[];
  users: number;
  workspaces: number;
  running: number;
  agents: number;
  memory_bytes: number;
}

export interface Connection {
  ssh_host: string;
  ssh_port: number;
  url: string;
  domain: string;
  applications: "subdomain" | "path";
  host_keys: HostKey[];
}

export interface Workspace {
  id: string;
  name: string;
  owner: string;
  state: WorkspaceState;
  reason: { code: string; detail: string } | null;
  created: string;
  changed: string;
  agent: { version: string; connected: boolean } | null;
  ssh: string;
  urls: { editor: string; application_template: string };
  may_enter: boolean;
}

export interface Port {
  port: number;
  address: string | null;
  process: string | null;
  pid: number | null;
  since: string | null;
  listening: boolean;
  visibility: Visibility;
  expires_at: string | null;
  url: string;
}

export interface Terminal {
  id: string;
  title: string;
  command?: string | null;
  created: string;
  columns: number;
  rows: number;
  attached: number;
  process: string | null;
  state: "running" | "exited";
  exit_status?: number | null;
  ends_at?: string | null;
}

export interface Editor {
  state: "missing" | "stopped" | "starting" | "running" | "failed";
  detail: string;
  version?: string | null;
  since?: string | null;
  connections: number;
}

export interface Sample {
  time: string;
  cpu_percent: number;
  memory_bytes: number;
  disk_bytes: number;
  received_bytes_per_second: number;
  sent_bytes_per_second: number;
  processes: number;
}

export interface Statistics {
  interval_seconds: number;
  cpu_count: number;
  memory_total: number;
  disk_total: number;
  samples: Sample[];
}
