//! The requests that precede a session's program.

use std::io;
use std::os::fd::OwnedFd;

use devgate_protocol::ReadHalf;
use devgate_protocol::environment::{Room, Taken};
use devgate_protocol::frame::{Frame, FrameReader, PtyRequest, Variable, X11Request};
use tracing::debug;

use crate::process::Line;

/// What a client asked for before the program.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// The terminal, with its latest size.
    pub(super) terminal: Option<PtyRequest>,
    /// Variables in the client's order.
    pub(super) variables: Vec<Variable>,
    /// Whether the authentication agent is forwarded.
    pub(super) auth_agent: AuthAgent,
    /// The display that is forwarded.
    pub(super) x11: Option<X11Request>,
    /// Whether the client will send nothing.
    pub(super) stdin: Stdin,
    /// The program's ends of the pipes that the gateway has made.
    pub(super) pipes: Option<Pipes>,
    room: Room,
}

/// What the gateway writes to and reads from past the agent.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
}

/// Whether the client's authentication agent is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AuthAgent {
    /// It is not.
    #[default]
    Kept,
    /// It is.
    Forwarded,
}

/// Whether the client may still send data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stdin {
    /// It may.
    #[default]
    Open,
    /// It sent EOF.
    Ended,
}

/// The request that ends the preparation.
#[derive(Debug)]
pub(super) enum Request {
    /// `shell` or `exec`.
    Program(Line),
    /// `subsystem`, its name.
    Subsystem(String),
}

impl Setup {
    /// Gathers requests up to the one that starts something; `None` where the channel
    /// was closed without.
    pub(super) async fn read(
        &mut self,
        reader: &mut FrameReader<ReadHalf>,
    ) -> io::Result<Option<Request>> {
        loop {
            let Some(frame) = reader.next().await? else {
                return Ok(None);
            };
            match frame {
                Frame::Shell => return Ok(Some(Request::Program(Line::Login))),
                Frame::Exec(line) => return Ok(Some(Request::Program(Line::Command(line)))),
                Frame::Subsystem(name) => return Ok(Some(Request::Subsystem(name))),
                Frame::Pty(terminal) => self.terminal = Some(terminal),
                Frame::WindowChange(size) => {
                    if let Some(terminal) = &mut self.terminal {
                        terminal.size = size;
                    }
                }
                Frame::Environment(variable) => self.add(variable),
                Frame::AuthAgent => self.auth_agent = AuthAgent::Forwarded,
                Frame::X11(request) => self.x11 = Some(request),
                Frame::Eof => self.stdin = Stdin::Ended,
                // There is no program yet that could take them.
                other => debug!(frame = ?std::mem::discriminant(&other), "a frame came too early"),
            }
        }
    }

    fn add(&mut self, variable: Variable) {
        // The gateway has told its client, by the same rule.
        match self.room.take(&variable.name, &variable.value) {
            Taken::Yes => self.variables.push(variable),
            left => debug!(
                name = variable.name,
                ?left,
                "a client's variable was left out"
            ),
        }
    }
}
