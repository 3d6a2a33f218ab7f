//! `/workspaces/{id}/ports/{port}`: who may open a port.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::extract::{Body, NamedTwice, Signed};
use super::wire::{PortSetting, SetPort};
use super::{Api, ApiRefused, tokens};
use crate::events::{Kind, NewEvent};
use crate::http::apps::{self, Opens};
use crate::http::problem::Problem;
use crate::identity::{Denied, User};
use crate::names::WorkspaceId;
use crate::store::{OpenPort, Visibility};

/// A port in a path: from 1 on, without zeros in front.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortNumber(u16);

impl FromStr for PortNumber {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let port: u16 = text.parse().map_err(|_| ())?;
        let plain = port > 0 && port.to_string() == text;
        plain.then_some(Self(port)).ok_or(())
    }
}

/// `PUT /workspaces/{id}/ports/{port}`
pub(super) async fn set(
    State(api): State<Api>,
    Signed(caller): Signed,
    NamedTwice(id, PortNumber(port)): NamedTwice<WorkspaceId, PortNumber>,
    Body(asked): Body<SetPort>,
) -> Result<Json<PortSetting>, Problem> {
    let visibility: Visibility = asked.visibility.into();
    // A private port has nothing that could expire.
    let expires = asked
        .expires_at
        .filter(|_| visibility != Visibility::Private)
        .map(tokens::ahead)
        .transpose()?;
    let open = OpenPort {
        port,
        visibility,
        expires,
    };
    let url = apply(&api, &caller.user, &id, open).await?;
    Ok(Json(PortSetting {
        port,
        visibility: asked.visibility,
        expires_at: expires,
        url,
    }))
}

/// `DELETE /workspaces/{id}/ports/{port}`
pub(super) async fn close(
    State(api): State<Api>,
    Signed(caller): Signed,
    NamedTwice(id, PortNumber(port)): NamedTwice<WorkspaceId, PortNumber>,
) -> Result<StatusCode, Problem> {
    let open = OpenPort {
        port,
        visibility: Visibility::Private,
        expires: None,
    };
    apply(&api, &caller.user, &id, open).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says who may open a port, and tells whom it concerns. Returns its address.
async fn apply(
    api: &Api,
    user: &User,
    id: &WorkspaceId,
    open: OpenPort,
) -> Result<String, Problem> {
    let grant = api.identity.authorize_id(user, id).await?;
    let shares = api.store.open_ports(id).await?;
    let before = shares.iter().find(|share| share.port == open.port);
    // What changes nothing is neither written nor told of, however often it is asked for.
    let changes = match before {
        Some(before) => *before != open,
        None => open.visibility != Visibility::Private,
    };
    if changes {
        if !api.store.set_port(id, &open).await? {
            return Err(ApiRefused::TooMany { what: "open ports" }.into());
        }
        let about = NewEvent::of_workspace(Kind::PortChanged, grant.workspace())
            .saying("port", &open.port.to_string())
            .saying("visibility", open.visibility.as_str());
        api.events.record(about);
    }
    let record = api.workspaces.get(id).await?.ok_or(Denied::NoSuchId)?;
    let opens = Opens::Port(open.port);
    Ok(apps::address(&api.site, &record.workspace, opens))
}
