//! What a client asks of its connection, as russh tells it.
//!
//! Invariant: nothing here waits for a workspace, because the whole connection
//! waits with it.

use std::sync::Arc;

use devgate_protocol::{Open, Peer};
use russh::keys::Certificate;
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Offer, Pty, Sig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Span, info};

use super::connection::{Connection, MAX_CHANNELS, Opened, quoted};
use super::forward::{Ask, Forwards, Key};
use super::login::Login;
use super::session::answers::Answers;
use super::session::granted::Request;
use super::sign_in::{SignIn, Turn};
use super::socket::Gauge;
use super::{Gateway, splice};
use crate::identity::SshAction;
use crate::refusal::Refused;
use crate::workspaces::Wake;

/// Answers one connection's requests.
pub(super) struct Handler {
    gateway: Arc<Gateway>,
    peer: Peer,
    login: Arc<Login>,
    sign_in: SignIn,
    tasks: TaskTracker,
    ended: CancellationToken,
    gauge: Gauge,
    /// The connection's; russh calls from a task of its own.
    span: Span,
    forwards: Forwards,
    answers: Answers,
}

impl Handler {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        peer: Peer,
        login: Arc<Login>,
        (tasks, ended, gauge): (TaskTracker, CancellationToken, Gauge),
    ) -> Self {
        let (forwards, answers) = (Forwards::default(), Answers::default());
        let span = Span::current();
        let gateway_too = Arc::clone(&gateway);
        let sign_in = SignIn::new(gateway_too, peer.client, Arc::clone(&login), span.clone());
        Self {
            gateway,
            peer,
            login,
            sign_in,
            tasks,
            ended,
            gauge,
            span,
            forwards,
            answers,
        }
    }

    /// Returns the connection; there is one once the log-in has succeeded, and
    /// russh asks for nothing else before.
    fn connection(&self) -> Result<&Arc<Connection>, russh::Error> {
        self.login
            .connection
            .get()
            .ok_or(russh::Error::NotAuthenticated)
    }

    /// Opens a stream for a forwarding channel and joins the two.
    async fn forward(
        &self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        (kind, open): (&'static str, Open),
    ) -> Result<(), russh::Error> {
        let connection = self.connection()?;
        let refused = if connection.channels() >= MAX_CHANNELS {
            Some(Refused::TooManyChannels)
        } else {
            connection.allow(SshAction::PortForwarding).err()
        };
        if let Some(refused) = refused {
            reply.reject(connection.channel_failure(&refused)).await;
            return Ok(());
        }
        connection.serve(channel.id(), kind, |connection, closed| async move {
            let errand = connection.errand(&format!("{open:?}"));
            let opening = connection.open(&open, Wake::Background, Some(errand));
            match closed.run_until_cancelled(opening).await {
                Some(Ok(Opened { stream, visit, .. })) => {
                    reply.accept().await;
                    splice::splice(&connection, channel, (stream, visit), &closed).await;
                }
                Some(Err(refused)) => reply.reject(connection.channel_failure(&refused)).await,
                // The connection has ended, and the reply with it.
                None => {}
            }
        });
        Ok(())
    }

    /// Leaves a request for a listener, or for its end, to the connection's task for them;
    /// what this returns isn't heeded.
    fn ask(&mut self, ask: Ask, session: &mut Session) -> Result<bool, russh::Error> {
        let reply = session.defer_global_reply();
        let connection = Arc::clone(self.connection()?);
        self.forwards.ask(&connection, ask, reply);
        Ok(true)
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    fn client_offer(&mut self, offer: &Offer) -> Option<Arc<server::Config>> {
        Some(Arc::clone(self.gateway.configs.for_client(offer)))
    }

    async fn auth_none(&mut self, name: &str) -> Result<Auth, Self::Error> {
        self.login.name(name);
        Ok(Auth::reject())
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        let locked = self.gateway.lockout.check_address(self.peer.client).err();
        Ok(locked.map(|locked| format!("devgate: {locked}\n")))
    }

    async fn auth_publickey_offered(
        &mut self,
        name: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.sign_in.offered(name, &offer).await)
    }

    async fn auth_publickey(
        &mut self,
        name: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.sign_in.by_key(name, &key).await)
    }

    async fn openssh_certificate_refused(
        &mut self,
        name: &str,
        certificate: &Certificate,
        why: &'static str,
    ) -> Result<(), Self::Error> {
        self.sign_in.invalid(name, certificate, why).await;
        Ok(())
    }

    async fn auth_openssh_certificate(
        &mut self,
        name: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(self.sign_in.by_certificate(name, certificate).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        name: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let turn = match response {
            None => Turn::First,
            Some(_) => Turn::Answered,
        };
        Ok(self.sign_in.by_browser(name, turn).await)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let proof = self
            .sign_in
            .proof
            .take()
            .ok_or(russh::Error::NotAuthenticated)?;
        let name = self.login.last_name();
        self.gateway.lockout.succeeded(self.peer.client, &name);
        let (user, by) = (&proof.user.name, proof.by);
        info!(parent: &self.span, %user, by, login = ?quoted(&name), "logged in");
        let connection = Connection::new(
            Arc::clone(&self.gateway),
            self.peer.clone(),
            (proof, name),
            session.handle(),
            (self.tasks.clone(), self.ended.clone(), self.span.clone()),
            self.gauge.clone(),
        );
        // It is empty: russh authenticates a connection once.
        let _ = self.login.connection.set(Arc::new(connection));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let connection = Arc::clone(self.connection()?);
        if connection.channels() >= MAX_CHANNELS {
            reply
                .reject(connection.channel_failure(&Refused::TooManyChannels))
                .await;
            return Ok(());
        }
        self.answers.open(channel.id(), &connection);
        connection.serve_session(channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let Ok(port) = u16::try_from(port) else {
            let failure = self.connection()?.channel_failure(&Refused::Port(port));
            reply.reject(failure).await;
            return Ok(());
        };
        let open = Open::DirectTcpip {
            host: host.to_owned(),
            port,
        };
        self.forward(channel, reply, ("direct-tcpip", open)).await
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let open = Open::DirectStreamlocal {
            path: path.to_owned(),
        };
        self.forward(channel, reply, ("direct-streamlocal", open))
            .await
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.answers.close(id);
        self.connection()?.closed(id);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::Pty, session)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers
            .answer(id, Request::Environment(name, value), session)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::X11, session)
    }

    async fn agent_request(&mut self, id: ChannelId, _: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.answers.grant(id, Request::AuthAgent))
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::Program, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::Program, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::Subsystem(name), session)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::WindowChange, session)
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answers.answer(id, Request::Signal(&signal), session)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        match u16::try_from(*port) {
            Ok(port) => self.ask(Ask::Listen(Key::Tcpip(address.to_owned(), port)), session),
            Err(_) => Ok(false),
        }
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        match u16::try_from(port) {
            Ok(port) => self.ask(Ask::Cancel(Key::Tcpip(address.to_owned(), port)), session),
            Err(_) => Ok(false),
        }
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.ask(Ask::Listen(Key::Streamlocal(path.to_owned())), session)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.ask(Ask::Cancel(Key::Streamlocal(path.to_owned())), session)
    }
}
