//! The way to a server elsewhere: its HTTPS port, with a token.

use bytes::Bytes;
use devgate_protocol::Secret;
use devgate_protocol::websocket::{Side, WebSocketBytes, accept_key, new_key};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::authority::MAX_AUTHORITY;
use super::proxy::Proxy;
use super::trust::Trust;
use super::wait::Wait;
use super::way::Way;
use super::{ANSWER_TIMEOUT, MAX_ANSWER, bytes, refused, request};
use crate::cli::failure::{Failure, Kind};
use crate::http::Origin;
use crate::http::problem::Problem;

/// A WebSocket to a server, as bytes.
pub(in crate::cli) type Socket = WebSocketBytes<TokioIo<Upgraded>>;

/// Asks one server elsewhere.
pub(in crate::cli) struct Remote {
    way: Way,
    token: Option<Secret<String>>,
    /// Largest answer that is read, in bytes.
    most: usize,
    /// A connection that can be used again.
    sender: Option<SendRequest<Full<Bytes>>>,
    /// The connections' own tasks; they end when this is dropped.
    connections: JoinSet<()>,
}

/// Why nothing was answered as it was meant to be.
#[derive(Debug)]
pub(in crate::cli) enum Unanswered {
    /// The server refuses.
    Refused(Problem),
    /// Nobody who is trusted issued its certificate; nothing else is wrong with it.
    Untrusted(Failure),
    /// Somebody issued it who is called like one who is trusted, as all devgate's own
    /// authorities are called alike.
    Mistaken(Failure),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A request, or why it can't be made.
type Made = Result<Request<Full<Bytes>>, Failure>;

impl Remote {
    /// Returns the way to a server.
    ///
    /// # Errors
    /// For one that would be asked in the clear over a network, or through a proxy that can't be
    /// used.
    pub(in crate::cli) fn new(
        origin: Origin,
        trust: &Trust,
        token: Option<Secret<String>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            way: Way::new(origin, trust)?,
            token,
            // Whoever it is, it is asked for its authority alone.
            most: match trust {
                Trust::Anybody => MAX_AUTHORITY,
                Trust::System | Trust::Pinned(_) => MAX_ANSWER,
            },
            sender: None,
            connections: JoinSet::new(),
        })
    }

    /// Returns another way to the same server, with connections of its own.
    pub(in crate::cli) fn another(&self) -> Self {
        Self {
            way: self.way.clone(),
            token: self.token.clone(),
            most: self.most,
            sender: None,
            connections: JoinSet::new(),
        }
    }

    pub(in crate::cli) fn origin(&self) -> &Origin {
        self.way.origin()
    }

    /// Returns what it is reached through.
    pub(in crate::cli) fn proxy(&self) -> Option<&Proxy> {
        self.way.proxy()
    }

    /// Shows a token from now on.
    pub(in crate::cli) fn show(&mut self, token: Secret<String>) {
        self.token = Some(token);
    }

    /// Asks for something and reads the answer, whole.
    pub(in crate::cli) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, Unanswered> {
        let (answer, sender) = self.send(method, path, body, "application/json").await?;
        let bytes = bytes(answer.into_body(), self.most, || self.silent()).await?;
        self.sender = Some(sender);
        Ok(bytes)
    }

    /// Asks for something that comes piece by piece, in a media type.
    pub(in crate::cli) async fn stream(
        &mut self,
        path: &str,
        accept: &'static str,
    ) -> Result<Incoming, Unanswered> {
        let (answer, _) = self.send(Method::GET, path, None, accept).await?;
        Ok(answer.into_body())
    }

    /// Asks for something, and returns the head of the answer, whatever that says.
    pub(in crate::cli) async fn headers(&mut self, path: &str) -> Result<HeaderMap, Unanswered> {
        let request = request(Method::GET, path, &self.origin().authority(), None)?;
        let mut sender = self.connect().await?;
        let answer = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = answer.map_err(|_| self.silent())?;
        let answer = answer.map_err(|error| self.broken(&error))?;
        Ok(answer.into_parts().0.headers)
    }

    /// Opens a WebSocket, as bytes.
    pub(in crate::cli) async fn socket(&mut self, path: &str) -> Result<Socket, Unanswered> {
        let upgraded = self.upgrade(path).await?;
        Ok(WebSocketBytes::new(upgraded, Vec::new(), Side::Client).await)
    }

    /// Opens a WebSocket, for whoever reads its messages.
    pub(in crate::cli) async fn upgrade(
        &mut self,
        path: &str,
    ) -> Result<TokioIo<Upgraded>, Unanswered> {
        let key = new_key();
        let mut request = request(Method::GET, path, &self.origin().authority(), None)?;
        self.identify(&mut request)?;
        let headers = request.headers_mut();
        for (name, value) in [
            (header::CONNECTION, "upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
            (header::SEC_WEBSOCKET_KEY, &key),
        ] {
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
            headers.insert(name, value);
        }
        let mut sender = self.connect().await?;
        let answer = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = answer.map_err(|_| self.silent())?;
        let answer = answer.map_err(|error| self.broken(&error))?;
        let status = answer.status();
        let accepted = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let text = bytes(answer.into_body(), self.most, || self.silent()).await?;
            return Err(Unanswered::Refused(refused(status, &text)));
        }
        if accepted.is_none_or(|value| value != accept_key(key.as_bytes()).as_str()) {
            let message = format!(
                "{} answers no WebSocket: a proxy in between may not let any through",
                self.origin()
            );
            return Err(Failure::new(Kind::Unreachable, message).into());
        }
        let upgraded = hyper::upgrade::on(answer).await;
        let upgraded = upgraded.map_err(|error| self.broken(&error))?;
        Ok(TokioIo::new(upgraded))
    }

    /// Shows the token.
    fn identify(&self, request: &mut Request<Full<Bytes>>) -> Result<(), Failure> {
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| {
                Failure::new(Kind::Usage, "the token has characters that none can have")
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        accept: &'static str,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), Unanswered> {
        let make = |remote: &Self| {
            let mut request = request(method.clone(), path, &remote.origin().authority(), body)?;
            let headers = request.headers_mut();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Ok(request)
        };
        self.exchange(&make, Wait::Usual).await
    }

    /// Sends a request with headers and a body of its own. The answer's body is read whole
    /// before anything else is asked for.
    pub(super) async fn raw(
        &mut self,
        method: &Method,
        path: &str,
        more: &[(HeaderName, String)],
        body: Bytes,
        wait: Wait,
    ) -> Result<Response<Incoming>, Unanswered> {
        let make = |remote: &Self| {
            let mut request = request(method.clone(), path, &remote.origin().authority(), None)?;
            *request.body_mut() = Full::new(body.clone());
            let headers = request.headers_mut();
            headers.remove(header::CONTENT_TYPE);
            for (name, value) in more {
                let value = HeaderValue::try_from(value);
                let value = value.map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
                headers.insert(name, value);
            }
            Ok(request)
        };
        let (answer, sender) = self.exchange(&make, wait).await?;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn exchange(
        &mut self,
        make: &(dyn Fn(&Self) -> Made + Sync),
        wait: Wait,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), Unanswered> {
        let mut kept = self.sender.take();
        loop {
            let mut request = make(self)?;
            self.identify(&mut request)?;
            let again = kept.is_some();
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let answer = wait.answer(sender.send_request(request)).await;
            let answer = match answer.map_err(|_| self.silent())? {
                // The server had closed it; nothing was sent.
                Err(error) if again && error.is_canceled() => continue,
                answer => answer.map_err(|error| self.broken(&error))?,
            };
            let status = answer.status();
            if status.is_success() {
                return Ok((answer, sender));
            }
            let text = bytes(answer.into_body(), self.most, || self.silent()).await?;
            self.sender = Some(sender);
            return Err(Unanswered::Refused(refused(status, &text)));
        }
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        let stream = self.way.connect().await?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| self.broken(&error))?;
        self.connections.spawn(async move {
            // What breaks it is told to the request, too.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn silent(&self) -> Failure {
        let message = format!("{} doesn't answer", self.origin());
        Failure::new(Kind::Unreachable, message)
    }

    fn broken(&self, error: &hyper::Error) -> Failure {
        let message = format!("the connection to {} broke: {error}", self.origin());
        Failure::new(Kind::Unreachable, message)
    }
}
