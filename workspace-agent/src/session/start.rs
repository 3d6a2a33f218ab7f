//! Starts a session's program.

use std::io;

use devgate_protocol::pipe::{Descriptor, Feed, Output, Sort};
use devgate_protocol::{RefusalReason, SessionOpen};
use rustix::pipe::{PipeFlags, pipe_with};
use tracing::warn;

use super::beside::Beside;
use super::output::Outputs;
use super::relays::Relays;
use super::setup::{AuthAgent, Pipes, Setup, Stdin};
use crate::agent::Agent;
use crate::process::{Child, End, Environment, Line, Stdio, shell, terminal};

/// A program that runs, and everything that it is connected to.
pub(super) struct Session {
    pub(super) child: Child,
    pub(super) end: End,
    pub(super) feed: Feed,
    pub(super) terminal: Option<Descriptor>,
    pub(super) outputs: Outputs,
    pub(super) relays: Relays,
}

/// The agent's ends of a program's descriptors.
struct Ends {
    feed: Feed,
    terminal: Option<Descriptor>,
    outputs: Outputs,
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
        let advice = match error.raw_os_error() {
            // execve(2), "Limits on size of arguments and environment".
            Some(nix::libc::E2BIG) => "; a variable may have 128 KiB: give it in a file",
            _ => "",
        };
        (
            reason,
            format!("can't run {shell} in the workspace: {error}{advice}"),
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
        None => on_pipes(setup.pipes).map_err(failed)?,
    };
    let program = shell::prepare(agent, &program, &environment, stdio).map_err(failed)?;
    let (child, end) = agent.children().spawn(program).await.map_err(failed)?;
    let Ends {
        mut feed,
        terminal,
        outputs,
    } = ends;
    if setup.stdin == Stdin::Ended {
        feed.end();
    }
    Ok(Session {
        child,
        end,
        feed,
        terminal,
        outputs,
        relays,
    })
}

fn on_terminal(terminal: terminal::Terminal) -> io::Result<(Stdio, Ends)> {
    let master = Descriptor::new(terminal.master, Sort::Terminal)?;
    let ends = Ends {
        feed: Feed::new(Some(master.clone())),
        terminal: Some(master.clone()),
        outputs: Outputs {
            stdout: Output::new(Some(master)),
            stderr: Output::new(None),
            beside: None,
            sort: Sort::Terminal,
        },
    };
    Ok((Stdio::Terminal(terminal.slave), ends))
}

/// Makes the pipes that the gateway hasn't made.
fn on_pipes(made: Option<Pipes>) -> io::Result<(Stdio, Ends)> {
    let ours = |pipe| Descriptor::new(pipe, Sort::Pipe).map(Some);
    let (from_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut beside = None;
    let (pipes, to_stdin, from_stdout) = if let Some(pipes) = made {
        // Where there is none its children are on their own.
        beside = Beside::of(&pipes.stdout).ok();
        (pipes, None, None)
    } else {
        let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (from_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        (Pipes { stdin, stdout }, ours(to_stdin)?, ours(from_stdout)?)
    };
    let ends = Ends {
        feed: Feed::new(to_stdin),
        terminal: None,
        outputs: Outputs {
            stdout: Output::new(from_stdout),
            stderr: Output::new(ours(from_stderr)?),
            beside,
            sort: Sort::Pipe,
        },
    };
    let theirs = Stdio::Pipes {
        stdin: pipes.stdin,
        stdout: pipes.stdout,
        stderr,
    };
    Ok((theirs, ends))
}
