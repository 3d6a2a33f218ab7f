//! The gateway's browser side, with a workspace that runs.

use std::collections::BTreeMap;
use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::Router;
use devgate::config::{Applications, DriverName, HttpConfig};
use devgate::drivers::Driver;
use devgate::drivers::process::{ProcessDriver, ProcessOptions, ProcessReach};
use devgate::http::apps::{self, Apps, Place, Seal};
use devgate::http::inside::{self, Inside};
use devgate::http::proxy::Proxy;
use devgate::http::{Limits, Live, Routes, Site, serve};
use devgate::identity::{Identity, Role, Secret, Sessions, TokenWish, User, Via};
use devgate::names::{LoginId, WorkspaceId};
use devgate::repositories::{Repositories, RepositoryOptions};
use devgate::store::{Method, NewLogin, NewToken, OpenPort, Store, Visibility};
use devgate::tunnel::Tunnels;
use devgate::workspaces::{Blueprint, Intent, LifecycleOptions, State, Workspaces};
use devgate_certs::{Authority, Wanted};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One gateway with the workspace `api` of `ada`; `bob` has none.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) sessions: Sessions,
    pub(crate) workspaces: Workspaces,
    pub(crate) authority: Arc<Authority>,
    pub(crate) ada: User,
    pub(crate) bob: User,
    pub(crate) workspace: WorkspaceId,
    /// Begins its end.
    pub(crate) stop: CancellationToken,
    tasks: JoinSet<()>,
    folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(Applications::Subdomain).await
    }

    pub(crate) async fn start_with(applications: Applications) -> Self {
        let config = HttpConfig {
            applications,
            ..HttpConfig::default()
        };
        Self::start_as(config, Limits::default()).await
    }

    pub(crate) async fn start_as(config: HttpConfig, limits: Limits) -> Self {
        Self::start_by(config, limits, |proxy| proxy).await
    }

    /// Starts one whose applications ask for a body that a client holds back whenever they
    /// come to it, and where everybody may open the port.
    pub(crate) async fn patient(port: u16) -> Self {
        let patient = |proxy: Proxy| proxy.with_patience(Duration::from_mins(10));
        let gateway = Self::start_by(HttpConfig::default(), Limits::default(), patient).await;
        gateway.share(port, Visibility::Public).await;
        gateway
    }

    async fn start_by(
        config: HttpConfig,
        limits: Limits,
        prepare: impl FnOnce(Proxy) -> Proxy,
    ) -> Self {
        show_log();
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        let authority = Arc::new(Authority::open(&certs).unwrap());
        authority.gateway_leaf(&["localhost".to_owned()]).unwrap();
        let store = Store::open(&folder.path().join("devgate.db"))
            .await
            .unwrap();
        let tunnels = Tunnels::new(Arc::clone(&authority));
        let driver = ProcessDriver::new(ProcessOptions {
            folder: folder.path().join("workspaces"),
            agent: agent(),
            shell: None,
            environment: BTreeMap::new(),
            editor: devgate_protocol::config::EditorConfig::default(),
            terminals: devgate_protocol::config::TerminalsConfig::default(),
            startup: devgate_protocol::config::Startup::default(),
            reach: ProcessReach::Socket,
        });
        let lifecycle = LifecycleOptions::default();
        let repositories = Repositories::new(RepositoryOptions {
            folder: folder.path().join("repositories"),
            driver: DriverName::Process,
            image: String::new(),
            user: String::new(),
            mounts: Vec::new(),
            credentials: Arc::new(|_, _| Box::pin(std::future::ready(None))),
        });
        let parts: (Arc<dyn Driver>, _) = (Arc::new(driver), repositories);
        let workspaces = Workspaces::load(store.clone(), parts, tunnels, lifecycle)
            .await
            .unwrap();
        let ada = store
            .add_user(&"ada".parse().unwrap(), Role::Member)
            .await
            .unwrap();
        let bob = store
            .add_user(&"bob".parse().unwrap(), Role::Member)
            .await
            .unwrap();
        let name = "api".parse().unwrap();
        let record = workspaces
            .create(&ada, &name, Blueprint::default(), Intent::Run)
            .await
            .unwrap();
        let workspace = record.workspace.id;
        let state = workspaces.settled(&workspace).await;
        assert_eq!(state, Some(State::Running));

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site::new(&config, address.port()).unwrap();
        let sessions = Sessions::new(store.clone());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(sessions.clone().run(stop.clone()));
        let proxy = prepare(Proxy::new(stop.clone()));
        tasks.spawn(proxy.clone().run());
        let identity = Identity::new(store.clone());
        let apps = Apps::new(apps::Parts {
            site: site.clone(),
            sessions: sessions.clone(),
            identity: identity.clone(),
            workspaces: workspaces.clone(),
            proxy: proxy.clone(),
            seal: Seal::open(&certs).unwrap(),
        });
        tasks.spawn(apps.clone().run(stop.clone()));
        let inside = Inside {
            site: site.clone(),
            sessions: sessions.clone(),
            identity,
            store: store.clone(),
            workspaces: workspaces.clone(),
            proxy,
            live: Live::new(stop.clone()),
        };
        let router: Router = apps::router(apps.clone()).merge(inside::router(inside));
        let wanted: Wanted = Arc::new(move |host| {
            site.label(host)
                .is_some_and(|label| label.parse::<Place>().is_ok())
        });
        let tls = authority.server_config_for(wanted).unwrap();
        let answers = Routes::from(router).with_apps(apps);
        tasks.spawn(serve(listener, tls, answers, limits, stop.clone()));
        Self {
            address,
            store,
            sessions,
            workspaces,
            authority,
            ada,
            bob,
            workspace,
            stop,
            tasks,
            folder,
        }
    }

    /// Ends the workspace; a test that forgets it leaves an agent behind.
    pub(crate) async fn end(mut self) {
        self.workspaces.purge(&self.workspace).await.unwrap();
        self.workspaces.settled(&self.workspace).await;
        self.workspaces.shutdown().await;
        self.tasks.shutdown().await;
    }

    /// Returns the process of the workspace's agent.
    pub(crate) fn agent(&self) -> Pid {
        let folder = self.folder.path().join("workspaces");
        let file = folder.join(self.workspace.as_str()).join("run/agent.pid");
        let written: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let pid = written["pid"].as_i64().unwrap();
        Pid::from_raw(pid.try_into().unwrap())
    }

    /// Returns the host of an application of the workspace, with its port.
    pub(crate) fn host(&self, port: u16) -> String {
        format!("{port}--api--ada.localhost:{}", self.address.port())
    }

    /// Returns the dashboard's host, with its port.
    pub(crate) fn dashboard(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Signs somebody in, and returns the dashboard's cookie.
    pub(crate) async fn sign_in(&self, user: &User) -> (String, LoginId) {
        let secret = Secret::random("");
        let login = self
            .store
            .add_login(NewLogin {
                user,
                secret: &secret.hash(),
                method: Method::Password,
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                user_agent: "test",
            })
            .await
            .unwrap();
        (format!("__Host-devgate={}", secret.expose()), login.id)
    }

    /// Ends a login, and tells who watches it.
    pub(crate) async fn sign_out(&self, user: &User, login: &LoginId) {
        assert!(self.store.end_login(user, login).await.unwrap());
        self.sessions.recheck();
        assert!(!self.sessions.live(&Via::Login(login.clone())).await);
    }

    /// Makes an API token, as an `Authorization` header has it.
    pub(crate) async fn token(&self, user: &User, scope: devgate::identity::Scope) -> String {
        let secret = Secret::random("dgt_");
        let new = NewToken {
            user,
            secret: &secret.hash(),
            wish: TokenWish {
                name: "test",
                scope,
                narrowed_to: None,
                expires: None,
            },
        };
        self.store.add_token(new).await.unwrap().unwrap();
        format!("Bearer {}", secret.expose())
    }

    /// Starts one where everybody may open the port.
    pub(crate) async fn public(port: u16) -> Self {
        let gateway = Self::start().await;
        gateway.share(port, Visibility::Public).await;
        gateway
    }

    pub(crate) async fn share(&self, port: u16, visibility: Visibility) {
        let open = OpenPort {
            port,
            visibility,
            expires: None,
        };
        assert!(self.store.set_port(&self.workspace, &open).await.unwrap());
    }
}

fn agent() -> PathBuf {
    let folder = env::var_os("DEVGATE_BIN_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        let test = env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().to_owned()
    });
    let agent = folder.join("devgate-agent");
    assert!(
        agent.is_file(),
        "{} is missing: cargo build --workspace --bins",
        agent.display()
    );
    agent
}

fn show_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_test_writer()
            .with_env_filter(env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .init();
    });
}
