//! Signing in over SSH without a registered key.

mod by_browser;
mod by_certificate;
mod by_rsa_key;
mod host_certificates;

use std::time::Duration;

use e2e::process::Running;
use e2e::ssh::Ssh;
use e2e::target::Target;

/// How long a client may take from its start to its program's end.
pub(crate) const CLIENT: Duration = Duration::from_mins(1);

/// A client that has no key, with somebody before it.
pub(crate) fn keyless(target: &Target) -> Ssh {
    target
        .ssh()
        .option("BatchMode=no")
        .option("PubkeyAuthentication=no")
        .option("LogLevel=INFO")
}

/// Waits until a client shows a link, and returns the code in it.
#[track_caller]
pub(crate) fn code_of(client: &Running) -> String {
    let shown = client.wait_for_error("you have", CLIENT);
    let (_, rest) = shown.split_once("/device#code=").expect("a link");
    rest.chars().take(9).collect()
}
