//! What people see: a flow of `tests/browser`.

use std::env;
use std::os::unix::fs::symlink;

use e2e::component::code_server;
use e2e::process::run;
use e2e::reverse_proxy::{DOMAIN, Kind, ReverseProxy};
use e2e::survivors::Folder;

use super::{Form, settings};
use crate::browser::{FLOW, Flow};

#[track_caller]
fn flow(kind: Kind, form: Form) {
    let folder = Folder::new();
    symlink(code_server(), folder.path().join("code-server")).unwrap();
    let inherited = env::var("PATH").unwrap();
    let mut settings = settings(folder.path(), form);
    settings.push(("PATH", format!("{}:{inherited}", folder.path().display())));
    let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut flow = Flow::prepare("proxied", &settings);
    let proxy = ReverseProxy::start(kind, folder.path(), flow.gateway.ready().http);
    let name = format!("proxied-{kind:?}-{}", form.name()).to_lowercase();
    flow.node
        .env("DEVGATE_FLOW", name)
        .env("DEVGATE_PROXY", format!("{DOMAIN}={}", proxy.https()))
        .env("DEVGATE_CERTIFICATE", proxy.certificate());
    let _ = run(&mut flow.node, b"", FLOW).ok();
}

#[test]
fn nginx_carries_everything_by_subdomain() {
    flow(Kind::Nginx, Form::Subdomain);
}

#[test]
fn nginx_carries_everything_by_path() {
    flow(Kind::Nginx, Form::Path);
}

#[test]
fn caddy_carries_everything_by_subdomain() {
    flow(Kind::Caddy, Form::Subdomain);
}

#[test]
fn caddy_carries_everything_by_path() {
    flow(Kind::Caddy, Form::Path);
}
