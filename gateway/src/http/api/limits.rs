//! `/limits`: what somebody may have, and has.

use axum::Json;
use axum::extract::State;

use super::extract::{Asked, Signed, needs};
use super::wire::LimitsQuery;
use super::{Api, ApiRefused};
use crate::http::problem::Problem;
use crate::http::view;
use crate::http::wire::LimitsView;
use crate::identity::{Role, Scope};
use crate::store::StoreError;

/// `GET /limits`
pub(super) async fn show(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(LimitsQuery { user }): Asked<LimitsQuery>,
) -> Result<Json<LimitsView>, Problem> {
    let own = &caller.user;
    let Some(name) = user.filter(|name| *name != own.name) else {
        return Ok(Json(view::limits(&api.workspaces, own, own.role)));
    };
    if own.role != Role::Admin {
        return Err(ApiRefused::NotAdmin.into());
    }
    needs(&caller, Scope::Admin)?;
    let found = api.store.user_named(&name).await?;
    let found = found.ok_or(StoreError::NoSuchUser(name))?;
    Ok(Json(view::limits(&api.workspaces, &found, own.role)))
}
