//! The REST API under `/api/v1`.
//!
//! Every route takes its path from the table of operations, so that nothing is served
//! that isn't documented. Every handler begins with who calls; what they may not see is
//! answered as if it weren't there.

mod certificates;
mod create;
mod device;
mod document;
mod extract;
mod gate;
mod lifetime;
mod limits;
mod me;
mod narrowed;
mod operations;
mod page;
mod ports;
mod refused;
mod secrets;
mod server;
mod sign_in;
mod sleep;
mod snapshots;
mod ssh;
mod streams;
mod templates;
pub mod tokens;
mod users;
pub mod wire;
mod workspaces;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::path::HttpMethod;

use super::admin::Server;
use super::live::Live;
use super::problem::RequestRefused;
use super::site::Site;
use crate::events::Events;
use crate::identity::{Accounts, Approvals, Certificates, Identity, Sessions};
use crate::secrets::Vault;
use crate::sleep::Sleep;
use crate::ssh::Entrance;
use crate::store::Store;
use crate::templates::Templates;
use crate::tunnel::Tunnels;
use crate::workspaces::Workspaces;

pub use extract::Signed;
pub use gate::from_dashboard;
pub use narrowed::permits;
pub use refused::ApiRefused;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// What the handlers need.
pub struct Parts {
    /// The records.
    pub store: Store,
    /// The workspaces.
    pub workspaces: Workspaces,
    /// What workspaces are made from.
    pub templates: Templates,
    /// The agents that are connected.
    pub tunnels: Tunnels,
    /// Who may reach what.
    pub identity: Identity,
    /// People's accounts.
    pub accounts: Accounts,
    /// Who calls.
    pub sessions: Sessions,
    /// Programs that wait for somebody to sign them in.
    pub approvals: Approvals,
    /// Signs SSH user certificates.
    pub certificates: Certificates,
    /// The authority of the listener's certificate, PEM, where it is our own.
    pub ca: Option<String>,
    /// Why workspaces run, and what keeps them awake.
    pub sleep: Sleep,
    /// What happens.
    pub events: Events,
    /// The secrets.
    pub vault: Vault,
    /// Where the dashboard is found.
    pub site: Site,
    /// What doesn't change while the server runs.
    pub server: Server,
    /// Host and port of the SSH server, as people reach it.
    pub ssh: (String, u16),
    /// Where SSH that comes over a WebSocket is brought to.
    pub entrance: Entrance,
    /// Logs and events that are followed.
    pub live: Live,
    /// Ends waits that would go on for ever.
    pub stop: CancellationToken,
}

/// The API's state. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

impl Api {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// Returns the routes below `/api/v1`, without that prefix. Others merge theirs into
/// what `more` returns: it has the same guards.
pub fn router(api: Api, more: Router<Api>) -> Router {
    routes()
        .merge(more)
        .fallback(async || RequestRefused::NoRoute)
        .method_not_allowed_fallback(async || RequestRefused::NoMethod)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(api.clone(), gate::gate))
        .with_state(api)
}

/// Returns an event as it is shown.
pub(super) fn shown_event(event: crate::events::Event) -> wire::Event {
    streams::shown(event)
}

/// Returns the `OpenAPI` document, as its file in `gateway/web` holds it.
pub fn openapi() -> String {
    document::text(&document::document(operations::all(), &operations::TAGS))
}

