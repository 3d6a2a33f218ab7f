//! nginx in front of an application, tuned as one would for speed.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::component::program;
use crate::ports;
use crate::process::Running;
use crate::reverse_proxy::make_certificate;
use crate::survivors::Folder;
use crate::wait::eventually;

use super::Security;
use super::site::Page;

/// How long it may take to listen.
const READY: Duration = Duration::from_secs(20);

/// A running nginx. Dropping it ends it.
pub(super) struct Nginx {
    port: u16,
    security: Security,
    // Dropped in this order: the master and its workers, their folder.
    _master: Running,
    _folder: Folder,
}

impl Nginx {
    pub(super) fn start(security: Security, application: u16) -> Self {
        let folder = Folder::new();
        let at = folder.path().display();
        let port = ports::free();
        let tls = match security {
            Security::Plain => "",
            Security::Tls => " ssl",
        };
        make_certificate(folder.path());
        // Connections are kept on both sides; nothing goes to the disk.
        let text = format!(
            "daemon off;
             worker_processes auto;
             pid {at}/nginx.pid;
             error_log {at}/error.log;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 client_body_temp_path {at}/body;
                 proxy_temp_path {at}/proxy;
                 fastcgi_temp_path {at}/fastcgi;
                 uwsgi_temp_path {at}/uwsgi;
                 scgi_temp_path {at}/scgi;
                 keepalive_requests 1000000000;
                 upstream application {{
                     server 127.0.0.1:{application};
                     keepalive 64;
                     keepalive_requests 1000000000;
                 }}
                 server {{
                     listen 127.0.0.1:{port}{tls};
                     ssl_certificate {at}/fullchain.pem;
                     ssl_certificate_key {at}/privkey.pem;
                     client_max_body_size 0;
                     location / {{
                         proxy_pass http://application;
                         proxy_http_version 1.1;
                         proxy_set_header Connection '';
                         proxy_set_header Host $http_host;
                         proxy_set_header X-Forwarded-For $remote_addr;
                         proxy_set_header X-Forwarded-Proto $scheme;
                         proxy_request_buffering off;
                         proxy_max_temp_file_size 0;
                         proxy_buffer_size 64k;
                         proxy_buffers 8 64k;
                     }}
                 }}
             }}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).expect("the folder is writable");
        let mut command = Command::new(program("nginx"));
        command
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null());
        let master = Running::start_as_it_is(&mut command);
        eventually(READY, "nginx that listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            port,
            security,
            _master: master,
            _folder: folder,
        }
    }

    pub(super) fn page(&self) -> Page {
        Page::direct(self.security, self.port)
    }
}
