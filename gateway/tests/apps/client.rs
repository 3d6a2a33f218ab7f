//! A client that speaks to the gateway as a browser would, and one that doesn't.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gateway::Gateway;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

/// An answer of which the head has come.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    _connection: JoinSet<()>,
}

impl Answer {
    pub(crate) async fn text(self) -> String {
        String::from_utf8(self.bytes().await.to_vec()).unwrap()
    }

    pub(crate) async fn bytes(self) -> Bytes {
        soon(self.body.collect()).await.unwrap().to_bytes()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the `NAME=VALUE` of a cookie that is set.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers.get_all("set-cookie").iter();
        let mut pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        pairs
            .find(|pair| pair.starts_with(&format!("{name}=")))
            .map(str::to_owned)
    }
}

impl Gateway {
    /// Opens a TLS connection for a host.
    pub(crate) async fn connect(&self, host: &str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.authority.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = host.split(':').next().unwrap().to_owned();
        let name = ServerName::try_from(name).unwrap();
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        soon(connector.connect(name, tcp)).await.unwrap()
    }

    /// Sends a request to a host, and returns the answer once its head has come.
    pub(crate) async fn ask(&self, host: &str, mut request: Request<Body>) -> Answer {
        let tls = self.connect(host).await;
        request
            .headers_mut()
            .entry("host")
            .or_insert(host.parse().unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_headers(1024)
            .handshake(TokioIo::new(tls))
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        let (head, body) = soon(sender.send_request(request))
            .await
            .unwrap()
            .into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
            _connection: tasks,
        }
    }

    /// Sends a GET with headers.
    pub(crate) async fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(host, request.body(Body::empty()).unwrap()).await
    }

    /// Goes the way of a browser into an application, and returns its cookie.
    pub(crate) async fn enter(&self, port: u16, dashboard_cookie: &str) -> String {
        let host = self.host(port);
        let away = self.get(&host, "/x?y=1", &[("accept", "text/html")]).await;
        assert_eq!(away.status, 302);
        let state = away.cookie("__Host-devgate-app-state").unwrap();
        let authorize = path_of(away.header("location"), &self.dashboard());
        let cookie = [("cookie", dashboard_cookie)];
        let back = self.get(&self.dashboard(), &authorize, &cookie).await;
        assert_eq!(back.status, 302, "{:?}", back.headers);
        let session = path_of(back.header("location"), &host);
        let entered = self.get(&host, &session, &[("cookie", &state)]).await;
        assert_eq!(entered.status, 302);
        assert_eq!(entered.header("location"), "/x?y=1");
        entered.cookie("__Host-devgate-app").unwrap()
    }
}

/// Returns what of an address follows the host, which must be that one.
pub(crate) fn path_of(address: &str, host: &str) -> String {
    let start = format!("https://{host}");
    let path = address.strip_prefix(&start);
    path.unwrap_or_else(|| panic!("{address} doesn't begin with {start}"))
        .to_owned()
}
