//! Against the OpenSSH client.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use crate::client::{Master, ssh};
use crate::server::{Server, reaches};
use crate::{WINDOW, echo, ends};

/// What a channel may hold beyond its window: its queue, the connection's
/// output, the pipes and sockets on the way.
const SLACK: usize = 4 << 20;

async fn both_ways(address: SocketAddr, options: &[&str], blocks: u64) {
    let mut child = ssh(address)
        .args(options)
        .args(["127.0.0.1", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("no ssh: apt-get install openssh-client");
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    echo(stdin, stdout, blocks).await;
    assert!(ends(child.wait()).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_of_a_channel_are_byte_exact_at_once() {
    let server = Arc::new(Server::new());
    both_ways(server.listen().await, &[], 128).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_may_exchange_keys_in_the_middle() {
    let server = Arc::new(Server::new());
    both_ways(server.listen().await, &["-o", "RekeyLimit=1M"], 64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_may_exchange_keys_in_the_middle() {
    let server = Arc::new(Server::with(|config| {
        config.limits.rekey_write_limit = 1 << 20;
        config.limits.rekey_read_limit = 1 << 20;
    }));
    both_ways(server.listen().await, &[], 64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_read_holds_up_its_own_channel_only() {
    let server = Arc::new(Server::new());
    let master = Master::new(server.listen().await).await;
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let mut stalled = master.ssh("exec sleep 600").stdin(zero).spawn().unwrap();
    reaches(&server.seen.writers, |count| *count == 1).await;
    master.answers().await;
    stalled.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_stops_the_program_and_no_other_channel() {
    let server = Arc::new(Server::new());
    let master = Master::new(server.listen().await).await;
    let mut stalled = master.ssh("exec cat /dev/zero").spawn().unwrap(); // nobody reads it
    reaches(&server.seen.written, |count| *count >= WINDOW).await;
    master.answers().await;
    let written = *server.seen.written.borrow();
    assert!(written < WINDOW + SLACK, "{written} bytes went out");
    stalled.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_channels_get_through_beside_a_busy_one() {
    let server = Arc::new(Server::new());
    let master = Master::new(server.listen().await).await;
    let mut busy = master
        .ssh("exec cat /dev/zero")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    reaches(&server.seen.written, |count| *count >= 4 * WINDOW).await;
    master.answers().await;
    busy.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_of_a_client_that_was_killed_ends() {
    let server = Arc::new(Server::new());
    let mut client = ssh(server.listen().await)
        .args(["127.0.0.1", "exec cat /dev/zero"])
        .spawn()
        .unwrap();
    reaches(&server.seen.written, |count| *count >= WINDOW).await; // nobody reads it
    client.kill().await.unwrap();
    reaches(&server.seen.writers, |count| *count == 0).await;
    reaches(&server.seen.ended, |count| *count == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_of_a_channel_that_was_killed_ends() {
    let server = Arc::new(Server::new());
    let master = Master::new(server.listen().await).await;
    let mut client = master.ssh("exec cat /dev/zero").spawn().unwrap();
    reaches(&server.seen.written, |count| *count >= WINDOW).await; // nobody reads it
    client.kill().await.unwrap();
    reaches(&server.seen.writers, |count| *count == 0).await;
    master.answers().await;
}
