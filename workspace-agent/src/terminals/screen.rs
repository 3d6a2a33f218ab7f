//! One terminal's screen and who looks at it.
//!
//! Each client has a window: output that it hasn't acknowledged as drawn. A client
//! whose window is full is left out while others go on, and gets the whole screen
//! once it has caught up; where all are full nothing is taken from the program, which
//! then waits for its terminal. Without clients the emulator takes everything.
//!
//! Invariants: a client that isn't left out has been given every byte since its last
//! repaint; no client owes more than its window or one repaint.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::emulator::{Cells, Emulator};
use super::replies::{Sent, classify};

/// Most output that a client may owe, in bytes.
pub(crate) const WINDOW: u64 = 256 * 1024;

/// What a client may owe when it is painted anew, in bytes.
const CAUGHT_UP: u64 = WINDOW / 2;

/// Names one client of one terminal.
pub(crate) type ClientId = u64;

/// What is to be sent to a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Its new size, to be set before the output.
    pub(crate) size: Option<Cells>,
    /// Output.
    pub(crate) bytes: Vec<u8>,
    /// The new title.
    pub(crate) title: Option<String>,
    /// The status that the program ended with, after all its output.
    pub(crate) exit: Option<u32>,
}

#[derive(Debug)]
struct Client {
    wants: Option<Cells>,
    waiting: Outgoing,
    /// Bytes that it was given, in all; what waits is among them.
    given: u64,
    /// Bytes of those that it has drawn.
    drawn: u64,
    /// Whether it misses output.
    behind: bool,
    /// Whether it waits for the program to read: then it can't acknowledge.
    typing: bool,
    wake: Arc<Notify>,
}

impl Client {
    fn owes(&self) -> u64 {
        self.given.saturating_sub(self.drawn)
    }

    fn give(&mut self, bytes: &[u8]) {
        self.waiting.bytes.extend_from_slice(bytes);
        self.given = self.given.saturating_add(length(bytes));
        self.wake.notify_one();
    }

    fn leave_out(&mut self) {
        self.behind = true;
        // The repaint will show it.
        self.given = self.given.saturating_sub(length(&self.waiting.bytes));
        self.waiting.bytes = Vec::new();
        // Who sends may have nothing to wait for an acknowledgement of.
        self.wake.notify_one();
    }

    fn has_room(&self) -> bool {
        !self.behind && self.owes() + READ <= WINDOW
    }
}

/// How much one piece of output is at most: what is read at once.
const READ: u64 = 64 * 1024;

/// A terminal's screen and its clients.
#[derive(Debug)]
pub(crate) struct Screen {
    emulator: Emulator,
    clients: BTreeMap<ClientId, Client>,
    next: ClientId,
    title: String,
    exit: Option<u32>,
}

impl Screen {
    pub(crate) fn new(size: Cells, scrollback: usize) -> Self {
        Self {
            emulator: Emulator::new(size, scrollback),
            clients: BTreeMap::new(),
            next: 0,
            title: String::new(),
            exit: None,
        }
    }

    /// Takes output of the program, and returns the answers to its questions.
    pub(crate) fn output(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.emulator.advance(bytes);
        for client in self.clients.values_mut().filter(|client| !client.behind) {
            if client.owes() + length(bytes) <= WINDOW {
                client.give(bytes);
            } else {
                client.leave_out();
            }
        }
        let title = self.emulator.title();
        if title != self.title {
            for client in self.clients.values_mut() {
                client.waiting.title = Some(title.clone());
                client.wake.notify_one();
            }
            self.title = title;
        }
        self.emulator.take_answers()
    }

    /// Returns whether output is to be taken from the program.
    pub(crate) fn wants_output(&self) -> bool {
        let mut counted = self.clients.values().filter(|client| !client.typing);
        match counted.next() {
            None => true,
            Some(first) => first.has_room() || counted.any(Client::has_room),
        }
    }

