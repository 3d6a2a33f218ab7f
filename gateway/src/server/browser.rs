//! What serves browsers: applications and editors, and what agents answer of the API.

use std::sync::Arc;

use axum::Router;
use devgate_certs::Wanted;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::assemble::part;
use super::folder::DataFolder;
use crate::http::Live;
use crate::http::apps::{self, Apps, Place, Seal};
use crate::http::inside::{self, Inside};
use crate::http::proxy::Proxy;
use crate::http::site::Site;
use crate::identity::{Identity, Sessions};
use crate::store::Store;
use crate::workspaces::Workspaces;

/// What is needed of the other parts.
pub(super) struct Needs {
    pub(super) site: Site,
    pub(super) sessions: Sessions,
    pub(super) store: Store,
    pub(super) workspaces: Workspaces,
    pub(super) live: Live,
}

/// Starts what serves browsers, and returns the applications, the routes beside them, and
/// what carries requests into workspaces.
pub(super) async fn start(
    folder: &DataFolder,
    needs: Needs,
    stop: &CancellationToken,
    parts: &mut JoinSet<&'static str>,
) -> Result<(Apps, Router, Proxy), StartError> {
    let Needs {
        site,
        sessions,
        store,
        workspaces,
        live,
    } = needs;
    let certs = folder.join("certs");
    let seal = spawn_blocking(move || Seal::open(&certs)).await??;
    let proxy = Proxy::new(stop.child_token());
    part(parts, "the proxy", proxy.clone().run());
    let identity = Identity::new(store.clone());
    let apps = Apps::new(apps::Parts {
        site: site.clone(),
        sessions: sessions.clone(),
        identity: identity.clone(),
        workspaces: workspaces.clone(),
        proxy: proxy.clone(),
        seal,
    });
    part(
        parts,
        "the watch over shares",
        apps.clone().run(stop.child_token()),
    );
    let inside = inside::router(Inside {
        site,
        sessions,
        identity,
        store,
        workspaces,
        proxy: proxy.clone(),
        live,
    });
    let router = apps::router(apps.clone()).merge(inside);
    Ok((apps, router, proxy))
}

/// Tells which hosts get a certificate of their own: those of applications.
pub(super) fn wanted(site: &Site) -> Wanted {
    let site = site.clone();
    Arc::new(move |host| {
        site.label(host)
            .is_some_and(|label| label.parse::<Place>().is_ok())
    })
}
