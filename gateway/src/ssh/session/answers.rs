//! What the requests of a connection's session channels are answered, at once.

use std::collections::HashMap;

use russh::ChannelId;
use russh::server::Session;

use super::granted::{Granted, Request};
use crate::ssh::connection::Connection;

/// How many channels that have ended may be remembered beside as many as are open.
const MAX_ENDED: usize = 64;

/// What each session channel was granted. Of any other no request is granted.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Answers(HashMap<ChannelId, Granted>);

impl Answers {
    /// Begins with one of a connection's channels.
    pub(in crate::ssh) fn open(&mut self, channel: ChannelId, connection: &Connection) {
        // Nobody says when one has ended that we close first.
        if self.0.len() > 2 * connection.channels() + MAX_ENDED {
            self.0.retain(|channel, _| connection.has(*channel));
        }
        let allowed = connection.actions().clone();
        self.0.insert(channel, Granted::within(allowed));
    }

    /// Forgets a channel.
    pub(in crate::ssh) fn close(&mut self, channel: ChannelId) {
        self.0.remove(&channel);
    }

    /// Decides on a request.
    pub(in crate::ssh) fn grant(&mut self, channel: ChannelId, request: Request<'_>) -> bool {
        let granted = self.0.get_mut(&channel);
        granted.is_some_and(|granted| granted.grant(request))
    }

    /// Answers a request.
    pub(in crate::ssh) fn answer(
        &mut self,
        channel: ChannelId,
        request: Request<'_>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.grant(channel, request) {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
    }
}
