//! How the host shows who it is: certificates for its keys, with the stock client.

use std::fs;
use std::path::Path;

use e2e::keys;
use e2e::reach::Reach;
use e2e::ssh::Ssh;
use e2e::target::Target;

/// The client that knows nothing of the host but what signs for its keys.
fn trusting(target: &Target, authority: &Path) -> Ssh {
    let key = fs::read_to_string(authority).unwrap();
    let known = target.path("authority");
    fs::write(&known, format!("@cert-authority pinned {key}")).unwrap();
    let known = format!("UserKnownHostsFile={}", known.display());
    target.ssh().option(&known)
}

#[test]
fn who_knows_the_authority_accepts_whichever_host_keys_come_later() {
    let mut target = Target::devgate(Reach::Unix);
    let certs = target.gateway().data().join("certs");
    let authority = certs.join("ssh_host_ca.pub");
    let first = trusting(&target, &authority).run("echo first");
    assert_eq!(first.ok().out(), "first\n");

    assert_eq!(target.gateway_mut().terminate(), 0);
    for kind in ["ed25519", "rsa", "ecdsa"] {
        fs::remove_file(certs.join(format!("ssh_host_{kind}_key"))).unwrap();
    }
    target.gateway_mut().start_again();
    let later = trusting(&target, &authority).run("echo later");
    assert_eq!(later.ok().out(), "later\n");
    // Who knows the keys that were is warned as ever.
    let stale = target.ssh().run("echo never");
    assert_eq!(stale.code(), 255);
    assert!(stale.err().contains("verification failed"), "{stale:?}");
}

#[test]
fn another_authority_is_nobody_to_this_host() {
    let target = Target::devgate(Reach::Unix);
    let other = keys::public(&keys::generate(target.folder(), "other"));
    let refused = trusting(&target, &other).run("echo never");
    assert_eq!(refused.code(), 255);
    assert!(refused.err().contains("verification failed"), "{refused:?}");
}
