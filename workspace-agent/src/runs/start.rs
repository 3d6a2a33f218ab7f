//! Starts a process, and connects it.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use devgate_protocol::SessionOpen;
use devgate_protocol::pipe::{Descriptor, Feed, Output, Sort};
use nix::libc;
use rustix::fs::{Access, access};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

use super::owner::Owner;
use super::request::{Plan, Stdin, What};
use super::ring::{Budget, Ring};
use super::run::{Parts, Run};
use super::{Reader, RunError};
use crate::agent::Agent;
use crate::process::{Environment, Line, Program, Stdio, shell, terminal};

/// Pieces of input that wait for the task that owns the process. Who sends more waits.
const MAX_INPUT: usize = 1;

/// The agent's ends of a process's descriptors.
struct Ends {
    feed: Feed,
    terminal: Option<Descriptor>,
    outputs: [Output; 2],
}

/// Starts a process. Its owner is to be run.
pub(super) async fn start(
    agent: &Agent,
    id: String,
    plan: Plan,
    reader: Reader,
    budget: &Budget,
) -> Result<(Arc<Run>, Owner), RunError> {
    check_folder(&plan.folder)?;
    let mut environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    let connected = match &plan.terminal {
        Some(request) => terminal::open(request).and_then(|terminal| {
            environment.put("TERM", &request.term);
            on_terminal(terminal)
        }),
        None => on_pipes(plan.stdin == Stdin::Open || plan.input.is_some()),
    };
    let (stdio, ends) = connected.map_err(cannot)?;
    environment.ask(plan.env);
    let mut program = prepare(agent, &plan.what, &environment, stdio)?;
    program.folder = text(plan.folder.as_os_str())?;
    let started = agent.children().spawn(program).await;
    let (child, end) = started.map_err(|error| cannot_run(agent, &plan.what, error))?;

    let takes_input = plan.terminal.is_some() || plan.stdin == Stdin::Open;
    let (sender, input) = mpsc::channel(MAX_INPUT);
    let outputs = [(); 2].map(|()| {
        let mut ring = Ring::new(plan.keep, budget.clone());
        if reader == Reader::Holds {
            ring.hold(Some(0));
        }
        ring
    });
    let is_on_terminal = ends.terminal.is_some();
    let run = Arc::new(Run::new(Parts {
        id,
        what: plan.shown,
        label: plan.label,
        cwd: plan.folder.to_string_lossy().into_owned(),
        child,
        outputs,
        terminal: ends.terminal,
        stdin: takes_input.then_some(sender),
    }));
    let outlived = agent.outlived().clone();
    let mut owner = Owner::new(
        Arc::clone(&run),
        end,
        ends.feed,
        ends.outputs,
        input,
        outlived,
        agent.config().mark(),
    );
    owner.limit = plan.limit;
    owner.is_on_terminal = is_on_terminal;
    if let Some(input) = plan.input {
        owner.give(Bytes::from(input));
        owner.end_input();
    }
    Ok((run, owner))
}

fn prepare(
    agent: &Agent,
    what: &What,
    environment: &Environment,
    stdio: Stdio,
) -> Result<Program, RunError> {
    let words = match what {
        What::Script(script) => {
            let line = Line::Command(Bytes::from(script.clone()));
            let prepared = shell::prepare(agent, &line, environment, stdio);
            return prepared.map_err(|error| cannot_run(agent, what, error));
        }
        What::Command(words) => words,
    };
    let name = words.first().map_or("", String::as_str);
    // A path is the kernel's to find, from where the program begins.
    let file = if name.contains('/') {
        text(OsStr::new(name))?
    } else {
        let file = environment.find_program(name).ok_or_else(|| {
            RunError::CannotStart(format!("there is no program {name:?} on PATH"))
        })?;
        text(file.as_os_str())?
    };
    let arguments: Result<_, _> = words.iter().map(|word| text(OsStr::new(word))).collect();
    Ok(Program {
        file,
        arguments: arguments?,
        environment: environment.to_c(),
        folder: c"/".into(),
        stdio,
        inherited: None,
    })
}

fn on_terminal(terminal: terminal::Terminal) -> io::Result<(Stdio, Ends)> {
    let master = Descriptor::new(terminal.master, Sort::Terminal)?;
    let ends = Ends {
        feed: Feed::new(Some(master.clone())),
        terminal: Some(master.clone()),
        outputs: [Output::new(Some(master)), Output::new(None)],
    };
    Ok((Stdio::Terminal(terminal.slave), ends))
}

fn on_pipes(reads: bool) -> io::Result<(Stdio, Ends)> {
    let ours = |pipe| Descriptor::new(pipe, Sort::Pipe).map(Some);
    let (from_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdin, to_stdin) = if reads {
        let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        (stdin, ours(to_stdin)?)
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let ends = Ends {
        feed: Feed::new(to_stdin),
        terminal: None,
        outputs: [
            Output::new(ours(from_stdout)?),
            Output::new(ours(from_stderr)?),
        ],
    };
    let theirs = Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    };
    Ok((theirs, ends))
}

/// Sees that a program can begin there: it would begin in `/` instead.
fn check_folder(folder: &Path) -> Result<(), RunError> {
    let shown = folder.display();
    let problem = if !folder.is_dir() {
        "there is no folder"
    } else if access(folder, Access::EXEC_OK).is_err() {
        "the workspace's user may not enter the folder"
    } else {
        return Ok(());
    };
    Err(RunError::CannotStart(format!(
        "{problem} {shown} to begin in"
    )))
}

fn text(text: &OsStr) -> Result<CString, RunError> {
    let text = CString::new(text.as_bytes());
    text.map_err(|_| RunError::BadCommand("what is run can't have a NUL in it".to_owned()))
}

fn cannot_run(agent: &Agent, what: &What, error: io::Error) -> RunError {
    let name = match what {
        What::Command(words) => words.first().map_or("", String::as_str).to_owned(),
        What::Script(_) => agent.shell().display().to_string(),
    };
    match cannot(error) {
        RunError::CannotStart(detail) => {
            RunError::CannotStart(format!("{name:?} can't be run: {detail}"))
        }
        other => other,
    }
}

fn cannot(error: io::Error) -> RunError {
    let is_shortage = matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC)
    );
    if is_shortage {
        return RunError::NoRoom(error);
    }
    RunError::CannotStart(match error.raw_os_error() {
        Some(libc::ENOENT) => "there is no such file, or what it names to run it is missing".into(),
        Some(libc::E2BIG) => "its arguments and variables are too long".into(),
        Some(libc::ENOEXEC) => "it is no program; a script begins with `#!`".into(),
        _ => error.to_string(),
    })
}
