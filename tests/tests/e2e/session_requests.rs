//! What the requests of a session channel are answered (RFC 4254 §6): a success only where
//! something comes of them.

use e2e::reach::Reach;
use e2e::servers;
use e2e::target::Target;
use russh::client::Msg;
use russh::{Channel, ChannelMsg};

use crate::odd_clients::{connect, hear, rest, result, run, start};

/// How long each of many variables is.
const LARGE: usize = 20_000;

/// Waits for the answers to requests.
async fn answers(channel: &mut Channel<Msg>, count: usize) -> Vec<bool> {
    let mut answers = Vec::new();
    while answers.len() < count {
        match channel.wait().await.expect("the channel is open") {
            ChannelMsg::Success => answers.push(true),
            ChannelMsg::Failure => answers.push(false),
            ChannelMsg::WindowAdjusted { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    answers
}

/// Asks for everything that comes before a program, and returns the answers.
async fn ask_for_all(channel: &mut Channel<Msg>) -> Vec<bool> {
    channel
        .request_pty(true, "dumb", 80, 24, 0, 0, &[])
        .await
        .unwrap();
    channel.agent_forward(true).await.unwrap();
    let cookie = ("MIT-MAGIC-COOKIE-1", "00112233445566778899aabbccddeeff");
    channel
        .request_x11(true, false, cookie.0, cookie.1, 0)
        .await
        .unwrap();
    for name in ["LC_FIRST", "LD_PRELOAD", "DEVGATE_WORKSPACE"] {
        channel.set_env(true, name, "x").await.unwrap();
    }
    answers(channel, 6).await
}

#[test]
fn what_comes_to_nothing_is_answered_with_a_failure() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        let first = ask_for_all(&mut channel).await;
        assert_eq!(first, [true, true, true, true, false, false]);
        // Each of these can be had once.
        let second = ask_for_all(&mut channel).await;
        assert_eq!(second, [false, false, false, true, false, false]);
        let command =
            "stty -echo; read line; stty size; echo $LC_FIRST$LD_PRELOAD; test $SSH_AUTH_SOCK";
        channel.exec(true, command).await.unwrap();
        assert_eq!(answers(&mut channel, 1).await, [true]);
        // Its program doesn't get any of these any more.
        assert_eq!(ask_for_all(&mut channel).await, [false; 6]);
        channel.exec(true, "true").await.unwrap();
        channel.request_shell(true).await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        channel.request_subsystem(true, "other").await.unwrap();
        assert_eq!(answers(&mut channel, 4).await, [false; 4]);
        channel.data_bytes(&b"go on\n"[..]).await.unwrap();
        hear(&mut channel, "24 80\r\nx\r\n").await;
        assert_eq!(result(&mut channel).await.1, Some(0));
    });
}

#[test]
fn a_channel_that_is_no_session_is_granted_nothing() {
    let target = Target::devgate(Reach::Unix);
    let echo = servers::echo("127.0.0.1:0");
    run(async {
        let client = connect(&target).await;
        let port = u32::from(echo.port());
        let opening = client.channel_open_direct_tcpip("127.0.0.1", port, "127.0.0.1", 1);
        let mut channel = opening.await.unwrap();
        assert_eq!(ask_for_all(&mut channel).await, [false; 6]);
        channel.exec(true, "true").await.unwrap();
        assert_eq!(answers(&mut channel, 1).await, [false]);
        channel.data_bytes(&b"as before"[..]).await.unwrap();
        let said = channel.wait().await;
        assert!(matches!(said, Some(ChannelMsg::Data { data }) if data == "as before"));
    });
}

#[test]
fn an_unknown_subsystem_fails_and_its_channel_goes_on() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        channel.request_subsystem(true, "netconf").await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        assert_eq!(answers(&mut channel, 2).await, [false, true]);
        channel.close().await.unwrap();
        assert!(rest(&mut channel).await.is_empty());
    });
    let done = target.ssh().args(["-s"]).run("netconf");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    assert!(done.err().contains("subsystem request failed"), "{done:?}");
}

#[test]
fn a_mebibyte_of_environment_reaches_the_program_and_what_is_beyond_is_refused() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        for number in 0..60 {
            let name = format!("LARGE_{number}");
            channel
                .set_env(true, name, "x".repeat(LARGE))
                .await
                .unwrap();
        }
        let taken = answers(&mut channel, 60).await;
        assert!(taken[..52].iter().all(|taken| *taken), "{taken:?}");
        assert!(taken[52..].iter().all(|taken| !taken), "{taken:?}");
        // There is room for small ones still.
        channel.set_env(true, "SMALL", "here").await.unwrap();
        let count = "env | grep -c ^LARGE_; echo $SMALL";
        channel.exec(true, count).await.unwrap();
        assert_eq!(answers(&mut channel, 2).await, [true; 2]);
        hear(&mut channel, "8 variables were left out").await;
        assert_eq!(
            result(&mut channel).await,
            (b"52\nhere\n".to_vec(), Some(0))
        );
    });
}

#[test]
fn who_asks_for_no_answer_is_told_all_the_same_of_environment_that_is_left_out() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        for number in 0..200 {
            let name = format!("LARGE_{number}");
            channel
                .set_env(false, name, "x".repeat(LARGE))
                .await
                .unwrap();
        }
        channel.exec(false, "env | grep -c ^LARGE_").await.unwrap();
        hear(&mut channel, "148 variables were left out").await;
        assert_eq!(result(&mut channel).await, (b"52\n".to_vec(), Some(0)));
    });
}

#[test]
fn whoever_sends_too_much_before_the_program_learns_why_nothing_runs() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        for _ in 0..24 {
            channel.data_bytes(vec![0; 128 * 1024]).await.unwrap();
        }
        channel.exec(true, "true").await.unwrap();
        // Some clients wait for ever for an answer to their request.
        assert_eq!(answers(&mut channel, 1).await, [true]);
        hear(&mut channel, "more than a session can hold").await;
        assert_eq!(result(&mut channel).await.1, Some(255));
        let mut other = start(&client, None, "echo here").await;
        assert_eq!(result(&mut other).await, (b"here\n".to_vec(), Some(0)));
    });
}
