//! How the host shows who it is: certificates for its keys, with the stock client.

use std::fs;
use std::path::Path;

use e2e::keys;
use e2e::reach::Reach;
use e2e::ssh::Ssh;
use e2e::target::Target;

/// The client that knows nothing of the host, by that name, but what signs for its keys.
fn trusting(target: &Target, authority: &Path, name: &str) -> Ssh {
    let key = fs::read_to_string(authority).unwrap();
    let known = target.path("authority");
    fs::write(&known, format!("@cert-authority {name} {key}")).unwrap();
    let known = format!("UserKnownHostsFile={}", known.display());
    let name = format!("HostKeyAlias={name}");
    target.ssh().option(&known).option(&name)
}

#[test]
fn who_knows_the_authority_accepts_whichever_host_keys_come_later() {
    let mut target = Target::devgate(Reach::Unix);
    let certs = target.gateway().data().join("certs");
    let authority = certs.join("ssh_host_ca.pub");
    // Its own names, and what `devgate ssh` calls each.
    for name in ["localhost", "devgate"] {
        let first = trusting(&target, &authority, name).run("echo first");
        assert_eq!(first.ok().out(), "first\n");
    }
    let elsewhere = trusting(&target, &authority, "other.example").run("echo never");
    assert_eq!(elsewhere.code(), 255, "{elsewhere:?}");

    assert_eq!(target.gateway_mut().terminate(), 0);
    for kind in ["ed25519", "rsa", "ecdsa"] {
        fs::remove_file(certs.join(format!("ssh_host_{kind}_key"))).unwrap();
    }
    target.gateway_mut().start_again();
    let later = trusting(&target, &authority, "devgate").run("echo later");
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
    let refused = trusting(&target, &other, "devgate").run("echo never");
    assert_eq!(refused.code(), 255);
    assert!(refused.err().contains("verification failed"), "{refused:?}");
}
