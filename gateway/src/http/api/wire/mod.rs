//! What the API says and hears, in JSON.

mod account;
mod agent;
mod certificates;
mod device;
mod files;
mod processes;
mod search;
mod secrets;
mod server;
mod snapshots;
mod templates;
mod watches;
mod workspaces;

pub use account::*;
pub use agent::*;
pub use certificates::*;
pub use device::*;
pub use files::*;
pub use processes::*;
pub use search::*;
pub use secrets::*;
pub use server::*;
pub use snapshots::*;
pub use templates::*;
pub use watches::*;
pub use workspaces::*;

pub use crate::http::wire::sleep::*;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::names::{
    ApprovalId, LeaseId, LoginId, MAX_NAME, SnapshotId, SnapshotName, TemplateName, TokenId,
    UserId, UserName, WorkspaceId, WorkspaceName,
};

/// Most entries of one page.
pub const MAX_LIMIT: u32 = 200;

/// Entries of one page unless others are asked for.
pub const LIMIT: u32 = 50;

/// Longest cursor, in bytes.
pub const MAX_CURSOR: usize = 100;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What there is, in the list's order.
    pub items: Vec<T>,
    /// What to give as `cursor` to get the next page; null: this is the last one.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Most entries of the page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default)]
    #[param(max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    pub cursor: Option<String>,
}

macro_rules! checked_texts {
    ($($type:ty => $name:literal, $pattern:literal, $most:expr;)+) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .pattern(Some($pattern))
                        .min_length(Some(1))
                        .max_length(Some($most))
                        .into()
                }
            }

            impl ToSchema for $type {
                fn name() -> std::borrow::Cow<'static, str> {
                    $name.into()
                }
            }
        )+
    };
}

checked_texts! {
    UserName => "UserName", "^[a-z0-9]+(-[a-z0-9]+)*$", MAX_NAME;
    WorkspaceName => "WorkspaceName", "^[a-z0-9]+(-[a-z0-9]+)*$", MAX_NAME;
    TemplateName => "TemplateName", "^[a-z0-9]+(-[a-z0-9]+)*$", MAX_NAME;
    SnapshotName => "SnapshotName", "^[a-z0-9]+(-[a-z0-9]+)*$", MAX_NAME;
    SnapshotId => "SnapshotId", "^[a-z0-9]{16}$", 16;
    UserId => "UserId", "^[a-z0-9]{16}$", 16;
    WorkspaceId => "WorkspaceId", "^[a-z0-9]{16}$", 16;
    LoginId => "LoginId", "^[a-z0-9]{16}$", 16;
    TokenId => "TokenId", "^[a-z0-9]{16}$", 16;
    LeaseId => "LeaseId", "^[a-z0-9]{16}$", 16;
    ApprovalId => "ApprovalId", "^[a-z0-9]{16}$", 16;
}
