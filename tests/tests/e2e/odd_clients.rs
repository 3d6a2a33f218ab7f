//! Clients that do what the protocol allows and OpenSSH's doesn't do.

use std::sync::Arc;
use std::time::Duration;

use e2e::clients::{Errand, Library};
use e2e::over_both_reaches;
use e2e::process::signal;
use e2e::reach::Reach;
use e2e::target::Target;
use nix::sys::signal::Signal;
use russh::client::{self, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{Channel, ChannelMsg, Pty};
use tokio::runtime;
use tokio::time::timeout;

/// What is still going on by then is stuck.
const LIMIT: Duration = Duration::from_mins(2);

/// A terminal that passes on all that is typed, and shows all that is written, as it is.
pub(crate) const RAW: [(Pty, u32); 10] = [
    (Pty::ISIG, 0),
    (Pty::ICANON, 0),
    (Pty::IEXTEN, 0),
    (Pty::ECHO, 0),
    (Pty::ICRNL, 0),
    (Pty::INLCR, 0),
    (Pty::IGNCR, 0),
    (Pty::ISTRIP, 0),
    (Pty::IXON, 0),
    (Pty::OPOST, 0),
];

pub(crate) struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true) // it is on this machine, started by us
    }
}

/// Does what a client does, to its end.
#[track_caller]
pub(crate) fn run(work: impl Future<Output = ()>) {
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async { timeout(LIMIT, work).await.expect("stuck") });
}

/// Connects russh's own client, which does as it is told.
pub(crate) async fn connect(target: &Target) -> client::Handle<Client> {
    let access = target.access();
    let key = Arc::new(load_secret_key(&access.identity, None).unwrap());
    let key = PrivateKeyWithHashAlg::new(key, None);
    let connecting = client::connect(Arc::default(), access.address, Client);
    let mut client = connecting.await.unwrap();
    let signed_in = client.authenticate_publickey(access.user, key).await;
    assert!(signed_in.unwrap().success());
    client
}

/// Starts a program, on a terminal where there are modes for it, and waits for no answer.
pub(crate) async fn start(
    client: &client::Handle<Client>,
    modes: Option<&[(Pty, u32)]>,
    program: &str,
) -> Channel<Msg> {
    let channel = client.channel_open_session().await.unwrap();
    if let Some(modes) = modes {
        let asked = channel.request_pty(false, "dumb", 80, 24, 0, 0, modes);
        asked.await.unwrap();
    }
    channel.exec(false, program).await.unwrap();
    channel
}

/// Waits until the program, or the gateway on its behalf, has said something.
pub(crate) async fn hear(channel: &mut Channel<Msg>, text: &str) {
    let mut heard = Vec::new();
    while !e2e::process::contains(&heard, text.as_bytes()) {
        match channel.wait().await {
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                heard.extend_from_slice(&data);
            }
            Some(ChannelMsg::Close) | None => {
                panic!("no {text:?} in {:?}", String::from_utf8_lossy(&heard))
            }
            Some(_) => {}
        }
    }
}

/// Returns what comes up to the channel's end, but for what is said of its window.
pub(crate) async fn rest(channel: &mut Channel<Msg>) -> Vec<ChannelMsg> {
    let mut all = Vec::new();
    loop {
        match channel.wait().await {
            None | Some(ChannelMsg::Close) => return all,
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            Some(message) => all.push(message),
        }
    }
}

