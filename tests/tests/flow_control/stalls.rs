//! Channels that stand still, in one direction or the other.

use std::sync::Arc;

use russh::ChannelMsg;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{connect, run};
use crate::server::{Server, reaches};
use crate::{WINDOW, echo, ends};

/// Neither side may wait for the other one to read before it reads itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_move_through_a_narrow_transport() {
    let server = Server::new();
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    server.attach(theirs);
    let client = connect(ours).await;
    let (reader, writer) = tokio::io::split(run(&client, "cat").await.into_stream());
    echo(writer, reader, 64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_channels_are_byte_exact_both_ways() {
    let server = Arc::new(Server::new());
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = connect(stream).await;
    let mut echoes = JoinSet::new();
    for _ in 0..200 {
        let (reader, writer) = tokio::io::split(run(&client, "cat").await.into_stream());
        echoes.spawn(echo(writer, reader, 2));
    }
    echoes.join_all().await;
}

/// A server that has nothing but `Handler::data` drops the channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_a_channel_that_was_dropped_gets_credit_on_receipt() {
    let server = Arc::new(Server::new());
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = connect(stream).await;
    let mut channel = run(&client, "count").await;
    let total = 10 * WINDOW;
    ends(channel.data_bytes(vec![b'.'; total - 1]))
        .await
        .unwrap();
    channel.data_bytes(&b"!"[..]).await.unwrap();
    loop {
        match ends(channel.wait()).await.unwrap() {
            ChannelMsg::Data { data } => break assert_eq!(data, total.to_string().as_bytes()),
            ChannelMsg::WindowAdjusted { .. } | ChannelMsg::Success => {}
            message => panic!("{message:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_nobody_reads_takes_its_window_and_holds_up_no_other() {
    let server = Arc::new(Server::with(|config| config.max_window_size = 16 << 20));
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = connect(stream).await;
    let ignored = run(&client, "ignore").await;
    ends(ignored.data_bytes(vec![0; WINDOW])).await.unwrap();
    let more = ignored.data_bytes(&b"more"[..]);
    let other = async {
        let (reader, writer) = tokio::io::split(run(&client, "cat").await.into_stream());
        echo(writer, reader, 8).await;
    };
    tokio::select! {
        _ = more => panic!("it took more than its window"),
        () = other => {}
    }
    // EOF and CLOSE get through although the data is unread.
    ignored.eof().await.unwrap();
    ignored.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handle_data_without_window_waits_and_holds_up_no_other_channel() {
    let server = Arc::new(Server::new());
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = connect(stream).await;
    let stalled = run(&client, "flood by handle").await; // nobody reads it
    // The client's window, and what a handle may queue for a channel.
    let limit = WINDOW + 64 * 32 * 1024;
    reaches(&server.seen.written, |count| *count >= limit).await;
    let (reader, writer) = tokio::io::split(run(&client, "cat").await.into_stream());
    echo(writer, reader, 8).await;
    let written = *server.seen.written.borrow() - (8 << 20);
    assert!(
        written <= limit + 2 * 32 * 1024,
        "{written} bytes were taken"
    );
    // Its writer ends with it.
    stalled.close().await.unwrap();
    reaches(&server.seen.writers, |count| *count <= 1).await;
}
