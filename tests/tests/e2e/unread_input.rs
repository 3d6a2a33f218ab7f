//! Input that a program doesn't read: what is no data doesn't wait behind it.

use e2e::over_both_reaches;
use e2e::target::Target;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, Pty, Sig};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::odd_clients::{RAW, connect, hear, rest, run, start};

/// More than a program's pipe or terminal and the queue before it hold, and less than a
/// window, in bytes.
const UNREAD: usize = 1_900_000;

/// More than anything on the way holds, in bytes.
const MORE: usize = 8 * 1024 * 1024;

/// Tells of signals as they come, and reads nothing before it is told to: by SIGUSR1 all, and
/// with an argument a line, once it was interrupted.
const DEAF: &str = r#"exec python3 -c '
import os, signal as s, sys
awaited = {s.SIGINT, s.SIGUSR1, s.SIGWINCH}
s.pthread_sigmask(s.SIG_BLOCK, awaited)
print("ready", flush=True)
while True:
    came = s.sigwait(awaited)
    if came == s.SIGWINCH:
        print(*reversed(os.get_terminal_size()), flush=True)
    elif came == s.SIGUSR1:
        print(len(sys.stdin.buffer.read()), flush=True)
        break
    else:
        print("int", flush=True)
        if sys.argv[1:]:
            print("got", sys.stdin.readline(), flush=True)
'"#;

/// Sends input: some at once, and what is returned goes on with more, and its end, for as
/// long as there is room for it.
async fn send_much(channel: &Channel<Msg>) -> JoinSet<std::io::Result<()>> {
    channel.data_bytes(vec![b'x'; UNREAD]).await.unwrap();
    let mut writer = channel.make_writer();
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        writer.write_all(&vec![b'x'; MORE]).await?;
        writer.shutdown().await
    });
    sending
}

/// Ends a program by a signal.
async fn terminate(mut channel: Channel<Msg>) {
    channel.signal(Sig::TERM).await.unwrap();
    let rest = rest(&mut channel).await;
    let is_end = |message: &ChannelMsg| {
        matches!(
            message,
            ChannelMsg::ExitSignal {
                signal_name: Sig::TERM,
                ..
            }
        )
    };
    assert!(rest.iter().any(is_end), "{rest:?}");
}

over_both_reaches! {
    fn signals_pass_what_a_program_does_not_read_of_a_pipe(target: &Target) {
        run(async {
            let client = connect(target).await;
            let mut channel = start(&client, None, DEAF).await;
            hear(&mut channel, "ready").await;
            let _sending = send_much(&channel).await;
            for _ in 0..3 {
                channel.signal(Sig::INT).await.unwrap();
                hear(&mut channel, "int").await;
            }
            terminate(channel).await;
        });
    }

    fn signals_and_sizes_pass_what_a_program_does_not_read_of_a_raw_terminal(target: &Target) {
        run(async {
            let client = connect(target).await;
            let mut channel = start(&client, Some(&RAW), DEAF).await;
            hear(&mut channel, "ready").await;
            let _sending = send_much(&channel).await;
            channel.signal(Sig::INT).await.unwrap();
            hear(&mut channel, "int").await;
            for columns in 100..400 {
                channel.window_change(columns, 40, 0, 0).await.unwrap();
            }
            hear(&mut channel, "40 399").await;
            terminate(channel).await;
        });
    }

    fn a_signal_passes_what_stands_still_both_ways(target: &Target) {
        run(async {
            let client = connect(target).await;
            for modes in [None, Some(&RAW[..])] {
                let channel = start(&client, modes, "exec cat").await;
                let _sending = send_much(&channel).await;
                terminate(channel).await;
            }
        });
    }

    fn input_is_whole_and_ends_where_a_program_reads_it_late(target: &Target) {
        run(async {
            let client = connect(target).await;
            let mut channel = start(&client, None, DEAF).await;
            hear(&mut channel, "ready").await;
            let _sending = send_much(&channel).await;
            channel.signal(Sig::USR1).await.unwrap();
            hear(&mut channel, &format!("{}\n", UNREAD + MORE)).await;
            let rest = rest(&mut channel).await;
            let is_success = |it: &ChannelMsg| matches!(it, ChannelMsg::ExitStatus { exit_status: 0 });
            assert!(rest.iter().any(is_success), "{rest:?}");
        });
    }

    fn an_interrupt_that_is_typed_passes_what_a_program_does_not_read(target: &Target) {
        run(async {
            let client = connect(target).await;
            let reads_late = format!("{DEAF} line");
            let silent = [(Pty::ECHO, 0)];
            let mut channel = start(&client, Some(&silent), &reads_late).await;
            hear(&mut channel, "ready").await;
            // More than a terminal holds.
            let typed = "old\n".repeat(16 * 1024) + "\x03";
            channel.data_bytes(typed.into_bytes()).await.unwrap();
            hear(&mut channel, "int").await;
            // As in any terminal, an interrupt throws away what was typed before.
            channel.data_bytes(&b"new\n"[..]).await.unwrap();
            hear(&mut channel, "got new").await;
        });
    }
}