fn routes() -> Router<Api> {
    let mut routes = Routes::new();
    routes.on("signIn", sign_in::by_password);
    routes.on("signInByLink", sign_in::by_link);
    routes.on("signOut", sign_in::out);
    routes.on("beginDevice", device::begin);
    routes.on("finishDevice", device::finish);
    routes.on("showDevice", device::show);
    routes.on("approveDevice", device::approve);
    routes.on("refuseDevice", device::refuse);
    routes.on("showAuthority", device::authority);
    routes.on("listSshApprovals", device::list_approvals);
    routes.on("endSshApproval", device::end_approval);
    routes.on("listSshCertificates", certificates::list);
    routes.on("signSshCertificate", certificates::sign);
    routes.on("revokeSshCertificate", certificates::revoke);
    routes.on("showMe", me::show);
    routes.on("setPassword", me::set_password);
    routes.on("listKeys", me::list_keys);
    routes.on("addKey", me::add_key);
    routes.on("removeKey", me::remove_key);
    routes.on("listTokens", tokens::list);
    routes.on("createToken", tokens::add);
    routes.on("deleteToken", tokens::remove);
    routes.on("listLogins", me::list_logins);
    routes.on("endLogin", me::end_login);
    routes.on("listWorkspaces", workspaces::list);
    routes.on("createWorkspace", create::create);
    routes.on("showWorkspace", workspaces::show_one);
    routes.on("deleteWorkspace", workspaces::remove);
    routes.on("changeWorkspace", workspaces::change);
    routes.on("restoreWorkspace", workspaces::restore);
    routes.on("extendWorkspace", lifetime::extend);
    routes.on("startWorkspace", workspaces::start);
    routes.on("stopWorkspace", workspaces::stop);
    routes.on("restartWorkspace", workspaces::restart);
    routes.on("rebuildWorkspace", workspaces::rebuild);
    routes.on("showLimits", limits::show);
    routes.on("sleepWorkspace", workspaces::sleep);
    routes.on("showWhyRunning", sleep::why);
    routes.on("listLeases", sleep::leases);
    routes.on("keepAwake", sleep::keep_awake);
    routes.on("endLease", sleep::end_lease);
    routes.on("setSchedule", sleep::set_schedule);
    routes.on("removeSchedule", sleep::remove_schedule);
    routes.on("readLogs", streams::logs);
    routes.on("openSsh", ssh::open);
    routes.on("listSnapshots", snapshots::list);
    routes.on("showSnapshot", snapshots::show_one);
    routes.on("deleteSnapshot", snapshots::remove);
    routes.on("restoreSnapshot", snapshots::restore);
    routes.on("pushSnapshot", snapshots::push);
    routes.on("pullSnapshot", snapshots::pull);
    routes.on("takeSnapshot", snapshots::take);
    routes.on("cloneWorkspace", snapshots::clone);
    routes.on("showHistory", snapshots::history);
    routes.on("listTemplates", templates::list);
    routes.on("showTemplate", templates::show);
    routes.on("putTemplate", templates::put);
    routes.on("checkTemplate", templates::check);
    routes.on("deleteTemplate", templates::remove);
    routes.on("showStartup", streams::startup);
    routes.on("readStartupLog", streams::startup_log);
    routes.on("listSecrets", secrets::list);
    routes.on("showSecret", secrets::show);
    routes.on("setSecret", secrets::set);
    routes.on("removeSecret", secrets::remove);
    routes.on("setPort", ports::set);
    routes.on("closePort", ports::close);
    routes.on("listUsers", users::list);
    routes.on("addUser", users::add);
    routes.on("showUser", users::show);
    routes.on("changeUser", users::change);
    routes.on("removeUser", users::remove);
    routes.on("createLink", users::link);
    routes.on("showServer", users::server);
    routes.on("showConnection", server::connection);
    routes.on("listEvents", streams::events);
    routes.on("showDocument", server::document);
    routes.router
}

/// Gives operations their handlers.
struct Routes {
    /// Method and path of those that have none yet.
    open: HashMap<&'static str, (MethodFilter, &'static str)>,
    router: Router<Api>,
}

impl Routes {
    fn new() -> Self {
        let open = operations::all()
            .into_iter()
            .filter(|operation| operation.by == document::By::Handler)
            .map(|operation| {
                let method = match operation.method {
                    HttpMethod::Post => MethodFilter::POST,
                    HttpMethod::Put => MethodFilter::PUT,
                    HttpMethod::Patch => MethodFilter::PATCH,
                    HttpMethod::Delete => MethodFilter::DELETE,
                    // The table has no others.
                    _ => MethodFilter::GET,
                };
                (operation.id, (method, operation.path))
            });
        Self {
            open: open.collect(),
            router: Router::new(),
        }
    }

    /// Serves an operation; a test sees to it that each is served once.
    fn on<H, T>(&mut self, id: &str, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        if let Some((method, path)) = self.open.remove(id) {
            let router = std::mem::take(&mut self.router);
            self.router = router.route(path, on(method, handler));
        }
    }
}

#[cfg(test)]
mod tests;
