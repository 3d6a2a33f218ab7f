//! `/limits`: what people may have, and have.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

use super::wire::LimitsQuery;
use super::{Admin, query};
use crate::http::problem::Problem;
use crate::http::view;
use crate::http::wire::LimitsView;
use crate::identity::Role;
use crate::store::StoreError;

/// `GET /limits?user=NAME`: of one user, or of all.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    asked: Result<Query<LimitsQuery>, QueryRejection>,
) -> Result<Json<Vec<LimitsView>>, Problem> {
    let named = query(asked)?.user;
    let mut users = admin.store.users().await?;
    if let Some(name) = named {
        users.retain(|user| user.name == name);
        if users.is_empty() {
            return Err(StoreError::NoSuchUser(name).into());
        }
    }
    let limits = users
        .iter()
        .map(|user| view::limits(&admin.workspaces, user, Role::Admin));
    Ok(Json(limits.collect()))
}
