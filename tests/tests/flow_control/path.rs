//! Windows that are sized to the path.

use std::time::Duration;

use russh::{Channel, ChannelMsg, client};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::{connect, run};
use crate::server::Server;
use crate::{WINDOW, ends};

const MAX_WINDOW: usize = 16 << 20;

fn server() -> Server {
    Server::with(|config| config.max_window_size = u32::try_from(MAX_WINDOW).unwrap())
}

/// Carries bytes from one end to the other, each `delay` later.
async fn delay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    // Holds more than any window, so that the path never limits the speed.
    let (sender, mut receiver) = mpsc::channel(4096);
    let sending = async move {
        loop {
            let mut data = bytes::BytesMut::with_capacity(64 * 1024);
            match from.read_buf(&mut data).await {
                Ok(1..) if sender.send((Instant::now() + delay, data)).await.is_ok() => {}
                _ => return,
            }
        }
    };
    let receiving = async move {
        while let Some((at, data)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(sending, receiving);
}

/// A path with a round trip of 100 ms; `tasks` carries it.
fn long_path(tasks: &mut JoinSet<()>) -> (DuplexStream, DuplexStream) {
    let (near, near_end) = tokio::io::duplex(1 << 20);
    let (far, far_end) = tokio::io::duplex(1 << 20);
    let (near_reader, near_writer) = tokio::io::split(near_end);
    let (far_reader, far_writer) = tokio::io::split(far_end);
    let one_way = Duration::from_millis(50);
    tasks.spawn(delay(near_reader, far_writer, one_way));
    tasks.spawn(delay(far_reader, near_writer, one_way));
    (near, far)
}

/// Sends `total` bytes and returns the largest window that the client was given.
async fn upload(channel: Channel<client::Msg>, total: usize) -> usize {
    let (mut reader, writer) = channel.split();
    let sending = async {
        let data = bytes::Bytes::from(vec![0; 1 << 20]);
        for _ in 0..total >> 20 {
            writer.data_bytes(data.clone()).await.unwrap();
        }
        writer.eof().await.unwrap();
    };
    let receiving = async {
        let mut largest = 0;
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::WindowAdjusted { new_size } => largest = largest.max(new_size),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        usize::try_from(largest).unwrap()
    };
    ends(async { tokio::join!(sending, receiving).1 }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_grows_where_the_path_is_long() {
    let mut tasks = JoinSet::new();
    let (near, far) = long_path(&mut tasks);
    let server = server();
    server.attach(far);
    let client = connect(near).await;
    let largest = upload(run(&client, "exec cat > /dev/null").await, 128 << 20).await;
    assert!(
        largest > MAX_WINDOW / 2 && largest <= MAX_WINDOW,
        "{largest}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_of_a_program_that_is_behind_does_not_grow() {
    let mut tasks = JoinSet::new();
    let (near, far) = long_path(&mut tasks);
    let server = server();
    server.attach(far);
    let client = connect(near).await;
    let slow = "while [ $(head -c 262144 | wc -c) -gt 0 ]; do sleep 0.1; done";
    let largest = upload(run(&client, slow).await, 12 << 20).await;
    assert!(largest <= 2 * WINDOW, "{largest}");
}
