//! A terminal with a screen that a test can read: tmux, with a server of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::component::program;
use crate::process::{Finished, run};
use crate::wait::{SOON, eventually};

/// One terminal, in which one program runs.
pub struct Terminal {
    socket: PathBuf,
    /// Where the program's exit status is written. tmux 3.3 knows it as well, but
    /// now and then overlooks that its child has ended.
    ended: PathBuf,
}

impl Terminal {
    /// Starts `command` (of a shell) in a terminal of `columns` × `rows` cells.
    #[track_caller]
    pub fn start(folder: &Path, command: &str, columns: u16, rows: u16) -> Self {
        let terminal = Self {
            socket: folder.join("tmux.sock"),
            ended: folder.join("tmux.ended"),
        };
        fs::remove_file(&terminal.ended).ok();
        let command = format!("{command}; echo $? >{}", terminal.ended.display());
        let _ = terminal
            .tmux(&[
                "new-session",
                "-d",
                "-x",
                &columns.to_string(),
                "-y",
                &rows.to_string(),
                &command,
                ";",
                "set",
                "-g",
                "remain-on-exit",
                "on",
                ";",
                "set",
                "-g",
                "status",
                "off",
                ";",
                "set",
                "-g",
                "window-size",
                "manual",
            ])
            .ok();
        terminal
    }

    /// Types keys, by tmux's names (`C-c`, `Enter`) or as text.
    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys"];
        args.extend(keys);
        let _ = self.tmux(&args).ok();
    }

    /// Types a line.
    #[track_caller]
    pub fn line(&self, text: &str) {
        let _ = self.tmux(&["send-keys", "-l", text]).ok();
        self.keys(&["Enter"]);
    }

    /// Changes the size.
    #[track_caller]
    pub fn resize(&self, columns: u16, rows: u16) {
        let _ = self
            .tmux(&[
                "resize-window",
                "-x",
                &columns.to_string(),
                "-y",
                &rows.to_string(),
            ])
            .ok();
    }

    /// Returns the screen, and what has scrolled out of it.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-200"])
            .ok()
            .out()
    }

    /// Waits until a line of the screen is exactly `text`, and returns the screen.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> String {
        self.wait(&format!("the line {text:?}"), |screen| {
            screen.lines().any(|line| line.trim_end() == text)
        })
    }

    /// Waits until the screen satisfies `done`, and returns it.
    #[track_caller]
    pub fn wait(&self, what: &str, mut done: impl FnMut(&str) -> bool) -> String {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(SOON, what, || {
                last = self.screen();
                done(&last).then_some(())
            });
        }));
        assert!(found.is_ok(), "no {what} on the screen:\n{last}");
        last
    }

    /// Waits until the program has ended and returns its exit status.
    #[track_caller]
    pub fn wait_for_end(&self) -> i32 {
        let mut status = None;
        self.wait("end of the terminal's program", |_| {
            let said = fs::read_to_string(&self.ended).unwrap_or_default();
            status = said.strip_suffix('\n').and_then(|said| said.parse().ok());
            status.is_some()
        });
        status.expect("it was waited for")
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(program("tmux"));
        command
            .env_remove("TMUX")
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .arg("-S")
            .arg(&self.socket)
            .args(["-f", "/dev/null"])
            .args(args);
        run(&mut command, b"", Duration::from_secs(20))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new(program("tmux"));
        command
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .stderr(std::process::Stdio::null());
        command.status().ok();
    }
}
