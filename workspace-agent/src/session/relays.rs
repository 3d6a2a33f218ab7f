//! What a session forwards beside its program: the client's authentication agent and
//! its X11 display.
//!
//! Their sockets live exactly as long as the session's channel.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::Accepted;
use devgate_protocol::frame::X11Request;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::forward::{Listener, SocketFile, loopback, relay};
use crate::process::{Environment, Exit, Program, Stdio};
use crate::startup::Offer;

/// Longest path that programs can connect to, in bytes (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Announcements that wait for the session's writer; more wait in their listeners.
const MAX_ANNOUNCED: usize = 4;

/// Displays that are tried; lower ones are left to real X servers, as sshd does.
const FIRST_DISPLAY: u16 = 10;
const MAX_DISPLAY: u16 = 999;

/// TCP port of the first display.
const X11_PORT: u16 = 6000;

/// How long xauth may take.
const XAUTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A session's listeners. Dropping it closes them and removes their files.
#[derive(Debug)]
pub(super) struct Relays {
    tasks: JoinSet<()>,
    tell: mpsc::Sender<Accepted>,
    announced: mpsc::Receiver<Accepted>,
    folders: Vec<Folder>,
    /// Lets the start-up use the authentication agent.
    offer: Option<Offer>,
}

impl Relays {
    pub(super) fn new() -> Self {
        let (tell, announced) = mpsc::channel(MAX_ANNOUNCED);
        Self {
            tasks: JoinSet::new(),
            tell,
            announced,
            folders: Vec::new(),
            offer: None,
        }
    }

    /// Returns the next connection to announce; waits for ever where nothing is
    /// forwarded. Cancel-safe.
    pub(super) async fn next(&mut self) -> Accepted {
        match self.announced.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    /// Forwards the client's authentication agent (`auth-agent-req@openssh.com`).
    pub(super) async fn add_auth_agent(
        &mut self,
        agent: &Agent,
        environment: &mut Environment,
    ) -> io::Result<()> {
        let folder = Folder::make(agent, "auth", "agent.sock")?;
        let path = folder.0.join("agent.sock");
        let socket = SocketFile::bind(&path).await?;
        environment.put("SSH_AUTH_SOCK", &path);
        self.add(agent, Listener::AuthAgent(socket), folder);
        self.offer = Some(agent.startup().offer(&path));
        Ok(())
    }

    /// Forwards the client's display (RFC 4254 §6.3).
    ///
    /// # Errors
    /// `NotFound` where the workspace has no xauth, `InvalidInput` where the request
    /// holds what xauth would take for commands.
    pub(super) async fn add_x11(
        &mut self,
        agent: &Agent,
        request: &X11Request,
        environment: &mut Environment,
    ) -> io::Result<()> {
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !plain(&request.protocol) || !plain(&request.cookie) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let xauth = environment
            .find_program("xauth")
            .ok_or(io::ErrorKind::NotFound)?;
        let (listeners, display) = (FIRST_DISPLAY..=MAX_DISPLAY)
            .find_map(|display| Some((loopback(X11_PORT + display).ok()?, display)))
            .ok_or(io::ErrorKind::AddrInUse)?;
        let screen = request.screen;
        let folder = Folder::make(agent, "x11", "Xauthority")?;
        let authority = folder.0.join("Xauthority");
        environment.put("XAUTHORITY", &authority);
        environment.put("DISPLAY", format!("localhost:{display}.{screen}"));
        let (protocol, cookie) = (&request.protocol, &request.cookie);
        // A client that connects to localhost looks for the cookie of the local display.
        let script = format!("add unix:{display}.{screen} {protocol} {cookie}\n");
        run_xauth(agent, &xauth, script.as_bytes(), environment).await?;
        self.add(agent, Listener::X11(listeners), folder);
        Ok(())
    }

    fn add(&mut self, agent: &Agent, listener: Listener, folder: Folder) {
        let waiting = Arc::clone(agent.waiting());
        let tell = self.tell.clone();
        self.tasks
            .spawn(async move { relay(&waiting, &listener, tell).await });
        self.folders.push(folder);
    }
}

/// A folder of mode 0700 and a name that can't be guessed; removed when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    /// Makes a folder in which `file` can be connected to: in the runtime folder, or
    /// where that is too deep among the temporary files.
    fn make(agent: &Agent, purpose: &str, file: &str) -> io::Result<Self> {
        let name = format!("{purpose}-{:016x}", rand::random::<u64>());
        let mut path = agent.config().runtime.join(&name);
        if path.join(file).as_os_str().len() > MAX_SOCKET_PATH {
            path = std::env::temp_dir().join(format!("devgate-{name}"));
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is a stale socket in a private folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Gives commands to xauth on its stdin, so that the cookie is no argument that other
/// users could see.
async fn run_xauth(
    agent: &Agent,
    xauth: &Path,
    script: &[u8],
    environment: &Environment,
) -> io::Result<()> {
    let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut to_stdin = fs::File::from(to_stdin);
    to_stdin.write_all(script)?; // far less than a pipe holds
    drop(to_stdin);
    let nowhere =
        || Ok::<OwnedFd, io::Error>(fs::File::options().write(true).open("/dev/null")?.into());
    let program = Program {
        file: CString::new(xauth.as_os_str().as_bytes())?,
        arguments: vec![c"xauth".into(), c"-q".into(), c"-".into()],
        environment: environment.to_c(),
        folder: c"/".into(),
        stdio: Stdio::Pipes {
            stdin,
            stdout: nowhere()?,
            stderr: nowhere()?,
        },
        inherited: None,
    };
    let (child, mut end) = agent.children().spawn(program).await?;
    match timeout(XAUTH_TIMEOUT, end.wait()).await {
        Ok(Exit::Status(0)) => Ok(()),
        Ok(_) => Err(io::Error::other("xauth failed")),
        Err(_) => {
            child.signal_group(rustix::process::Signal::KILL);
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}
