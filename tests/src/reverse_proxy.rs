//! Reverse proxies in front of a gateway, configured by the very files that the
//! documentation shows: only addresses and paths are others.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::component::program;
use crate::ports;
use crate::process::{Running, run};
use crate::wait::eventually;

/// The name of the dashboard in the documented files; applications lie below it.
pub const DOMAIN: &str = "dev.example.com";

/// The gateway's configuration, as documented.
pub const GATEWAY: &str = include_str!("../../docs/reverse-proxy/devgate.toml");

const NGINX: &str = include_str!("../../docs/reverse-proxy/nginx.conf");
const CADDY: &str = include_str!("../../docs/reverse-proxy/Caddyfile");

/// Where the documented files have the certificate.
const CERTIFICATES: &str = "/etc/ssl/dev.example.com/";

/// Where the documented files have the gateway.
const LISTEN: &str = "127.0.0.1:8080";

/// How long a proxy may take to listen.
const READY: Duration = Duration::from_secs(20);

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx, of Debian.
    Nginx,
    /// Caddy, of Debian.
    Caddy,
}

/// A running proxy. Dropping it ends it.
pub struct ReverseProxy {
    https: SocketAddr,
    http: SocketAddr,
    certificate: PathBuf,
    folder: PathBuf,
    process: Running,
}

impl ReverseProxy {
    /// Starts one in front of `gateway`, with its files in `folder`.
    #[track_caller]
    pub fn start(kind: Kind, folder: &Path, gateway: SocketAddr) -> Self {
        let folder = folder.join("proxy");
        fs::create_dir_all(&folder).expect("the test's folder is writable");
        let certificate = make_certificate(&folder);
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (https, http) = (loopback(ports::free()), loopback(ports::free()));
        let mut command = match kind {
            Kind::Nginx => nginx(&folder, gateway, https, http),
            Kind::Caddy => caddy(&folder, gateway, https, http),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Running::start_as_it_is(&mut command);
        eventually(READY, "a reverse proxy that listens", || {
            if let Some(status) = process.ended() {
                panic!("{kind:?} ended early, {status}:\n{}", process.errors());
            }
            TcpStream::connect(https).ok()
        });
        Self {
            https,
            http,
            certificate,
            folder,
            process,
        }
    }

    /// Where it takes what is meant for port 443.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// Where it takes what is meant for port 80.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The certificate that it shows, which is its own authority.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("error.log")).unwrap_or_default();
            eprintln!("--- the proxy\n{log}{}", self.process.errors());
        }
    }
}

/// Makes a certificate for [`DOMAIN`] and all below it, as `folder/fullchain.pem`, and
/// its key, `privkey.pem`.
#[track_caller]
pub fn make_certificate(folder: &Path) -> PathBuf {
    let certificate = folder.join("fullchain.pem");
    let mut openssl = Command::new(program("openssl"));
    openssl
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", &format!("/CN={DOMAIN}")])
        .args([
            "-addext",
            &format!("subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}"),
        ])
        .arg("-keyout")
        .arg(folder.join("privkey.pem"))
        .arg("-out")
        .arg(&certificate);
    let _ = run(&mut openssl, b"", Duration::from_mins(1)).ok();
    certificate
}

/// Puts something else into a documented file, which has to be there.
#[track_caller]
fn instead(text: &str, documented: &str, own: &str) -> String {
    assert!(text.contains(documented), "no {documented:?} in:\n{text}");
    text.replace(documented, own)
}

#[track_caller]
fn adapted(text: &str, folder: &Path, gateway: SocketAddr) -> String {
    let text = instead(text, CERTIFICATES, &format!("{}/", folder.display()));
    instead(&text, LISTEN, &gateway.to_string())
}

/// nginx as one process: the master's workers would outlive a test that is killed.
fn nginx(folder: &Path, gateway: SocketAddr, https: SocketAddr, http: SocketAddr) -> Command {
    let site = adapted(NGINX, folder, gateway);
    let site = instead(&site, "listen 443 ", &format!("listen {https} "));
    let site = instead(&site, "listen 80;", &format!("listen {http};"));
    fs::write(folder.join("devgate.conf"), site).expect("the test's folder is writable");
    // What Debian's nginx.conf says elsewhere.
    let at = folder.display();
    let mut main = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\n\
         error_log {at}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(main, "{kind}_temp_path {at}/{kind};").expect("a string takes all");
    }
    writeln!(main, "include {at}/devgate.conf;\n}}").expect("a string takes all");
    let file = folder.join("nginx.conf");
    fs::write(&file, main).expect("the test's folder is writable");
    let mut command = Command::new(program("nginx"));
    command.arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(file);
    command
}

fn caddy(folder: &Path, gateway: SocketAddr, https: SocketAddr, http: SocketAddr) -> Command {
    let site = adapted(CADDY, folder, gateway);
    let options = format!(
        "{{\n\tadmin off\n\tskip_install_trust\n\
         \tdefault_bind {}\n\thttps_port {}\n\thttp_port {}\n}}\n",
        https.ip(),
        https.port(),
        http.port()
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, options + &site).expect("the test's folder is writable");
    let mut command = Command::new(program("caddy"));
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file)
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("XDG_CONFIG_HOME", folder);
    command
}
