//! A program that uses the API over connections of its own: HTTPS by the gateway's
//! authority, `WebSockets`, many at once.

mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::gateway::Gateway;
pub use socket::{Said, Socket};

/// How long anything may take here.
const LIMIT: Duration = Duration::from_mins(2);

/// The name that the gateway has in its certificate.
const NAME: &str = "localhost";

/// A program with a token for everything, and the id of the first workspace.
pub struct Caller {
    runtime: Arc<Runtime>,
    client: Client,
    /// The first workspace's id.
    pub workspace: String,
}

/// What a request needs. Clones share nothing.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    address: SocketAddr,
    token: String,
    prefix: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: hyper::HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A connection for requests, one after the other.
pub type Connection = http1::SendRequest<Full<Bytes>>;

impl Answer {
    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics unless it has this status.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Caller {
    /// Signs in at a gateway, and makes a token.
    #[track_caller]
    pub fn of(gateway: &Gateway) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = Arc::new(runtime.expect("a runtime can be made"));
        let mut roots = RootCertStore::empty();
        let file = gateway.data().join("certs/ca.pem");
        for certificate in CertificateDer::pem_file_iter(&file).expect("there is an authority") {
            let added = roots.add(certificate.expect("it is PEM"));
            added.expect("it is a certificate");
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Client {
            tls: TlsConnector::from(Arc::new(config)),
            address: gateway.ready().http,
            token: String::new(),
            prefix: String::new(),
        };
        let users = gateway.cli(&["users", "list", "--json"]).ok().out();
        let users: Value = serde_json::from_str(&users).expect("users are JSON");
        let name = users[0]["name"].as_str().expect("there is a user");
        let link = gateway.cli(&["users", "link", name, "--json"]).ok().out();
        let link: Value = serde_json::from_str(&link).expect("a link is JSON");
        let once = link["url"]
            .as_str()
            .and_then(|url| url.split_once("#link="));
        let once = once.expect("a link has a token").1.to_owned();
        runtime.block_on(client.sign_in(&once));
        let listed = runtime.block_on(client.get("/workspaces")).expect(200);
        let workspace = listed.json()["items"][0]["id"].as_str().map(str::to_owned);
        let workspace = workspace.expect("there is a workspace");
        client.prefix = format!("/workspaces/{workspace}");
        Self {
            runtime,
            client,
            workspace,
        }
    }

    /// Takes note of where a gateway is that was started again.
    pub fn moved_to(&mut self, gateway: &Gateway) {
        self.client.address = gateway.ready().http;
    }

    /// Returns what asks, to be moved into tasks.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs something that asks, to its end or [`LIMIT`].
    #[track_caller]
    pub fn run<T>(&self, what: impl Future<Output = T>) -> T {
        let limited = self.runtime.block_on(async { timeout(LIMIT, what).await });
        limited.expect("it ends in time")
    }

    /// GETs something of the first workspace.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.run(self.client.get(path))
    }

    /// POSTs JSON to something of the first workspace.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.run(self.client.post(path, body))
    }

    /// DELETEs something of the first workspace.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.run(self.client.send(Method::DELETE, path, None, Bytes::new()))
    }
}

impl Client {
    async fn sign_in(&mut self, once: &str) {
        let origin = format!("https://{NAME}:{}", self.address.port());
        let request = |path: &str, body: Value| {
            Request::post(format!("/api/v1{path}"))
                .header(HOST, self.host())
                .header(ORIGIN, &origin)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_string()))
                .expect("it is a request")
        };
        let mut connection = self.connect().await;
        let signing = request("/login/link", json!({ "token": once }));
        let signed = connection.send_request(signing).await.expect("an answer");
        let cookie = signed.headers()[SET_COOKIE].clone();
        let cookie = cookie.to_str().expect("a cookie is text");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let wanted = json!({ "name": "tests", "scope": "admin" });
        let mut making = request("/me/tokens", wanted);
        let cookie = cookie.parse().expect("a cookie is a header");
        making.headers_mut().insert(COOKIE, cookie);
        let made = whole(signed, &mut connection, making).await.expect(201);
        made.json()["token"]
            .as_str()
            .expect("a token is text")
            .clone_into(&mut self.token);
    }

    /// GETs something.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    /// POSTs JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = Bytes::from(body.to_string());
        self.send(Method::POST, path, Some("application/json"), body)
            .await
    }

    /// Sends a request, on a connection of its own.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Answer {
        let mut connection = self.connect().await;
        self.send_over(&mut connection, method, path, kind, body)
            .await
    }

    /// Sends a request over a connection.
    pub async fn send_over(
        &self,
        connection: &mut Connection,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Answer {
        let request = self.request(method, path, kind, body, &[]);
        connection.ready().await.expect("the connection is open");
        let answer = connection.send_request(request).await.expect("an answer");
        read(answer).await
    }

    /// Begins to read an answer; its connection ends with the body.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
        let mut connection = self.connect().await;
        let request = self.request(Method::GET, path, None, Bytes::new(), headers);
        let answer = connection.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer
    }

    /// Opens a WebSocket.
    pub async fn socket(&self, path: &str) -> Socket {
        let url = format!("wss://{}/api/v1{}{path}", self.host(), self.prefix);
        let mut request = url.into_client_request().expect("it is a URL");
        let bearer = format!("Bearer {}", self.token);
        let bearer = bearer.parse().expect("a token is a header");
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let tls = self.tls().await;
        let opened = tokio_tungstenite::client_async(request, tls).await;
        let (socket, _) = opened.unwrap_or_else(|error| panic!("{path}: {error}"));
        Socket::of(socket)
    }

    /// Connects for several requests.
    pub async fn connect(&self) -> Connection {
        let tls = TokioIo::new(self.tls().await);
        let (sender, connection) = http1::handshake(tls).await.expect("HTTP/1.1 is spoken");
        // It ends with its sender and its answers.
        drop(Handle::current().spawn(connection));
        sender
    }

    /// Returns where the gateway is, and what a request says of its sender.
    pub fn origin_and_bearer(&self) -> (String, String) {
        let origin = format!("https://{}", self.host());
        (origin, format!("Bearer {}", self.token))
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.expect("it listens");
        tcp.set_nodelay(true).expect("it is a socket");
        let name = ServerName::try_from(NAME).expect("it is a name");
        let tls = self.tls.connect(name, tcp).await;
        tls.expect("the certificate is the authority's")
    }

    fn host(&self) -> String {
        format!("{NAME}:{}", self.address.port())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{}{path}", self.prefix))
            .header(HOST, self.host())
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(body)).expect("it is a request")
    }
}

async fn whole(
    before: Response<Incoming>,
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
) -> Answer {
    let _ = read(before).await;
    connection.ready().await.expect("the connection is open");
    let answer = connection.send_request(request).await.expect("an answer");
    read(answer).await
}

async fn read(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}
