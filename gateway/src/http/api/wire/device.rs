//! Programs and SSH connections that somebody approves in a browser.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::ToSchema;

use super::{NewToken, ScopeName};
use crate::names::{ApprovalId, UserName};

/// Longest life of a token that is asked for in this way, in seconds: 90 days.
pub const MAX_DEVICE_LIFE: u32 = 90 * 24 * 3600;

/// Asks for a token that somebody approves in a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginDevice {
    /// What to call it: who and where, as in `ada@laptop`.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+$"
    )]
    pub name: String,
    /// What it is to allow, within what whoever approves it may do.
    pub scope: ScopeName,
    /// In how many seconds it ends.
    #[schema(minimum = 1, maximum = 7_776_000)]
    pub expires_in_seconds: u32,
}

/// The codes of a program that waits for somebody to approve it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceCodes {
    /// What to poll with; nobody else is to know it.
    pub device_code: String,
    /// What to show: the same code is in the browser.
    pub user_code: String,
    /// Where it is approved.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: String,
    /// In how many seconds the codes end.
    pub expires_in: u64,
    /// How many seconds to wait between two polls.
    pub interval: u64,
}

/// Asks for the token.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishDevice {
    /// `device_code` of the answer that the codes came with.
    #[schema(min_length = 1, max_length = 200)]
    pub device_code: String,
}

/// The token, once it was approved.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceToken {
    /// Who approved it: whose it is.
    pub user: UserName,
    /// The token.
    pub token: NewToken,
}

/// What waits to be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceAsks {
    /// A program, for a token.
    Token,
    /// SSH connections of a client without a known key, to be let in.
    Ssh,
}

/// What waits, as whoever may approve it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceWaiting {
    /// The code that is in its terminal.
    pub user_code: String,
    /// What it asks for.
    pub asks: DeviceAsks,
    /// What a program calls itself; the login name of SSH connections, which says where
    /// they lead.
    pub name: String,
    /// The address that it asks from.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Whether whoever looks asks from there, too.
    pub same_address: bool,
    /// How many SSH connections wait.
    pub connections: usize,
    /// What its token will allow; null for SSH connections.
    #[schema(required = true)]
    pub scope: Option<ScopeName>,
    /// For how many seconds the token counts; or for how many further SSH connections with
    /// that login name are let in from that address.
    pub expires_in_seconds: u64,
    /// Until when this can be decided.
    #[serde(with = "rfc3339")]
    pub until: OffsetDateTime,
}

/// An approval that still lets SSH connections in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshApproval {
    /// Its id.
    pub id: ApprovalId,
    /// The login name that they have: where they lead.
    pub login: String,
    /// The address that they come from.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Until when they are let in.
    #[serde(with = "rfc3339")]
    pub until: OffsetDateTime,
}

/// What holds a secret doesn't print it.
macro_rules! silent {
    ($($type:ident),+) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        })+
    };
}

silent!(DeviceCodes, FinishDevice, DeviceToken);
