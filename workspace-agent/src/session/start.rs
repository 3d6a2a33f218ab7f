//! Starts a session's program.

use std::io;

use devgate_protocol::frame::Kind;
use devgate_protocol::{RefusalReason, SessionOpen};
use rustix::pipe::{PipeFlags, pipe_with};
use tracing::warn;

use super::output::Output;
use super::relays::Relays;
use super::setup::{AuthAgent, Setup, Stdin};
use crate::agent::Agent;
use crate::process::{Child, Descriptor, End, Environment, Line, Sort, Stdio, shell, terminal};

/// A program that runs, and everything that it is connected to.
pub(super) struct Session {
    pub(super) child: Child,
    pub(super) end: End,
    /// `None` where the client has ended it already.
    pub(super) stdin: Option<Descriptor>,
    pub(super) terminal: Option<Descriptor>,
    pub(super) outputs: [Output; 2],
    pub(super) relays: Relays,
}

/// The agent's ends of a program's descriptors.
struct Ends {
    stdin: Descriptor,
    terminal: Option<Descriptor>,
    outputs: [Output; 2],
}

/// Starts a program.
///
/// # Errors
/// What the person at the client is told, and its kind.
pub(super) async fn start(
    agent: &Agent,
    open: &SessionOpen,
    setup: Setup,
    program: Line,
) -> Result<Session, (RefusalReason, String)> {
    let failed = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock => {
                RefusalReason::ResourceShortage
            }
            _ => match error.raw_os_error() {
                Some(nix::libc::EMFILE | nix::libc::ENFILE | nix::libc::ENOSPC) => {
                    RefusalReason::ResourceShortage
                }
                _ => RefusalReason::Other,
            },
        };
        let shell = agent.shell().display();
        (
            reason,
            format!("can't run {shell} in the workspace: {error}"),
        )
    };
    let mut environment = Environment::new(agent, open, setup.variables);
    let mut relays = Relays::new();
    if setup.auth_agent == AuthAgent::Forwarded
        && let Err(error) = relays.add_auth_agent(agent, &mut environment).await
    {
        warn!(%error, "the authentication agent can't be forwarded");
    }
    if let Some(request) = &setup.x11
        && let Err(error) = relays.add_x11(agent, request, &mut environment).await
    {
        warn!(%error, "the X11 display can't be forwarded");
    }
    let (stdio, ends) = match &setup.terminal {
        Some(request) => {
            let terminal = terminal::open(request).map_err(failed)?;
            environment.put("TERM", &request.term);
            environment.put("SSH_TTY", &terminal.name);
            on_terminal(terminal).map_err(failed)?
        }
        None => on_pipes().map_err(failed)?,
    };
    let program = shell::prepare(agent, &program, &environment, stdio).map_err(failed)?;
    let (child, end) = agent.children().spawn(program).await.map_err(failed)?;
    let Ends {
        stdin,
        terminal,
        outputs,
    } = ends;
    let ended = setup.stdin == Stdin::Ended && terminal.is_none();
    Ok(Session {
        child,
        end,
        stdin: (!ended).then_some(stdin),
        terminal,
        outputs,
        relays,
    })
}

fn on_terminal(terminal: terminal::Terminal) -> io::Result<(Stdio, Ends)> {
    let master = Descriptor::new(terminal.master, Sort::Terminal)?;
    let ends = Ends {
        stdin: master.clone(),
        terminal: Some(master.clone()),
        outputs: [
            Output::new(Some(master), Kind::Data),
            Output::new(None, Kind::Stderr),
        ],
    };
    Ok((Stdio::Terminal(terminal.slave), ends))
}

fn on_pipes() -> io::Result<(Stdio, Ends)> {
    let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let output = |pipe, kind| {
        let pipe = Descriptor::new(pipe, Sort::Pipe)?;
        Ok::<_, io::Error>(Output::new(Some(pipe), kind))
    };
    let ends = Ends {
        stdin: Descriptor::new(to_stdin, Sort::Pipe)?,
        terminal: None,
        outputs: [
            output(from_stdout, Kind::Data)?,
            output(from_stderr, Kind::Stderr)?,
        ],
    };
    let theirs = Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    };
    Ok((theirs, ends))
}
