//! A process, held by its descriptor: waiting for it and signalling it can never
//! hit another one that was given the same id later.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::drivers::Exit;

/// Tells one process from all others that ever had its id on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The process's id.
    pub(super) pid: u32,
    /// When it started, in ticks since the host did (proc(5), `stat` field 22).
    started: u64,
    /// Which start of the host that was (`/proc/sys/kernel/random/boot_id`).
    boot: String,
}

/// A process of this host, our child or not.
#[derive(Debug)]
pub(super) struct Process {
    identity: Identity,
    descriptor: AsyncFd<OwnedFd>,
    exit: OnceLock<Exit>,
}

impl Identity {
    /// Reads the identity of the process that has an id now.
    fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold anything; field 3 follows the last one.
        let started = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(22 - 3))
            .and_then(|field| field.parse().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable stat"))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self {
            pid,
            started,
            boot: boot.trim().to_owned(),
        })
    }
}

impl Process {
    /// Holds the process that has an id now, if it still runs. Needs tokio's
    /// context.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let process = Self::hold(pid)?;
        if process.has_ended() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(process)
    }

    /// Holds a child that wasn't waited for, even if it has ended. Needs tokio's
    /// context.
    pub(super) fn hold(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or(io::ErrorKind::NotFound)?;
        let descriptor =
            rustix::process::pidfd_open(raw, PidfdFlags::empty()).map_err(|error| {
                if error == rustix::io::Errno::SRCH {
                    io::ErrorKind::NotFound.into()
                } else {
                    io::Error::from(error)
                }
            })?;
        // Read after the descriptor was opened: where the process ended in between
        // and its id was given away, the descriptor says so.
        let identity = Identity::of(pid)?;
        Ok(Self {
            identity,
            descriptor: register(descriptor)?,
            exit: OnceLock::new(),
        })
    }

    /// Holds the process of that identity, if it still runs.
    pub(super) fn find(identity: &Identity) -> io::Result<Option<Self>> {
        match Self::open(identity.pid) {
            Ok(process) => Ok((process.identity == *identity).then_some(process)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Tells whether it has ended, reaped or not.
    pub(super) fn has_ended(&self) -> bool {
        let mut poll = [PollFd::new(self.descriptor.get_ref(), PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut poll, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Waits until it has ended, and tells how. Cancel-safe.
    pub(super) async fn ended(&self) -> io::Result<Exit> {
        // A descriptor that became readable stays so: nothing is cleared.
        let _ready = self.descriptor.readable().await?;
        Ok(self.reap())
    }

    /// Tells how it ended; a child is reaped, of another process nobody tells us.
    pub(super) fn reap(&self) -> Exit {
        *self.exit.get_or_init(|| {
            let id = WaitId::PidFd(self.descriptor.get_ref().as_fd());
            let status = rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            let Ok(Some(status)) = status else {
                return Exit::Unseen;
            };
            let exited = status.exit_status().map(Exit::Status);
            let killed = status.terminating_signal().map(Exit::Signal);
            exited.or(killed).unwrap_or(Exit::Unseen)
        })
    }

    /// Sends a signal; `Ok` where it has ended already.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(self.descriptor.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "registration asks for a promise about the descriptor that OwnedFd keeps"
)]
fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names one open descriptor for as long as it lives, and the
    // AsyncFd owns it from here on.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[expect(
        clippy::zombie_processes,
        reason = "waiting for it by its descriptor is what is tested"
    )]
    fn sleeper() -> Process {
        let child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Process::open(child.id()).unwrap()
    }

    #[tokio::test]
    async fn a_child_is_reaped_and_its_end_told_to_everyone_who_asks() {
        let process = sleeper();
        assert!(!process.has_ended());
        process.signal(Signal::TERM).unwrap();
        let (one, two) = tokio::join!(process.ended(), process.ended());
        assert_eq!(one.unwrap(), Exit::Signal(15));
        assert_eq!(two.unwrap(), Exit::Signal(15));
        process.signal(Signal::KILL).unwrap();
        assert!(Process::find(process.identity()).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_process_with_the_same_id_but_another_start_is_another_one() {
        let process = sleeper();
        let found = Process::find(process.identity()).unwrap();
        assert_eq!(found.map(|found| found.pid()), Some(process.pid()));
        let mut reused = process.identity().clone();
        reused.started -= 1;
        assert!(Process::find(&reused).unwrap().is_none());
        let mut rebooted = process.identity().clone();
        rebooted.boot = "another".into();
        assert!(Process::find(&rebooted).unwrap().is_none());
        process.signal(Signal::KILL).unwrap();
        process.ended().await.unwrap();
    }
}
