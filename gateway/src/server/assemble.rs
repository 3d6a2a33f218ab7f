//! Puts the parts of the server together.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use devgate_certs::{Authority, UserCa};
use devgate_protocol::socket;
use time::OffsetDateTime;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::folder::DataFolder;
use super::host::certificates;
use super::listen::Port;
use super::lost_records::Homes;
use super::ports::LastPorts;
use super::{
    Prepared, Running, SSH_PART, StartError, browser, collection, driver, first_run, lifetimes,
    other_driver, pools, web,
};
use crate::config::{Config, OfferChacha20, admin_socket, is_program};
use crate::fingerprint::Fingerprint;
use crate::http::admin::{self, Admin, Server};
use crate::http::api::{self, Api};
use crate::http::{self, Admission, HttpState, Limits, Live, Readiness, Routes, Site};
use crate::identity::{
    Accounts, Approvals, Certificates, Identity, Lockout, LockoutOptions, Sessions, Times,
};
use crate::secrets::{self, Seal, Vault, Wanted};
use crate::sleep::{self, Sleep, SleepPolicy};
use crate::ssh::{self, BrowserSignIn, Chacha20};
use crate::store::Store;
use crate::templates::Templates;
use crate::tunnel::Tunnels;
use crate::workspaces::{Expected, LifecycleOptions, Workspaces};

/// Name of the agent's binary.
const AGENT: &str = "devgate-agent";

/// How long a stream waits beyond the time that a start may take.
const OPEN_MARGIN: Duration = Duration::from_secs(30);

/// Finds the agent's binary.
pub(super) fn agent_binary(configured: Option<&Path>) -> Result<PathBuf, StartError> {
    if let Some(path) = configured {
        if is_program(path) {
            return Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        }
        let place = format!("at {}", path.display());
        return Err(StartError::NoAgent { place });
    }
    let own = env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&path).filter(|folder| folder.is_absolute()))
        .map(|folder| folder.join(AGENT))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| StartError::NoAgent {
            place: "beside devgate and not in PATH".to_owned(),
        })
}

