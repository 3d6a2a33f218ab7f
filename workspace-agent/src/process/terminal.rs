//! Pseudo-terminals.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use devgate_protocol::frame::{PtyRequest, Size};
use rustix::fd::AsFd;
use rustix::process::{Signal, kill_process_group};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Winsize, tcflush, tcgetattr,
    tcgetpgrp, tcsetattr, tcsetwinsize,
};

use super::modes;

/// Size of a terminal whose client gives it none, in cells.
pub(crate) const COLUMNS: u16 = 80;
pub(crate) const ROWS: u16 = 24;

/// What programs are told that a terminal is whose client says nothing: what browsers'
/// are like, and the agent's emulator.
pub(crate) const TERM: &str = "xterm-256color";

/// What stands for no character (`_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

/// A new terminal: both of its sides.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The agent's side. When it is closed the terminal is hung up.
    pub(crate) master: OwnedFd,
    /// The program's side.
    pub(crate) slave: OwnedFd,
    /// Its device, for `SSH_TTY`.
    pub(crate) name: OsString,
}

/// Opens a terminal of the size and in the modes that a client asks for.
pub(crate) fn open(request: &PtyRequest) -> io::Result<Terminal> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    // By descriptor: the device's path may lie in another mount namespace.
    let slave = ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    let mut termios = tcgetattr(&slave)?;
    modes::apply(&request.modes, &mut termios);
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    resize(&master, request.size)?;
    Ok(Terminal {
        master,
        slave,
        name: OsString::from_vec(name.into_bytes()),
    })
}

/// Sets a terminal's size. What doesn't fit is the largest that does.
pub(crate) fn resize(master: impl AsFd, size: Size) -> io::Result<()> {
    let clamp = |cells: u32| u16::try_from(cells).unwrap_or(u16::MAX);
    let size = Winsize {
        ws_col: clamp(size.columns),
        ws_row: clamp(size.rows),
        ws_xpixel: clamp(size.width),
        ws_ypixel: clamp(size.height),
    };
    Ok(tcsetwinsize(master, size)?)
}

/// Returns the characters that signal the terminal's foreground process group and throw
/// away what was typed before; none where it passes on all that is typed.
pub(crate) fn interrupts(master: impl AsFd) -> io::Result<Vec<u8>> {
    let modes = tcgetattr(master)?;
    if !modes.local_modes.contains(LocalModes::ISIG)
        || modes.local_modes.contains(LocalModes::NOFLSH)
    {
        return Ok(Vec::new());
    }
    let characters = [
        SpecialCodeIndex::VINTR,
        SpecialCodeIndex::VQUIT,
        SpecialCodeIndex::VSUSP,
    ];
    let characters = characters.map(|index| modes.special_codes[index]);
    Ok(characters
        .into_iter()
        .filter(|&it| it != DISABLED)
        .collect())
}

/// Throws away what was typed and isn't read, so that there is room.
pub(crate) fn discard_typed(master: impl AsFd) -> io::Result<()> {
    // What the master has written, and then what the terminal has taken of it.
    tcflush(&master, QueueSelector::OFlush)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    Ok(tcflush(slave, QueueSelector::IFlush)?)
}

/// Signals the terminal's foreground process group.
pub(crate) fn signal_foreground(master: impl AsFd, signal: Signal) -> io::Result<()> {
    Ok(kill_process_group(tcgetpgrp(master)?, signal)?)
}
