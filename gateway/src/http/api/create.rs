//! `POST /workspaces`: a new workspace, once however often its request comes.
//!
//! Invariant: what a request with a key led to is recorded with the key, whether anybody still
//! waits for the answer or not; so whoever lost it may ask again.

use axum::extract;
use axum::response::Response;
use http::HeaderMap;

use super::extract::{Asked, Body, Signed};
use super::snapshots::changes;
use super::wire::{CreateWorkspace, WaitQuery};
use super::workspaces::{named_owner, reached, seconds};
use super::{Api, ApiRefused};
use crate::http::problem::Problem;
use crate::identity::{Caller, SecretHash, User};
use crate::names::WorkspaceId;
use crate::store::Request;
use crate::workspaces::{Choices, Intent, Record};

/// Tells a request from its repetition.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest such key, in bytes.
const MAX_KEY: usize = 100;

/// A workspace that somebody wants.
struct Wish {
    caller: Caller,
    owner: User,
    new: CreateWorkspace,
}

/// `POST /workspaces`
pub(super) async fn create(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Asked(wait): Asked<WaitQuery>,
    headers: HeaderMap,
    Body(new): Body<CreateWorkspace>,
) -> Result<Response, Problem> {
    let wait = seconds(wait)?;
    let owner = owner(&api, &caller, &new).await?;
    let key = idempotency_key(&headers)?.map(str::to_owned);
    let wish = Wish {
        caller: caller.clone(),
        owner,
        new,
    };
    let own = api.clone();
    let making = api.workspaces.to_the_end(async move {
        match key {
            Some(key) => once(&own, &key, &wish).await,
            None => make(&own, &wish).await,
        }
    });
    let id = making.await?;
    reached(&api, &caller, &id, wait).await
}

/// Makes a workspace, unless a request with the same key has done that.
async fn once(api: &Api, key: &str, wish: &Wish) -> Result<WorkspaceId, Problem> {
    let Wish { caller, owner, new } = wish;
    let user = &caller.user;
    // What is asked for, and not how it is written.
    let asked = format!(
        "{} {} {} {:?} {:?} {:?} {:?}",
        owner.id, new.name, new.start, new.template, new.snapshot, new.cpus, new.memory
    );
    let asked = SecretHash::of(asked.as_bytes());
    match api.store.claim_request(user, key, &asked).await? {
        Request::First => {
            let made = make(api, wish).await;
            let id = made.as_ref().ok();
            api.store.finish_request(user, key, id).await?;
            made
        }
        Request::Done(id) => Ok(id),
        Request::UnderWay => Err(ApiRefused::UnderWay.into()),
        Request::Other => Err(ApiRefused::KeyReused.into()),
    }
}

async fn make(api: &Api, wish: &Wish) -> Result<WorkspaceId, Problem> {
    let record = make_of(api, wish).await?;
    let by = wish.caller.user.name.as_str();
    api.workspaces.note(&record.workspace, "create", by);
    Ok(record.workspace.id)
}

async fn make_of(api: &Api, Wish { caller, owner, new }: &Wish) -> Result<Record, Problem> {
    let intent = if new.start { Intent::Run } else { Intent::Stop };
    if let Some(snapshot) = &new.snapshot {
        if new.template.is_some() || new.cpus.is_some() || new.memory.is_some() {
            return Err(ApiRefused::Value {
                name: "snapshot",
                allowed: "without template, cpus and memory: it has its own",
            }
            .into());
        }
        changes(api, caller, snapshot).await?;
        let made = api
            .workspaces
            .create_from(owner, &new.name, snapshot, intent);
        return Ok(made.await?);
    }
    let choices = Choices {
        cpus: new.cpus,
        memory: new.memory,
    };
    let blueprint = api
        .templates
        .blueprint(new.template.as_ref(), choices, None)
        .await?;
    let made = api.workspaces.create(owner, &new.name, blueprint, intent);
    Ok(made.await?)
}

/// Returns whose a new workspace will be. Who may not name others learns nothing of
/// them.
async fn owner(api: &Api, caller: &Caller, new: &CreateWorkspace) -> Result<User, Problem> {
    let user = &caller.user;
    let Some(name) = new.owner.as_ref().filter(|name| **name != user.name) else {
        return Ok(user.clone());
    };
    named_owner(api, caller, name).await
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiRefused> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| {
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    });
    key.map(Some).ok_or(ApiRefused::Value {
        name: "Idempotency-Key",
        allowed: "1 to 100 printable ASCII characters without spaces",
    })
}