/// Starts the parts, from the records up to the listeners.
#[expect(
    clippy::too_many_lines,
    reason = "one part after the other, each made of those before"
)]
pub(super) async fn start(prepared: Prepared) -> Result<Running, StartError> {
    let Prepared {
        start,
        agent,
        ssh: listener,
        http: https,
        ports,
    } = prepared;
    let config = start.config;
    let path = config.data_dir.clone();
    let folder = spawn_blocking(move || DataFolder::take(&path)).await??;
    remember(&config, ports, &listener, &https);
    let (authority, host) = certificates(&config, &folder, &https).await?;
    let site = web::site(&config, &https)?;
    let (transport, given) = web::transport(&config, &authority, &site).await?;
    let homes = Homes::find(&folder).await?;
    homes.need_database()?;
    let store = Store::open(&folder.join("devgate.db")).await;
    let store = store.map_err(|error| folder.refused(error))?;
    homes.need_records(&store).await?;

    other_driver::refuse(config.workspaces.driver, &folder, &store).await?;

    let tunnels = Tunnels::new(Arc::clone(&authority));
    let address = secrets::Address {
        url: site.dashboard().to_string(),
        authority: web::own_ca(&config, &authority),
    };
    let vault = vault(&config, &folder, &store, address).await?;
    tunnels.tell_secrets_of(vault.clone());
    let driver = driver::new(&config, agent, &folder, (&authority, &https)).await?;
    let lifecycle = lifecycle(&config);
    let workspaces = {
        let parts = (driver, driver::repositories(&config, &folder, &vault));
        Workspaces::load(store.clone(), parts, tunnels.clone(), lifecycle).await?
    };
    let templates = config.workspaces.templates.clone();
    let templates = templates.unwrap_or_else(|| folder.join("templates"));
    let at_start = pools::at_start(&config.startup);
    let home = config.docker.home.clone();
    let templates = Templates::new(templates, config.workspaces.driver, at_start, home);
    let sleep = Sleep::load(sleep::Parts {
        store: store.clone(),
        workspaces: workspaces.clone(),
        tunnels: tunnels.clone(),
        policy: SleepPolicy::new(config.sleep.after.get(), config.sleep.warn.get()),
        // It was checked with the configuration.
        schedule: config.sleep.schedule().ok().flatten(),
    })
    .await?;
    let lockout = Arc::new(Lockout::new(lockout_options(&config)));
    let sessions = Sessions::new(store.clone());
    let accounts = Accounts::new(store.clone(), sessions.clone(), Arc::clone(&lockout));
    let ground = match &start.first_run {
        Some(wanted) => {
            Some(first_run::set_up(&store, &workspaces, &accounts, &site, wanted).await?)
        }
        None => None,
    };

    let server = Server {
        started: OffsetDateTime::now_utc(),
        data_dir: config.data_dir.clone(),
        driver: config.workspaces.driver,
        ssh: listener.local_addr().map_err(StartError::NoAddress)?,
        http: https.local_addr().map_err(StartError::NoAddress)?,
        url: site.dashboard().to_string(),
        ca_fingerprint: web::own_ca(&config, &authority)
            .and_then(|pem| Fingerprint::of(&pem))
            .map(|fingerprint| fingerprint.to_string()),
        host_keys: host.fingerprints(),
        public_keys: host.public_keys(),
        host_authority: host.authority.clone(),
    };
    let (stop, stop_agents) = (CancellationToken::new(), CancellationToken::new());
    let mut parts = JoinSet::new();

    let identity = Identity::new(store.clone());
    let approvals = Approvals::default();
    let certificates = user_certificates(&folder, &store, &sessions).await?;
    let gateway = ssh::Gateway::new(
        (Arc::new(identity.clone()), certificates.clone()),
        lockout,
        workspaces.clone(),
        host.shown(),
        ssh_options(&config),
        browser_sign_in(&config, &approvals, &sessions, &site),
    );
    let (entrance, entering) = ssh::entrance();
    let serve = ssh::serve(listener, entering, Arc::new(gateway), stop.child_token());
    part(&mut parts, SSH_PART, serve);

    let events = workspaces.events().clone();
    // They serve until the last request of the listener.
    let sessions_end = stop_agents.child_token();
    part(
        &mut parts,
        "the sessions",
        sessions.clone().run(sessions_end),
    );
    part(
        &mut parts,
        "the events",
        events.clone().run(stop_agents.child_token()),
    );
    let watch = sleep.clone().run(stop.child_token());
    part(&mut parts, "the watch over idle workspaces", watch);
    let collect = collection::run(workspaces.clone(), templates.clone(), stop.child_token());
    part(&mut parts, "the removal of what nothing needs", collect);
    let end = lifetimes::run(workspaces.clone(), stop.child_token());
    part(&mut parts, "the end of times to live", end);
    let keep = pools::run(workspaces.clone(), templates.clone(), stop.child_token());
    part(&mut parts, "the pools of workspaces", keep);
    let house = web::keep_house(store.clone(), given, stop.child_token());
    part(&mut parts, "the housekeeping", house);

    let live = Live::new(stop.child_token());
    part(&mut parts, "what is followed", live.clone().run());
    let readiness = Readiness::default();
    let sessions_for_browsers = sessions.clone();
    let api = Api::new(api::Parts {
        store: store.clone(),
        workspaces: workspaces.clone(),
        templates: templates.clone(),
        tunnels: tunnels.clone(),
        identity,
        accounts: accounts.clone(),
        sessions,
        approvals,
        certificates,
        ca: web::own_ca(&config, &authority),
        sleep: sleep.clone(),
        events,
        vault: vault.clone(),
        site: site.clone(),
        server: server.clone(),
        ssh: web::ssh_address(server.ssh, &config),
        entrance,
        live: live.clone(),
        stop: stop.child_token(),
    });
    let needs = browser::Needs {
        site: site.clone(),
        sessions: sessions_for_browsers,
        store: store.clone(),
        workspaces: workspaces.clone(),
        live,
    };
    let (apps, others, proxy) = browser::start(&folder, needs, &stop, &mut parts).await?;
    let router = http::router(HttpState {
        agents: agents(&tunnels, &authority, &workspaces),
        readiness: readiness.clone(),
    })
    .nest("/api/v1", api::router(api, Router::new()))
    .merge(others);
    let answers = Routes::from(router).with_apps(apps);
    let (limits, stop_http) = (http_limits(&config), stop_agents.clone());
    let serve = http::serve(https, transport, answers, limits, stop_http);
    part(&mut parts, "the HTTPS listener", serve);
    let renew = devgate_certs::renew_forever(authority, stop.child_token());
    part(&mut parts, "the renewal of certificates", renew);

    let socket = admin_listener(&config).await?;
    let router = admin::router(Arc::new(Admin {
        store: store.clone(),
        workspaces: workspaces.clone(),
        templates,
        sleep,
        accounts,
        vault,
        site,
        server: server.clone(),
        stop: stop.child_token(),
    }));
    let serve = admin::serve(socket, router, stop.child_token());
    part(&mut parts, "the administration socket", serve);
    readiness.set_ready();

    Ok(Running {
        server,
        ground,
        drain_timeout: config.drain_timeout.get(),
        parts,
        stop,
        stop_agents,
        readiness,
        store,
        workspaces,
        tunnels,
        proxy,
        _ready: None,
        _folder: folder,
    })
}

/// Opens what signs SSH user certificates.
async fn user_certificates(
    folder: &DataFolder,
    store: &Store,
    sessions: &Sessions,
) -> Result<Certificates, StartError> {
    let path = folder.join("certs");
    let ca = spawn_blocking(move || UserCa::open(&path)).await??;
    Ok(Certificates::new(store.clone(), sessions.clone(), ca))
}

