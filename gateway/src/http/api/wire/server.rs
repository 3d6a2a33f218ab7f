//! The server, how to connect to it, and what happens on it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::{IntoParams, ToSchema};

use crate::http::wire::HostKey;
use crate::names::{UserName, WorkspaceId, WorkspaceName};

/// The server as a whole, for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// When it started.
    #[serde(with = "rfc3339")]
    pub started: OffsetDateTime,
    /// How long ago that is.
    pub uptime_seconds: u64,
    /// Where it takes SSH connections.
    pub ssh_address: String,
    /// Where people find the dashboard.
    pub http_url: String,
    /// Its SSH host keys.
    pub host_keys: Vec<HostKey>,
    /// How many users there are.
    pub users: u64,
    /// How many workspaces there are.
    pub workspaces: u64,
    /// How many of them run.
    pub running: u64,
    /// How many agents are connected.
    pub agents: u64,
    /// Memory that the server's process holds.
    pub memory_bytes: u64,
}

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Host of the SSH server.
    pub ssh_host: String,
    /// Its port.
    pub ssh_port: u16,
    /// Where people find the dashboard.
    pub url: String,
    /// What the hosts of applications end with.
    pub domain: String,
    /// Where applications are found.
    pub applications: ApplicationsBy,
    /// The SSH host keys.
    pub host_keys: Vec<HostKey>,
    /// The same whole: algorithm and base64, as files of known hosts have them.
    #[serde(default)]
    #[schema(required = true)]
    pub public_keys: Vec<String>,
    /// The authority that signs certificates for them, likewise: what stands behind
    /// `@cert-authority` in files of known hosts.
    #[serde(default)]
    #[schema(required = true)]
    pub host_authority: String,
    /// How long the home of a deleted workspace is kept; 0: not at all.
    pub delete_grace_seconds: u64,
}

/// Where applications are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApplicationsBy {
    /// Each on a host of its own below the domain.
    Subdomain,
    /// Below the dashboard.
    Path,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id; later ones are greater as numbers.
    pub id: String,
    /// When it happened.
    #[serde(with = "rfc3339")]
    pub time: OffsetDateTime,
    /// What happened: `workspace-created`, `workspace-state`, `workspace-sleep-soon`,
    /// `workspace-expires-soon`, `workspace-extended`, `workspace-renamed`,
    /// `workspace-transferred`, `workspace-deleted`, `workspace-restored`, `workspace-purged`,
    /// `workspace-command`, `snapshot-state`, `snapshot-deleted`, `out-of-memory`, `disk-limit-exceeded`, `user-created`, `user-changed`, `user-deleted`, `key-added`, `key-removed`,
    /// `token-created`, `token-deleted`, `link-created`, `login`, `logout`, `port-changed`, `workspace-notice`;
    /// more may come.
    pub kind: String,
    /// The workspace that it is about.
    #[schema(required = true)]
    pub workspace: Option<EventWorkspace>,
    /// Whom it is about: the owner of the workspace, else the account's.
    #[schema(required = true)]
    pub user: Option<UserName>,
    /// What more there is to say, by kind.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// The workspace that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventWorkspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: WorkspaceName,
}

/// What a WebSocket says of one event, as a text message.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveEvent {
    /// The name that it has among Server-Sent Events.
    pub event: Cow<'static, str>,
    /// Its id, where it has one: what to go on after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it says: a line of a log as a string, all else as it is.
    pub data: serde_json::Value,
}

/// Which page of what happened to a workspace.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Most entries of the page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before; pages go from the newest to the oldest.
    #[serde(default)]
    #[param(max_length = 20, pattern = "^[0-9]{1,18}$")]
    pub cursor: Option<String>,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Most entries of the page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before; pages go from the newest to the oldest.
    #[serde(default)]
    #[param(max_length = 20, pattern = "^[0-9]{1,18}$")]
    pub cursor: Option<String>,
    /// Where what happens is followed: what happened after the event of this id, unless
    /// `Last-Event-ID` says another; default: what happens from now on.
    #[serde(default)]
    #[param(max_length = 20, pattern = "^[0-9]{1,18}$")]
    pub since: Option<String>,
}
