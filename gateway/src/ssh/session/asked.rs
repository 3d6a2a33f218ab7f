//! Which connections back to the client a session has asked for.
//!
//! A workspace isn't trusted with the client's authentication agent or its display:
//! what its agent announces goes through only where the client asked for it on that
//! channel.

use devgate_protocol::Originator;
use parking_lot::{Mutex, MutexGuard};
use russh::ChannelMsg;

use super::granted::{Granted, Request};
use crate::identity::SshActions;

/// What a client asked for on one session channel, and may have.
#[derive(Debug)]
pub(super) struct Asked {
    granted: Mutex<Granted>,
    wanted: Mutex<Wanted>,
}

#[derive(Debug, Default)]
struct Wanted {
    agent: Forwarding,
    x11: Forwarding,
}

/// Whether connections of a kind go to the client.
#[derive(Clone, Copy, Debug, Default)]
enum Forwarding {
    /// None was asked for.
    #[default]
    Refused,
    /// The next one does (RFC 4254 §6.3.1, `single connection`).
    Once,
    /// All do.
    Allowed,
}

impl Asked {
    /// Nothing yet, of what is allowed.
    pub(super) fn within(allowed: SshActions) -> Self {
        Self {
            granted: Mutex::new(Granted::within(allowed)),
            wanted: Mutex::default(),
        }
    }

    /// Notes what a request asks for, if anything. Returns whether it is granted: one that
    /// isn't goes no further, and its client was told.
    pub(super) fn note(&self, request: &ChannelMsg) -> bool {
        let may_be_refused = Request::of(request);
        if may_be_refused.is_some_and(|request| !self.granted.lock().grant(request)) {
            return false;
        }
        match request {
            ChannelMsg::AgentForward { .. } => self.lock().agent = Forwarding::Allowed,
            ChannelMsg::RequestX11 {
                single_connection, ..
            } => {
                self.lock().x11 = if *single_connection {
                    Forwarding::Once
                } else {
                    Forwarding::Allowed
                };
            }
            _ => {}
        }
        true
    }

    /// Returns how many variables there was no room for.
    pub(super) fn left_out(&self) -> usize {
        self.granted.lock().left_out()
    }

    /// Tells whether a connection that the agent announces was asked for, and counts
    /// it.
    pub(super) fn takes(&self, originator: &Originator) -> bool {
        let mut wanted = self.lock();
        let forwarding = match originator {
            Originator::AuthAgent => &mut wanted.agent,
            Originator::X11 { .. } => &mut wanted.x11,
            // They belong to listeners, which have streams of their own.
            Originator::Tcpip { .. } | Originator::Streamlocal => return false,
        };
        match *forwarding {
            Forwarding::Refused => false,
            Forwarding::Once => {
                *forwarding = Forwarding::Refused;
                true
            }
            Forwarding::Allowed => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SshAction;
    use std::net::{IpAddr, Ipv4Addr};

    const DISPLAY: Originator = Originator::X11 {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 6000,
    };

    fn x11(single_connection: bool) -> ChannelMsg {
        ChannelMsg::RequestX11 {
            want_reply: false,
            single_connection,
            x11_authentication_protocol: String::new(),
            x11_authentication_cookie: String::new(),
            x11_screen_number: 0,
        }
    }

    #[test]
    fn what_was_not_asked_for_is_not_taken() {
        let asked = Asked::within(SshActions::all());
        let tcpip = Originator::Tcpip {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 1,
        };
        for originator in [
            Originator::AuthAgent,
            DISPLAY,
            Originator::Streamlocal,
            tcpip.clone(),
        ] {
            assert!(!asked.takes(&originator), "{originator:?}");
        }
        asked.note(&ChannelMsg::AgentForward { want_reply: true });
        assert!(asked.takes(&Originator::AuthAgent) && asked.takes(&Originator::AuthAgent));
        assert!(!asked.takes(&DISPLAY) && !asked.takes(&tcpip));
    }

    #[test]
    fn what_is_not_allowed_is_neither_noted_nor_passed_on() {
        let asked = Asked::within([SshAction::X11Forwarding].into_iter().collect());
        assert!(!asked.note(&ChannelMsg::AgentForward { want_reply: true }));
        assert!(!asked.takes(&Originator::AuthAgent));
        assert!(asked.note(&x11(true)) && asked.takes(&DISPLAY));
        let shell = ChannelMsg::RequestShell { want_reply: true };
        assert!(asked.note(&shell));
    }

    #[test]
    fn a_single_connection_to_the_display_is_one() {
        let asked = Asked::within(SshActions::all());
        asked.note(&x11(true));
        assert!(asked.takes(&DISPLAY) && !asked.takes(&DISPLAY));
        assert!(!asked.note(&x11(false)) && !asked.takes(&DISPLAY));
        let asked = Asked::within(SshActions::all());
        asked.note(&x11(false));
        assert!(asked.takes(&DISPLAY) && asked.takes(&DISPLAY));
        assert!(!asked.takes(&Originator::AuthAgent));
    }
}