/// Opens what keeps the secrets.
async fn vault(
    config: &Config,
    folder: &DataFolder,
    store: &Store,
    address: secrets::Address,
) -> Result<Vault, StartError> {
    let path = folder.join("certs");
    let sealed = store.sealed_secrets().await?;
    let seal = spawn_blocking(move || Seal::open(&path, sealed)).await??;
    let names = config.startup.secrets.iter().cloned();
    let wanted = names.map(Wanted::as_variable).collect();
    Ok(Vault::new(store.clone(), seal, wanted, Some(address)))
}

/// Returns what agents need that dial in.
fn agents(tunnels: &Tunnels, authority: &Arc<Authority>, workspaces: &Workspaces) -> http::Agents {
    let (known, own) = (workspaces.clone(), tunnels.clone());
    http::Agents {
        tunnels: tunnels.clone(),
        authority: Arc::clone(authority),
        accepts: Arc::new(move |id| {
            let admission = match known.expects_agent(&id) {
                // What is starting may finish, though the gateway ends.
                Expected::Again if own.is_going_away() => Admission::Later,
                Expected::First | Expected::Again => Admission::Expected,
                Expected::Not => Admission::Unexpected,
            };
            Box::pin(std::future::ready(admission))
        }),
    }
}

/// Listens on the administration socket.
async fn admin_listener(config: &Config) -> Result<UnixListener, StartError> {
    let path = admin_socket(&config.data_dir);
    let bound = socket::bind(&path).await;
    bound.map_err(|cause| StartError::AdminSocket { path, cause })
}

/// Keeps for the next start what port 0 was.
fn remember(config: &Config, last: LastPorts, ssh: &TcpListener, https: &TcpListener) {
    let picked = [
        (Port::Ssh, &config.ssh.listen, ssh),
        (Port::Http, &config.http.listen, https),
    ];
    let ports = picked
        .into_iter()
        .filter(|(_, listen, _)| listen.port() == 0)
        .filter_map(|(port, _, listener)| Some((port, listener.local_addr().ok()?.port())))
        .fold(last, |ports, (port, number)| ports.with(port, number));
    if ports == last {
        return;
    }
    if let Err(error) = ports.write(&config.data_dir) {
        warn!(%error, "can't keep the ports for the next start");
    }
}

/// Starts one part, and remembers its name for when it ends.
pub(super) fn part(
    parts: &mut JoinSet<&'static str>,
    name: &'static str,
    run: impl Future<Output = ()> + Send + 'static,
) {
    parts.spawn(async move {
        run.await;
        name
    });
}

fn lifecycle(config: &Config) -> LifecycleOptions {
    let start_timeout = config.workspaces.start_timeout.get();
    LifecycleOptions {
        start_timeout,
        stop_grace: config.workspaces.stop_grace.get(),
        delete_grace: config.workspaces.delete_grace.get(),
        limits: super::limits::limits(config),
        measure_pause: config.limits.disk_interval.get(),
        open_timeout: start_timeout + OPEN_MARGIN,
        ..LifecycleOptions::default()
    }
}

fn lockout_options(config: &Config) -> LockoutOptions {
    LockoutOptions {
        failures: usize::try_from(config.lockout.failures).unwrap_or(usize::MAX),
        window: config.lockout.period.get(),
        locked_for: config.lockout.duration.get(),
        ..LockoutOptions::default()
    }
}

fn http_limits(config: &Config) -> Limits {
    let http = &config.http;
    Limits {
        connections: usize::try_from(http.max_connections).unwrap_or(usize::MAX),
        each: usize::try_from(http.max_connections_per_address).unwrap_or(usize::MAX),
        proxies: http.trusted_proxies.as_slice().into(),
        ..Limits::default()
    }
}

/// Returns how SSH clients without a key sign in, where they may.
fn browser_sign_in(
    config: &Config,
    approvals: &Approvals,
    sessions: &Sessions,
    site: &Site,
) -> Option<BrowserSignIn> {
    config.ssh.browser_sign_in.then(|| BrowserSignIn {
        approvals: approvals.clone(),
        sessions: sessions.clone(),
        page: site.device_page(),
        times: Times {
            wait: config.ssh.approval_timeout.get(),
            window: config.ssh.approval_window.get(),
        },
    })
}

fn ssh_options(config: &Config) -> ssh::Options {
    let ssh = &config.ssh;
    ssh::Options {
        // Both are checked with the configuration.
        window: u32::try_from(ssh.window.bytes()).unwrap_or(u32::MAX),
        chacha20: match ssh.chacha20 {
            OfferChacha20::WithoutAesHardware => Chacha20::WithoutAesHardware,
            OfferChacha20::Always => Chacha20::Always,
        },
        login_grace: ssh.login_grace.get(),
        max_unauthenticated: usize::try_from(ssh.max_unauthenticated).unwrap_or(usize::MAX),
        keepalive_interval: ssh.keepalive_interval.get(),
        keepalive_max: usize::try_from(ssh.keepalive_count).unwrap_or(usize::MAX),
        rekey_after: usize::try_from(ssh.rekey_after.bytes()).unwrap_or(usize::MAX),
        rekey_interval: ssh.rekey_interval.get(),
    }
}
