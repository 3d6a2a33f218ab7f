use super::*;

/// What a client of today offers, and what it would rather have.
fn today() -> Offer {
    Offer {
        version: "SSH-2.0-libssh_0.11.1".to_owned(),
        kex: "curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256".to_owned(),
        host_keys: "ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-512".to_owned(),
        ciphers: "chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com".to_owned(),
        macs: "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256".to_owned(),
    }
}

fn configs(fastest: Fastest) -> Configs {
    let keys = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
    ];
    let make = |algorithm: &Algorithm| PrivateKey::random(&mut rand::rng(), algorithm.clone());
    let keys: Vec<_> = keys.iter().map(|key| make(key).unwrap()).collect();
    let base = || Config {
        keys: keys.clone(),
        ..Config::default()
    };
    Configs::of(&base, fastest)
}

/// Returns what is offered: methods, host keys, ciphers, MACs.
fn offered(offer: &Offer, fastest: Fastest) -> [Vec<String>; 4] {
    let configs = configs(fastest);
    let config = configs.for_client(offer);
    let Preferred {
        kex, cipher, mac, ..
    } = &config.preferred;
    let kex = kex.iter().filter(|kex| !EXTENSIONS.contains(kex));
    [
        kex.map(|kex| kex.as_ref().to_owned()).collect(),
        config
            .keys
            .iter()
            .map(|key| key.algorithm().to_string())
            .collect(),
        cipher.iter().map(|it| it.as_ref().to_owned()).collect(),
        mac.iter().map(|it| it.as_ref().to_owned()).collect(),
    ]
}

const ETM_MACS: [&str; 2] = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
];

#[test]
fn a_client_of_today_is_offered_nothing_that_only_old_ones_need() {
    let [kex, keys, ciphers, macs] = offered(&today(), Fastest::Gcm);
    assert_eq!(kex, ["curve25519-sha256", "curve25519-sha256@libssh.org"]);
    assert_eq!(keys, ["ssh-ed25519"]);
    assert_eq!(
        ciphers,
        ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
    );
    assert_eq!(macs, ETM_MACS);
}

#[test]
fn a_client_that_can_do_it_exchanges_keys_safe_from_quantum_computers() {
    let mut offer = today();
    offer.kex = "sntrup761x25519-sha512,curve25519-sha256,mlkem768x25519-sha256".to_owned();
    let [kex, ..] = offered(&offer, Fastest::Gcm);
    assert_eq!(kex, ["mlkem768x25519-sha256"]);
}

#[test]
fn a_client_without_gcm_chooses_its_cipher_and_so_does_everybody_without_aes_hardware() {
    let mut offer = today();
    offer.ciphers = "aes256-ctr,aes128-ctr".to_owned();
    let [kex, _, ciphers, macs] = offered(&offer, Fastest::Gcm);
    assert_eq!(kex, ["curve25519-sha256", "curve25519-sha256@libssh.org"]);
    assert!(ciphers.contains(&"aes128-ctr".to_owned()));
    assert!(!ciphers.contains(&"chacha20-poly1305@openssh.com".to_owned()));
    assert_eq!(macs, ETM_MACS);
    let [_, _, ciphers, _] = offered(&today(), Fastest::Unknown);
    assert_eq!(ciphers[0], "chacha20-poly1305@openssh.com");
    assert_eq!(ciphers.len(), 6);
}

#[test]
fn a_client_that_lacks_something_of_today_may_have_what_it_can_with_the_usual_host_keys() {
    let mut offer = today();
    offer.kex = "ecdh-sha2-nistp256,diffie-hellman-group1-sha1".to_owned();
    let [kex, keys, ciphers, macs] = offered(&offer, Fastest::Gcm);
    assert_eq!(kex.len(), ANY_KEX.len());
    assert_eq!(keys, ["ssh-ed25519"]);
    assert_eq!(ciphers.len(), GCM.len());
    assert_eq!(macs, ETM_MACS);
    // GCM needs no MAC.
    offer.macs = "hmac-sha1,umac-64-etm@openssh.com".to_owned();
    let [_, _, ciphers, _] = offered(&offer, Fastest::Gcm);
    assert_eq!(ciphers.len(), GCM.len());
    // What one respect lacks costs nothing in the others.
    let mut offer = today();
    offer.macs = "hmac-sha2-256".to_owned();
    offer.ciphers = "aes128-ctr".to_owned();
    let [kex, _, _, macs] = offered(&offer, Fastest::Gcm);
    assert_eq!(kex.len(), TODAYS.len());
    assert_eq!(macs.len(), ANY_MAC.len());
}

#[test]
fn a_client_that_knows_no_usual_host_key_is_shown_the_old_one() {
    let mut offer = today();
    offer.host_keys = "ssh-rsa,ssh-dss,ecdsa-sha2-nistp256".to_owned();
    let [_, keys, ..] = offered(&offer, Fastest::Gcm);
    assert_eq!(keys, ["ecdsa-sha2-nistp256"]);
}

#[test]
fn a_client_that_can_do_nothing_of_it_and_one_that_waits_are_offered_all_but_the_old_host_key() {
    let nothing = Offer {
        kex: "diffie-hellman-group1-sha1".to_owned(),
        ..today()
    };
    let [kex, keys, ..] = offered(&nothing, Fastest::Gcm);
    assert_eq!(kex.len(), ANY_KEX.len());
    assert_eq!(keys, ["ssh-ed25519"]);
    assert_eq!(configs(Fastest::Gcm).for_silent().keys.len(), 1);
}

#[test]
fn only_who_can_do_without_its_authority_is_shown_a_certificate() {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let authority = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let certificate = {
        use russh::keys::ssh_key::certificate::{Builder, CertType};
        let of = key.public_key().key_data().clone();
        let mut builder = Builder::new(vec![0; 16], of, 0, u64::MAX).unwrap();
        builder.cert_type(CertType::Host).unwrap();
        builder.valid_principal("*").unwrap();
        builder.sign(&authority).unwrap()
    };
    let base = || Config {
        keys: vec![key.clone()],
        certificates: vec![certificate.clone()],
        ..Config::default()
    };
    let configs = Configs::of(&base, Fastest::Gcm);
    let shown = |version: &str| {
        let offer = Offer {
            version: version.to_owned(),
            ..today()
        };
        configs.for_client(&offer).certificates.len()
    };
    assert_eq!(shown("SSH-2.0-OpenSSH_9.2p1 Debian-2"), 1);
    let without = Offer {
        version: "SSH-2.0-OpenSSH_8.7".to_owned(),
        host_keys: "rsa-sha2-512".to_owned(),
        ..today()
    };
    assert!(configs.for_client(&without).certificates.is_empty());
    assert_eq!(shown("SSH-2.0-Go"), 0);
    assert!(configs.for_silent().certificates.is_empty());
}
