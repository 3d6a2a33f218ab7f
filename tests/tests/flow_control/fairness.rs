//! How channels share a connection, by the order in which their data arrives.

use std::collections::HashMap;

use russh::{ChannelId, ChannelMsg, client};
use tokio::task::JoinSet;

use crate::client::{Arrivals, Client, connect_with, run};
use crate::ends;
use crate::server::Server;

/// A client and its server, with little in between: what a channel has to wait
/// for is in the server.
async fn pair() -> (Server, client::Handle<Client>, Arrivals) {
    let server = Server::new();
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    server.attach(theirs);
    let (client, arrivals) = connect_with(client::Config::default(), ours).await;
    (server, client, arrivals)
}

/// Opens `count` channels that have more to say than fits, and reads them.
async fn flood(client: &client::Handle<Client>, count: usize, reading: &mut JoinSet<()>) {
    for _ in 0..count {
        let mut channel = run(client, "flood").await;
        reading.spawn(async move { while channel.wait().await.is_some() {} });
    }
}

/// Waits until `wanted` says so of what arrived.
async fn arrive(arrivals: &Arrivals, wanted: impl Fn(&[(ChannelId, usize)]) -> bool) {
    ends(async {
        while !wanted(&arrivals.lock().unwrap()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn bytes(arrivals: &[(ChannelId, usize)]) -> usize {
    arrivals.iter().map(|(_, len)| len).sum()
}

#[tokio::test]
async fn a_keystroke_overtakes_what_busy_channels_have_queued() {
    for busy in [1, 20] {
        let (_server, client, arrivals) = pair().await;
        let mut reading = JoinSet::new();
        flood(&client, busy, &mut reading).await;
        let mut typing = run(&client, "echo").await;
        arrive(&arrivals, |seen| bytes(seen) > 4 << 20).await;
        let mut ahead = Vec::new();
        for _ in 0..50 {
            arrivals.lock().unwrap().clear();
            typing.data_bytes(&b"x"[..]).await.unwrap();
            while !matches!(ends(typing.wait()).await, Some(ChannelMsg::Data { .. })) {}
            let seen = arrivals.lock().unwrap();
            let echo = seen.iter().position(|(id, _)| *id == typing.id()).unwrap();
            ahead.push(bytes(&seen[..echo]));
        }
        ahead.sort_unstable();
        // Queued are 256 KiB a channel, and one that is alone has 1 MiB encrypted.
        assert!(
            ahead[25] < 512 << 10 && ahead[49] < 768 << 10,
            "{busy} busy: {ahead:?}"
        );
    }
}

#[tokio::test]
async fn busy_channels_get_equal_shares() {
    let (_server, client, arrivals) = pair().await;
    let mut reading = JoinSet::new();
    flood(&client, 8, &mut reading).await;
    let all_began = |seen: &[(ChannelId, usize)]| {
        seen.iter()
            .map(|(id, _)| id)
            .collect::<std::collections::HashSet<_>>()
            .len()
            == 8
    };
    arrive(&arrivals, all_began).await;
    arrivals.lock().unwrap().clear();
    arrive(&arrivals, |seen| bytes(seen) > 64 << 20).await;
    let mut shares = HashMap::<ChannelId, usize>::new();
    for (id, len) in arrivals.lock().unwrap().iter() {
        *shares.entry(*id).or_default() += len;
    }
    let (least, most) = (
        shares.values().min().unwrap(),
        shares.values().max().unwrap(),
    );
    assert!(shares.len() == 8 && *least * 5 > *most * 4, "{shares:?}");
}
