//! Streams, and tunnels that come and go.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use devgate::identity::Role;
use devgate::secrets::{Holder, Seal, SecretName, Vault, Wanted};
use devgate::store::Store;
use devgate::tunnel::TunnelError;
use devgate::workspaces::{Blueprint, Intent};
use devgate_certs::{Authority, Clock, client_config, validity};
use devgate_protocol::config::DataTransport;
use devgate_protocol::{Answer, Open, RefusalReason, Secret, Stream};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::parts::{
    Gateway, KINDS, Kind, Workspace, authority, echo, round_trip, soon, speak_first, target,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_carry_bytes_and_half_closes_both_ways_over_every_kind_of_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let speak_first = target(&mut targets, speak_first).await;
    for kind in KINDS {
        let workspace = Workspace::connect(&gateway, kind).await;
        let (stream, answer) = soon(gateway.tunnels.open(&workspace.id, &echo))
            .await
            .unwrap();
        assert_eq!(answer, Answer::Opened);
        let past_the_agent = matches!(stream, Stream::Handed(_));
        assert_eq!(past_the_agent, kind == Kind::Local);
        let bytes = (0..3_000_001_u32).map(|n| n.to_be_bytes()[3]).collect();
        soon(round_trip(stream, bytes)).await;

        let opened = soon(gateway.tunnels.open(&workspace.id, &speak_first)).await;
        let (mut stream, _) = opened.unwrap();
        let mut first = Vec::new();
        soon(stream.read_to_end(&mut first)).await.unwrap();
        assert_eq!(first, b"hello", "{kind:?}");
        stream.write_all(b"goodbye").await.unwrap();
        stream.shutdown().await.unwrap();

        let nobody = Open::DirectTcpip {
            host: "127.0.0.1".into(),
            port: 1,
        };
        match soon(gateway.tunnels.open(&workspace.id, &nobody)).await {
            Err(TunnelError::Refused(refusal)) => {
                assert_eq!(refusal.reason, RefusalReason::ConnectFailed);
            }
            other => panic!("{other:?}"),
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_knows_what_it_is_told_anew_over_every_kind_of_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let store = Store::open(&root.path().join("devgate.db")).await.unwrap();
    let ada = store.add_user(&"ada".parse().unwrap(), Role::Admin).await;
    let ada = ada.unwrap();
    let token: SecretName = "TOKEN".parse().unwrap();
    let wanted = vec![Wanted::as_variable(token.clone())];
    let vault = Vault::new(
        store.clone(),
        Seal::open(root.path(), 0).unwrap(),
        wanted,
        None,
    );
    gateway.tunnels.tell_secrets_of(vault.clone());
    for (number, kind) in KINDS.into_iter().enumerate() {
        let name = format!("w{number}").parse().unwrap();
        let made = store.add_workspace(&ada, &name, Blueprint::default(), Intent::Stop);
        let id = made.await.unwrap().workspace.id;
        let told = soon(gateway.tunnels.tell(&id)).await;
        assert!(matches!(told, Err(TunnelError::NotConnected)), "{told:?}");
        let workspace = Workspace::connect_as(id, &gateway, kind).await;
        let value = Secret::new(format!("value-{number}"));
        let holder = Holder::User(ada.id.clone());
        vault.set(&holder, &token, &value).await.unwrap();
        soon(gateway.tunnels.tell(&workspace.id)).await.unwrap();
        let known = workspace.agent.secrets();
        assert_eq!(known.variables()[0].1, value, "{kind:?}");
        assert_eq!(known.environment()["DEVGATE_OWNER"], "ada");
        assert_eq!(known.environment()["DEVGATE_WORKSPACE"], name.as_str());
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_a_hundred_streams_gets_a_hundred_connections() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    for kind in KINDS {
        let workspace = Workspace::connect(&gateway, kind).await;
        let opening = (0..100).map(|_| gateway.tunnels.open(&workspace.id, &echo));
        let opened = soon(futures_util::future::join_all(opening)).await;
        let trips = opened.into_iter().enumerate().map(|(n, opened)| {
            let (stream, _) = opened.unwrap();
            round_trip(stream, vec![u8::try_from(n).unwrap(); 10_000])
        });
        soon(futures_util::future::join_all(trips)).await;
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_comes_back_after_its_gateway_vanished_and_its_streams_live_on() {
    let root = tempfile::tempdir().unwrap();
    let authority = authority(root.path());
    let gateway = Gateway::start(Arc::clone(&authority), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let workspace = Workspace::connect(&gateway, Kind::Dialled(DataTransport::Auto)).await;
    let (stream, _) = soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();

    let address = gateway.address.to_string();
    let tunnels = gateway.tunnels.clone();
    gateway.end().await;
    soon(tunnels.disconnected(&workspace.id)).await;
    let refused = tunnels.open(&workspace.id, &echo).await;
    assert!(matches!(refused, Err(TunnelError::NotConnected)));

    let again = Gateway::start(authority, &address).await;
    soon(again.tunnels.connected(&workspace.id)).await;
    soon(round_trip(stream, b"begun before".to_vec())).await;
    let (stream, _) = soon(again.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    soon(round_trip(stream, b"begun after".to_vec())).await;
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_agent_that_ends_is_noticed_at_once_and_ends_its_streams() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let mut workspace = Workspace::connect(&gateway, Kind::Local).await;
    let opened = soon(gateway.tunnels.open(&workspace.id, &echo)).await;
    let (mut stream, _) = opened.unwrap();
    workspace.stop.cancel();
    workspace.agent.close().await;
    while workspace.tasks.join_next().await.is_some() {}
    let gone = gateway.tunnels.disconnected(&workspace.id);
    timeout(Duration::from_secs(5), gone).await.unwrap();
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_told_to_go_away_takes_no_streams_and_ends_none() {
    let root = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut targets = JoinSet::new();
    let echo = target(&mut targets, echo).await;
    let workspace = Workspace::connect(&gateway, Kind::Dialled(DataTransport::Auto)).await;
    let (stream, _) = soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    gateway.accepts.store(false, Ordering::SeqCst);
    let local = Workspace::connect(&gateway, Kind::Local).await;
    gateway.tunnels.go_away();
    let refused = gateway.tunnels.open(&workspace.id, &echo).await;
    assert!(matches!(refused, Err(TunnelError::GoingAway)));
    // The gateway dials this one itself.
    soon(gateway.tunnels.open(&local.id, &echo)).await.unwrap();
    soon(round_trip(stream, b"still here".to_vec())).await;

    gateway.accepts.store(true, Ordering::SeqCst);
    soon(gateway.tunnels.connected(&workspace.id)).await;
    soon(gateway.tunnels.open(&workspace.id, &echo))
        .await
        .unwrap();
    gateway.tunnels.forget(&workspace.id);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_past_two_thirds_of_its_life_is_renewed_over_the_tunnel() {
    let root = tempfile::tempdir().unwrap();
    let clock = Clock::from_fn(|| OffsetDateTime::now_utc() - time::Duration::days(25));
    let folder = root.path().join("certs");
    let past = Authority::open_at(&folder, clock).unwrap();
    let gateway = Gateway::start(authority(root.path()), "127.0.0.1:0").await;
    let mut workspace = Workspace::new();
    let old = past.issue_agent(workspace.id.as_str()).unwrap();
    workspace.install(past.ca_pem(), &old);
    let key = std::fs::read_to_string(workspace.file("agent.key")).unwrap();
    workspace.dial(gateway.address, DataTransport::Auto);

    let renewed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let now = std::fs::read_to_string(workspace.file("agent.key")).unwrap();
            if now != key && !now.contains(&key) {
                return now;
            }
        }
    };
    let key = soon(renewed).await;
    let chain = std::fs::read_to_string(workspace.file("agent.pem")).unwrap();
    assert!(validity(&chain).unwrap().not_after > validity(&old.chain_pem).unwrap().not_after);
    client_config(past.ca_pem(), &chain, &key).unwrap();
    gateway.end().await;
}