/// Returns a program's output and its exit status.
pub(crate) async fn result(channel: &mut Channel<Msg>) -> (Vec<u8>, Option<u32>) {
    let (mut output, mut status) = (Vec::new(), None);
    for message in rest(channel).await {
        match message {
            ChannelMsg::Data { data } => output.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    (output, status)
}

over_both_reaches! {
    fn what_is_typed_ahead_reaches_a_raw_terminal(target: &Target) {
        let _ = target.ssh().run("true").ok();
        let bytes: Vec<u8> = (0..=255).collect();
        run(async {
            let client = connect(target).await;
            for _ in 0..5 {
                let mut channel = start(&client, Some(&RAW), "exec head -c 256").await;
                channel.data_bytes(bytes.clone()).await.unwrap();
                assert_eq!(result(&mut channel).await, (bytes.clone(), Some(0)));
            }
        });
    }
}

#[test]
fn a_wait_is_ended_by_what_its_terminal_takes_for_an_interrupt() {
    let target = Target::devgate(Reach::Unix);
    let _ = target.ssh().run("true").ok();
    let agent = target.gateway().agent();
    run(async {
        let client = connect(&target).await;
        signal(agent, Signal::SIGSTOP);
        let mut usual = start(&client, Some(&[]), "cat").await;
        let mut other = start(&client, Some(&[(Pty::VINTR, 24)]), "cat").await;
        let mut raw = start(&client, Some(&RAW), "exec head -c 3").await;
        hear(&mut usual, "to start (Ctrl-C ends the wait)\r\n").await;
        hear(&mut other, "to start (Ctrl-X ends the wait)\r\n").await;
        hear(&mut raw, "to start\r\n").await;
        raw.data_bytes(&b"a\x03b"[..]).await.unwrap();
        usual.data_bytes(&b"\x03"[..]).await.unwrap();
        other.data_bytes(&b"\x03\x18"[..]).await.unwrap();
        for ended in [&mut usual, &mut other] {
            assert_eq!(result(ended).await, (Vec::new(), Some(130)));
        }
        signal(agent, Signal::SIGCONT);
        assert_eq!(result(&mut raw).await, (b"a\x03b".to_vec(), Some(0)));
    });
}

#[test]
fn nothing_but_a_status_follows_eof_where_an_agent_is_lost() {
    for reach in [Reach::Unix, Reach::Dial] {
        let target = Target::devgate(reach);
        run(async {
            let client = connect(&target).await;
            let silent = "exec >&- 2>&-; exec sleep 600";
            let mut channel = start(&client, None, silent).await;
            while !matches!(channel.wait().await.unwrap(), ChannelMsg::Eof) {}
            signal(target.gateway().agent(), Signal::SIGKILL);
            let rest = rest(&mut channel).await;
            let is_status = matches!(rest[..], [ChannelMsg::ExitStatus { exit_status: 255 }]);
            assert!(is_status, "{reach:?}: {rest:?}");
        });
    }
}

#[test]
fn no_warning_follows_the_eof_of_a_terminal() {
    let sleepy = [("DEVGATE_SLEEP_AFTER", "5s"), ("DEVGATE_SLEEP_WARN", "1s")];
    let target = Target::devgate_with(Reach::Unix, &sleepy);
    run(async {
        let client = connect(&target).await;
        let silent = "trap '' HUP; exec <&- >&- 2>&-; exec sleep 600";
        let mut channel = start(&client, Some(&[]), silent).await;
        while !matches!(channel.wait().await.unwrap(), ChannelMsg::Eof) {}
        // It ends once the workspace sleeps.
        let rest = rest(&mut channel).await;
        let is_end = |message: &ChannelMsg| {
            matches!(
                message,
                ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }
            )
        };
        assert!(rest.iter().all(is_end), "{rest:?}");
    });
}

#[test]
fn a_variable_that_no_program_can_be_given_is_told_with_another_way() {
    let target = Target::devgate(Reach::Unix);
    run(async {
        let client = connect(&target).await;
        let mut channel = client.channel_open_session().await.unwrap();
        let large = "x".repeat(128 * 1024);
        channel.set_env(false, "LARGE", large).await.unwrap();
        channel.exec(false, "true").await.unwrap();
        hear(&mut channel, "give it in a file").await;
        assert_eq!(result(&mut channel).await.1, Some(255));
    });
}

#[test]
fn odd_requests_are_answered_and_end_no_connection() {
    let target = Target::devgate(Reach::Unix);
    let errand = Errand::new(&target, &target.access().identity);
    let steps = errand.run(Library::Python("odd_client.py"), &[]);
    let expected = ["requests", "modes", "channels", "listeners", "alive"];
    assert_eq!(steps, expected);
}
