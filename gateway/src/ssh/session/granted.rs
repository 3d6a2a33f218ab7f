//! Which requests of a session channel are granted (RFC 4254 §6).
//!
//! Two go by it, each with its own account of the same requests in the same order: the
//! connection's handler, which answers at once, and the session, which leaves out what was
//! refused.

use devgate_protocol::environment::{Room, Taken};
use russh::{ChannelMsg, Sig};

use crate::identity::{SshAction, SshActions};
use crate::ssh::signals;

/// The one subsystem that there is.
const SUBSYSTEM: &str = "sftp";

/// A request that may be refused.
#[derive(Clone, Copy, Debug)]
pub(in crate::ssh) enum Request<'a> {
    /// `pty-req`.
    Pty,
    /// `x11-req`.
    X11,
    /// `auth-agent-req@openssh.com`.
    AuthAgent,
    /// `env`, its name and its value.
    Environment(&'a str, &'a str),
    /// `shell` or `exec`.
    Program,
    /// `subsystem`, its name.
    Subsystem(&'a str),
    /// `signal`.
    Signal(&'a Sig),
    /// `window-change`.
    WindowChange,
}

/// What was granted on one session channel, and so what may still be.
#[derive(Debug)]
pub(super) struct Granted {
    allowed: SshActions,
    /// What can be had once.
    had: Vec<SshAction>,
    environment: Room,
    is_started: bool,
    /// How many variables there was no room for.
    left_out: usize,
}

impl<'a> Request<'a> {
    /// Returns what a channel's message asks for, where that may be refused.
    pub(super) fn of(message: &'a ChannelMsg) -> Option<Self> {
        Some(match message {
            ChannelMsg::RequestPty { .. } => Self::Pty,
            ChannelMsg::RequestX11 { .. } => Self::X11,
            ChannelMsg::AgentForward { .. } => Self::AuthAgent,
            ChannelMsg::SetEnv {
                variable_name: name,
                variable_value: value,
                ..
            } => Self::Environment(name, value),
            ChannelMsg::RequestShell { .. } | ChannelMsg::Exec { .. } => Self::Program,
            ChannelMsg::RequestSubsystem { name, .. } => Self::Subsystem(name),
            ChannelMsg::Signal { signal } => Self::Signal(signal),
            _ => return None,
        })
    }
}

impl Granted {
    /// Nothing yet, of what is allowed.
    pub(super) fn within(allowed: SshActions) -> Self {
        Self {
            allowed,
            had: Vec::new(),
            environment: Room::default(),
            is_started: false,
            left_out: 0,
        }
    }

    /// Decides on a request, and notes what it is granted.
    ///
    /// What is for a program that is yet to start comes too late afterwards, and a signal
    /// too early before.
    pub(super) fn grant(&mut self, request: Request<'_>) -> bool {
        match request {
            Request::WindowChange => true,
            Request::Signal(signal) => self.is_started && signals::is_known(signal),
            _ if self.is_started => false,
            Request::Pty => self.once(SshAction::Pty),
            Request::X11 => self.once(SshAction::X11Forwarding),
            Request::AuthAgent => self.once(SshAction::AgentForwarding),
            Request::Environment(name, value) => {
                let taken = self.environment.take(name, value);
                self.left_out += usize::from(taken == Taken::TooMuch);
                taken == Taken::Yes
            }
            Request::Program | Request::Subsystem(SUBSYSTEM) => {
                self.is_started = true;
                true
            }
            Request::Subsystem(_) => false,
        }
    }

    fn once(&mut self, action: SshAction) -> bool {
        let granted = self.allowed.allows(action) && !self.had.contains(&action);
        if granted {
            self.had.push(action);
        }
        granted
    }

    /// Returns how many variables there was no room for.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: [Request<'static>; 4] = [
        Request::Pty,
        Request::X11,
        Request::AuthAgent,
        Request::Environment("A", "b"),
    ];

    #[test]
    fn what_can_be_had_once_is_and_nothing_is_once_the_program_was_asked_for() {
        let mut granted = Granted::within(SshActions::all());
        let answers = EARLY.map(|request| granted.grant(request));
        assert_eq!(answers, [true; 4]);
        let answers = EARLY.map(|request| granted.grant(request));
        assert_eq!(answers, [false, false, false, true]);
        assert!(granted.grant(Request::Program));
        let answers = EARLY.map(|request| granted.grant(request));
        assert_eq!(answers, [false; 4]);
        assert!(!granted.grant(Request::Program) && !granted.grant(Request::Subsystem("sftp")));
    }

    #[test]
    fn what_is_forbidden_is_never_granted() {
        let mut granted = Granted::within([SshAction::X11Forwarding].into_iter().collect());
        assert_eq!(
            EARLY.map(|request| granted.grant(request)),
            [false, true, false, true]
        );
    }

    #[test]
    fn an_unknown_subsystem_starts_nothing() {
        let mut granted = Granted::within(SshActions::all());
        assert!(!granted.grant(Request::Subsystem("netconf")));
        assert!(granted.grant(Request::Subsystem("sftp")));
        assert!(!granted.grant(Request::Subsystem("netconf")));
    }

    #[test]
    fn a_signal_is_for_a_program_and_one_that_there_is() {
        let mut granted = Granted::within(SshActions::all());
        assert!(!granted.grant(Request::Signal(&Sig::TERM)));
        assert!(granted.grant(Request::Program));
        for (name, known) in [("USR2", true), ("CONT", true), ("NONE", false), ("", false)] {
            let signal = Sig::Custom(name.to_owned());
            assert_eq!(granted.grant(Request::Signal(&signal)), known, "{name}");
        }
        assert!(granted.grant(Request::Signal(&Sig::TERM)));
    }
}
