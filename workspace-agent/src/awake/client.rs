//! `devgate keep-awake` inside a workspace: holds a lease for a time, or for as long as
//! a command runs.

use std::ffi::OsString;
use std::future::pending;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use devgate_protocol::{control, socket};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::SOCKET_VARIABLE;
use super::wish::{LONGEST, Reply, Until, Wish};

/// How long the agent may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Pause before an agent that went is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps this workspace from going to sleep.
#[derive(Debug, Args)]
pub struct KeepAwake {
    /// How long, at most: a whole number and a unit, as in 90s, 30m, 2h or 7d
    #[arg(value_name = "TIME", value_parser = seconds)]
    time: u64,
    /// What for, as others will see it [default: the command, if any]
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A command: the lease lasts as long as it runs, and no longer than TIME
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs it, and returns the status to end with.
pub async fn run(wanted: KeepAwake) -> Result<u8> {
    let socket = std::env::var_os(SOCKET_VARIABLE).map(PathBuf::from);
    let socket = socket.with_context(|| {
        format!("this isn't a program of a devgate workspace: {SOCKET_VARIABLE} is not set")
    })?;
    let reason = wanted.reason.unwrap_or_else(|| {
        let words = wanted.command.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    });
    let Some((program, arguments)) = wanted.command.split_first() else {
        let wish = Wish {
            seconds: wanted.time,
            reason,
            until: Until::Time,
        };
        ask(&socket, &wish).await?;
        return Ok(0);
    };
    let until = Instant::now() + Duration::from_secs(wanted.time);
    let held = ask(&socket, &for_command(until, &reason)).await?;
    let mut command = Command::new(program);
    command.args(arguments);
    let mut child = command
        .spawn()
        .with_context(|| format!("can't run {}", program.display()))?;
    // The terminal sends these to the command as well, which decides what they mean.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let keep = keep(&socket, held, until, &reason);
    tokio::pin!(keep);
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code(status?)),
            () = &mut keep => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => if let Some(pid) = child.id().and_then(raw) {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            },
        }
    }
}

fn for_command(until: Instant, reason: &str) -> Wish {
    let left = until.saturating_duration_since(Instant::now());
    Wish {
        seconds: left.as_secs().max(1),
        reason: reason.to_owned(),
        until: Until::Closed,
    }
}

/// Holds the lease, and takes it again from an agent that was started anew. Never
/// returns.
async fn keep(socket: &Path, mut held: UnixStream, until: Instant, reason: &str) {
    while Instant::now() < until {
        // The agent says nothing more: this is its end, or the lease's.
        let _ = held.read_u8().await;
        while Instant::now() < until {
            sleep(PAUSE).await;
            if let Ok(again) = ask(socket, &for_command(until, reason)).await {
                held = again;
                break;
            }
        }
    }
    pending::<()>().await;
}

/// Takes a lease.
async fn ask(socket: &Path, wish: &Wish) -> Result<UnixStream> {
    let asking = async {
        let mut stream = socket::connect(socket).await?;
        control::write(&mut stream, wish).await?;
        let reply: Option<Reply> = control::read(&mut stream).await?;
        Ok::<_, std::io::Error>((stream, reply))
    };
    let asked = timeout(ANSWER, asking)
        .await
        .map_err(|_| anyhow!("the workspace's agent doesn't answer"))?;
    let (stream, reply) = asked.context("can't reach the workspace's agent")?;
    match reply {
        Some(Reply::Held) => Ok(stream),
        Some(Reply::Refused(why)) => bail!("{why}"),
        None => bail!("the workspace's agent ended"),
    }
}

fn raw(pid: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.try_into().ok()?)
}

/// Returns what a shell makes of how a command ended.
fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

/// Reads a length of time, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(24 * 3600),
        _ => None,
    };
    let seconds = factor.and_then(|factor: u64| number.parse::<u64>().ok()?.checked_mul(factor));
    match seconds {
        Some(seconds) if (1..=LONGEST).contains(&seconds) => Ok(seconds),
        Some(_) => Err("a lease lasts from 1s to 7d".to_owned()),
        None => Err("write a whole number and a unit, as in 90s, 30m, 2h or 7d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_whole_number_and_a_unit() {
        for (text, wanted) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", LONGEST)] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "2",
            "h",
            "-2h",
            "2 h",
            "0s",
            "8d",
            "1.5h",
            "99999999999999999999h",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
