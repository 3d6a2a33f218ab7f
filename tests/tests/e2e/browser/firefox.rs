//! Firefox, which is stricter with certificates, and says what a policy forbids.

use std::path::Path;
use std::process::Command;

use e2e::component::program;
use e2e::process::run;
use e2e::wait::SOON;
use tempfile::TempDir;

use super::{FLOW, Flow};

/// Makes a profile that trusts an authority, as somebody does who imports it.
#[track_caller]
fn profile(folder: &Path, authority: &Path) {
    let database = format!("sql:{}", folder.display());
    let certutil = |args: &[&str]| {
        let mut command = Command::new(program("certutil"));
        command.args(["-d", &database]).args(args);
        run(&mut command, b"", SOON).ok()
    };
    let _ = certutil(&["-N", "--empty-password"]);
    let file = authority.display().to_string();
    let _ = certutil(&["-A", "-n", "devgate", "-t", "C,,", "-a", "-i", &file]);
}

#[test]
fn firefox_trusts_the_authority_and_opens_several_applications() {
    program("curl");
    program("python3");
    let mut flow = Flow::prepare("firefox", &[]);
    let folder = TempDir::new().unwrap();
    profile(folder.path(), &flow.gateway.data().join("certs/ca.pem"));
    flow.node
        .env("FIREFOX", program("firefox-esr"))
        .env("DEVGATE_PROFILE", folder.path());
    let _ = run(&mut flow.node, b"", FLOW).ok();
}