    /// Lets a client look: it is told the size and is painted the screen first.
    /// `wake` is notified whenever there is something to send.
    pub(crate) fn attach(
        &mut self,
        wants: Option<Cells>,
        wake: Arc<Notify>,
    ) -> (ClientId, Option<Cells>) {
        let id = self.next;
        self.next += 1;
        let client = Client {
            wants,
            waiting: Outgoing::default(),
            given: 0,
            drawn: 0,
            behind: false,
            typing: false,
            wake,
        };
        self.clients.insert(id, client);
        let resized = self.fit();
        let repaint = self.emulator.repaint();
        if let Some(client) = self.clients.get_mut(&id) {
            client.waiting.size = Some(self.emulator.size());
            client.waiting.title = (!self.title.is_empty()).then(|| self.title.clone());
            client.waiting.exit = self.exit;
            client.give(&repaint);
        }
        (id, resized)
    }

    /// Forgets a client, and returns the new size if that changed it.
    pub(crate) fn detach(&mut self, id: ClientId) -> Option<Cells> {
        self.clients.remove(&id);
        self.fit()
    }

    /// Takes note of what size a client has, and returns the terminal's new one if
    /// that changed it. The client is told the terminal's in any case: it can't know that
    /// another one's counts.
    pub(crate) fn resize(&mut self, id: ClientId, size: Cells) -> Option<Cells> {
        self.clients.get_mut(&id)?.wants = Some(size);
        let resized = self.fit();
        let now = self.emulator.size();
        if let Some(client) = self.clients.get_mut(&id) {
            client.waiting.size = Some(now);
            client.wake.notify_one();
        }
        resized
    }

    /// Takes note of output that a client has drawn. One that was left out is painted
    /// anew once it has caught up.
    pub(crate) fn acknowledge(&mut self, id: ClientId, bytes: u64) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let sent = client.given.saturating_sub(length(&client.waiting.bytes));
        client.drawn = client.drawn.saturating_add(bytes).min(sent);
        self.catch_up(id);
    }

    /// Paints a client anew that was left out and has drawn most of what it was sent.
    fn catch_up(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(&id)
            && client.behind
            && client.owes() <= CAUGHT_UP
        {
            client.behind = false;
            let repaint = self.emulator.repaint();
            client.give(&repaint);
        }
    }

    /// Takes note of whether a client waits for the program to read what it typed.
    pub(crate) fn set_typing(&mut self, id: ClientId, typing: bool) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.typing = typing;
        }
    }

    /// Returns whether what a client sent is for the program.
    pub(crate) fn takes(&self, id: ClientId, bytes: &[u8]) -> bool {
        match classify(bytes) {
            Sent::Input => true,
            Sent::Answered => false,
            Sent::Answer => self.clients.keys().next() == Some(&id),
        }
    }

    /// Takes what is to be sent to a client.
    pub(crate) fn take(&mut self, id: ClientId) -> Outgoing {
        // It may have been left out because this wasn't called for long.
        self.catch_up(id);
        self.clients
            .get_mut(&id)
            .map(|client| std::mem::take(&mut client.waiting))
            .unwrap_or_default()
    }

    /// Takes note of the program's end; all its output has been taken.
    pub(crate) fn exited(&mut self, status: u32) {
        self.exit = Some(status);
        for client in self.clients.values_mut() {
            client.waiting.exit = self.exit;
            client.wake.notify_one();
        }
    }

    pub(crate) fn exit(&self) -> Option<u32> {
        self.exit
    }

    pub(crate) fn size(&self) -> Cells {
        self.emulator.size()
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Makes the terminal as large as all clients can show.
    fn fit(&mut self) -> Option<Cells> {
        let wants = self.clients.values().filter_map(|client| client.wants);
        let size = wants.reduce(Cells::smaller)?;
        if size == self.emulator.size() {
            return None;
        }
        self.emulator.resize(size);
        for client in self.clients.values_mut() {
            client.waiting.size = Some(size);
            client.wake.notify_one();
        }
        Some(size)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
