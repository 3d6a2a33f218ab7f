//! The ends of channels and connections: nothing is lost before them, and they
//! come.

use std::sync::Arc;
use std::time::Duration;

use russh::{ChannelMsg, ChannelOpenFailure, Disconnect, Error, client};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{connect, connect_with, run};
use crate::server::{Server, reaches};
use crate::{echo, ends};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_comes_first_then_exit_status_then_eof_then_close() {
    let server = Arc::new(Server::new());
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = Arc::new(connect(stream).await);
    let mut busy = run(&client, "flood").await;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            let mut channel = run(&client, "answer").await;
            let (mut output, mut order) = (Vec::new(), Vec::new());
            while let Some(message) = ends(channel.wait()).await {
                match message {
                    ChannelMsg::Data { data } if order.is_empty() => output.extend(data),
                    ChannelMsg::ExitStatus { exit_status: 7 } => order.push("exit-status"),
                    ChannelMsg::Eof => order.push("eof"),
                    ChannelMsg::Close => order.push("close"),
                    ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. } => {}
                    message => panic!("{message:?} after {order:?}"),
                }
            }
            assert_eq!(order, ["exit-status", "eof", "close"]);
            assert!(output == vec![b'a'; 100_000], "{} bytes", output.len());
        });
    }
    tokio::select! {
        () = async { while busy.wait().await.is_some() {} } => panic!("the busy channel ended"),
        done = async { while let Some(done) = tasks.join_next().await { done.unwrap(); } } => done,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_wants_no_more_sessions_gets_none() {
    let server = Arc::new(Server::new());
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let client = connect(stream).await;
    let mut open = run(&client, "answer").await;
    let asking = client.send_global_request("no-more-sessions@openssh.com", b"", true);
    let answer = ends(asking).await;
    assert!(answer.is_ok(), "{answer:?}");
    let another = ends(client.channel_open_session()).await;
    let prohibited = ChannelOpenFailure::AdministrativelyProhibited;
    assert!(
        matches!(another, Err(Error::ChannelOpenFailure(why)) if why == prohibited),
        "another session was opened"
    );
    // What is open goes on.
    while ends(open.wait()).await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exchanged_by_both_sides_in_the_middle() {
    let limit = |limits: &mut russh::Limits| {
        limits.rekey_write_limit = 1 << 20;
        limits.rekey_read_limit = 1 << 20;
    };
    let server = Arc::new(Server::with(|config| limit(&mut config.limits)));
    let stream = TcpStream::connect(server.listen().await).await.unwrap();
    let mut config = client::Config::default();
    limit(&mut config.limits);
    let (client, _) = connect_with(config, stream).await;
    let mut echoes = JoinSet::new();
    for _ in 0..4 {
        let (reader, writer) = tokio::io::split(run(&client, "echo").await.into_stream());
        echoes.spawn(echo(writer, reader, 16));
    }
    echoes.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_queued_goes_out_before_a_disconnect() {
    let server = Server::new();
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    server.attach(theirs);
    let client = connect(ours).await;
    let mut channel = run(&client, "ignore").await;
    let id = channel.id();
    let handle = server.handle();
    for _ in 0..8 {
        handle.data(id, vec![b'a'; 32 * 1024]).await.unwrap();
    }
    let reason = Disconnect::ByApplication;
    handle
        .disconnect(reason, "enough".into(), String::new())
        .await
        .unwrap();
    let mut received = 0;
    while let Some(message) = ends(channel.wait()).await {
        if let ChannelMsg::Data { data } = message {
            received += data.len();
        }
    }
    assert_eq!(received, 8 * 32 * 1024);
    reaches(&server.seen.ended, |count| *count == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_disconnected_ends_though_the_client_reads_nothing() {
    let server = Server::new();
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    server.attach(theirs);
    let (gate, transport) = gate::Gate::new(ours);
    let client = connect(transport).await;
    let _channel = run(&client, "flood").await;
    reaches(&server.seen.written, |count| *count > 64 * 1024).await;
    gate.shut();
    let reason = Disconnect::ByApplication;
    server
        .handle()
        .disconnect(reason, "enough".into(), String::new())
        .await
        .unwrap();
    let ended = reaches(&server.seen.ended, |count| *count == 1);
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("it waits for the client");
}

/// A transport whose reading can be stopped.
mod gate {
    use std::io;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

    pub(super) struct Gate(Arc<AtomicBool>);

    pub(super) struct Gated {
        shut: Arc<AtomicBool>,
        stream: DuplexStream,
    }

    impl Gate {
        pub(super) fn new(stream: DuplexStream) -> (Self, Gated) {
            let shut = Arc::new(AtomicBool::new(false));
            (Self(Arc::clone(&shut)), Gated { shut, stream })
        }

        pub(super) fn shut(&self) {
            self.0.store(true, Ordering::Release);
        }
    }

    impl AsyncRead for Gated {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.shut.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Gated {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(context, data)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }
}
