//! Fork and exec.
//!
//! The standard library's way can't make a program the leader of a session with a
//! controlling terminal without unsafe code either, and it waits for a child whose
//! execution failed, which the reaper may have taken. So the few system calls are
//! made here, between a fork and an exec, where only async-signal-safe ones are
//! allowed: everything that allocates is done before.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use nix::libc;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use super::Stdio;
use crate::init::is_first_process;

/// How much more a program is worth to the out-of-memory killer than the agent, in
/// thousandths of the memory that there is (proc(5), `oom_score_adj`): without its agent
/// a container ends. Raising it needs no privilege, and what a program starts has it too.
const OOM_SCORE: &CStr = c"300";

/// Where a process says that of itself.
const OOM_SCORE_FILE: &CStr = c"/proc/self/oom_score_adj";

/// A program to start, as the leader of a session and process group of its own.
#[derive(Debug)]
pub(crate) struct Program {
    /// The file to execute.
    pub(crate) file: CString,
    /// Its arguments, the first being its name.
    pub(crate) arguments: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub(crate) environment: Vec<CString>,
    /// Its working directory; where it is missing, `/`.
    pub(crate) folder: CString,
    /// Its first three descriptors.
    pub(crate) stdio: Stdio,
    /// One more descriptor that it inherits, under the number that it has here.
    pub(crate) inherited: Option<OwnedFd>,
}

/// Limit of open files that programs get: what the agent had before it raised its own.
static OPEN_FILES: OnceLock<Rlimit> = OnceLock::new();

/// Raises this process's own limit of open files as far as it may go; a stream takes a
/// few. Programs keep the limit that was.
pub fn raise_open_files() {
    let before = getrlimit(Resource::Nofile);
    if OPEN_FILES.set(before).is_ok() {
        let raised = Rlimit {
            current: before.maximum,
            maximum: before.maximum,
        };
        // Without it there are fewer streams, and running out of them is reported.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Makes the pipe through which a child that can't execute its program says why.
pub(super) fn report_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Waits until the child runs its program.
///
/// # Errors
/// The error of its execution.
pub(super) fn started(report: OwnedFd) -> io::Result<()> {
    let mut errno = [0; 4];
    match File::from(report).read_exact(&mut errno) {
        Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        // The pipe was closed by the execution.
        Err(_) => Ok(()),
    }
}

/// Forks, and executes the program in the child. The child writes the number of its
/// error to `failure` if that fails.
#[expect(
    unsafe_code,
    reason = "fork and exec: between them only async-signal-safe calls are made, on memory prepared before"
)]
pub(super) fn fork(program: &Program, failure: &OwnedFd) -> io::Result<Pid> {
    let arguments = pointers(&program.arguments);
    let environment = pointers(&program.environment);
    let limit = OPEN_FILES.get().map(|limit| libc::rlimit {
        rlim_cur: limit.current.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: limit.maximum.unwrap_or(libc::RLIM_INFINITY),
    });
    let terminal = matches!(program.stdio, Stdio::Terminal(_));
    let stdio: [RawFd; 3] = match &program.stdio {
        Stdio::Terminal(terminal) => [terminal.as_raw_fd(); 3],
        Stdio::Pipes {
            stdin,
            stdout,
            stderr,
        } => [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()],
    };
    let inherited = program.inherited.as_ref().map(AsRawFd::as_raw_fd);
    let failure = failure.as_raw_fd();
    let is_victim = is_first_process();

    // SAFETY: the pointers refer to null-terminated strings and arrays that live
    // through this function. The child calls only async-signal-safe functions and
    // never returns. Signals are blocked over the fork, so that none of this
    // process's handlers runs in the child, which shares its descriptors.
    let pid = unsafe {
        let mut every: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut every);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const every, &raw mut before);
        let pid = libc::fork();
        if pid == 0 {
            for signal in 1..=libc::SIGRTMAX() {
                libc::signal(signal, libc::SIG_DFL);
            }
            libc::sigemptyset(&raw mut every);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const every, ptr::null_mut());
            libc::setsid();
            if (!terminal || libc::ioctl(stdio[0], libc::TIOCSCTTY, 0) == 0)
                && libc::dup2(stdio[0], 0) == 0
                && libc::dup2(stdio[1], 1) == 1
                && libc::dup2(stdio[2], 2) == 2
            {
                if let Some(inherited) = inherited {
                    libc::fcntl(inherited, libc::F_SETFD, 0);
                }
                if let Some(limit) = &limit {
                    libc::setrlimit(libc::RLIMIT_NOFILE, limit);
                }
                if is_victim {
                    let file = libc::open(OOM_SCORE_FILE.as_ptr(), libc::O_WRONLY);
                    if file >= 0 {
                        let score = OOM_SCORE.to_bytes();
                        libc::write(file, score.as_ptr().cast(), score.len());
                        libc::close(file);
                    }
                }
                if libc::chdir(program.folder.as_ptr()) != 0 {
                    libc::chdir(c"/".as_ptr());
                }
                libc::execve(
                    program.file.as_ptr(),
                    arguments.as_ptr(),
                    environment.as_ptr(),
                );
            }
            let errno = *libc::__errno_location();
            libc::write(failure, (&raw const errno).cast(), size_of::<libc::c_int>());
            libc::_exit(127);
        }
        let forked = if pid < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(pid)
        };
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        forked?
    };
    Ok(Pid::from_raw(pid).expect("fork returns a positive number in the parent"))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|string| CStr::as_ptr(string));
    pointers.chain([ptr::null()]).collect()
}
