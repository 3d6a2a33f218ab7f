//! The way past what waits on a session's stream: the control connection of its agent.

use devgate_protocol::control::Overtaking;
use devgate_protocol::frame::Size;
use russh::ChannelMsg;
use tokio::sync::Notify;
use tracing::debug;

use crate::ssh::connection::Connection;
use crate::ssh::signals;

/// Longest name of a signal that is passed on, in bytes; none is as long.
const MAX_NAME: usize = 64;

/// Carries what needn't wait behind data to a session whose program reads it from a stream.
pub(super) struct Aside<'a> {
    connection: &'a Connection,
    /// The session's number; `None` once everything goes in the stream, in its order.
    session: Option<u64>,
    /// Notified when the client throws away what it gets.
    unread: &'a Notify,
}

impl<'a> Aside<'a> {
    /// Returns the way to the session of that number, where it has one.
    pub(super) fn to(connection: &'a Connection, session: Option<u64>, unread: &'a Notify) -> Self {
        Self {
            connection,
            session,
            unread,
        }
    }

    /// Whether there is a way.
    pub(super) fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Sends a message that overtakes data. Returns it where it can't go this way: an older
    /// agent knows none, and one that was sent away has no control connection. What follows
    /// can't either, so that an old size never comes after a new one.
    pub(super) async fn send(&mut self, message: ChannelMsg) -> Option<ChannelMsg> {
        if matches!(message, ChannelMsg::EndOfWrite) {
            self.unread.notify_one();
        }
        let (Some(session), Some(request)) = (self.session, request(&message)) else {
            return Some(message);
        };
        if matches!(&request, Overtaking::Signal { name } if name.len() > MAX_NAME) {
            debug!("a signal that there isn't");
            return None;
        }
        let Some(workspace) = self.connection.workspace() else {
            return Some(message);
        };
        let workspaces = &self.connection.gateway.workspaces;
        let Err(error) = workspaces.overtake(&workspace, session, request).await else {
            return None;
        };
        debug!(%error, "requests of a session wait behind its data");
        self.session = None;
        Some(message)
    }
}

fn request(message: &ChannelMsg) -> Option<Overtaking> {
    Some(match message {
        ChannelMsg::Signal { signal } => Overtaking::Signal {
            name: signals::name(signal).to_owned(),
        },
        &ChannelMsg::WindowChange {
            col_width: columns,
            row_height: rows,
            pix_width: width,
            pix_height: height,
        } => Overtaking::WindowChange {
            size: Size {
                columns,
                rows,
                width,
                height,
            },
        },
        ChannelMsg::EndOfWrite => Overtaking::EndOfWrite,
        _ => return None,
    })
}
