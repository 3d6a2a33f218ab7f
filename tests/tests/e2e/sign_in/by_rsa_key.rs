//! RSA keys, which sign with a hash of the client's choice.

use std::process::Command;

use e2e::clients::{Errand, Library};
use e2e::component::program;
use e2e::keys;
use e2e::process::run;
use e2e::wait::{SOON, until};
use serde_json::json;

use super::CLIENT;
use super::by_certificate::Case;

#[test]
fn what_is_signed_with_sha_1_signs_nobody_in_and_the_log_says_so() {
    let case = Case::new();
    let target = &case.target;
    let key = target.path("rsa");
    let mut make = Command::new(program("ssh-keygen"));
    make.args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"]);
    let _ = run(make.arg(&key), b"", CLIENT).ok();
    target.admit(&keys::public(&key));
    let _ = case.certified(&key, &json!({}));
    let steps = Errand::new(target, &key).run(Library::Python("rsa_client.py"), &[]);
    assert_eq!(steps, ["key", "certificate"]);
    let why = "its client offers SHA-1 signatures only";
    until(SOON, "the log says why", || {
        target.gateway().log().matches(why).count() == 2
    });
}
