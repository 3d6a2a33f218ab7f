//! Certificates that are signed, and those that are made up.

use std::net::Ipv4Addr;

use ssh_key::certificate::{Builder, CertType};
use ssh_key::{Algorithm, PrivateKey};

use super::*;
use crate::identity::{Role, Scope, testing};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Ground {
    folder: tempfile::TempDir,
    store: Store,
    certificates: Certificates,
    caller: Caller,
}

async fn ground() -> Ground {
    let (folder, store) = testing::store().await;
    let user = testing::user(&store, "ada", Role::Member).await;
    let (_, token) = testing::token(&store, &user, Scope::Write, None).await;
    let ca = UserCa::open(&folder.path().join("certs")).unwrap();
    let sessions = Sessions::new(store.clone());
    Ground {
        certificates: Certificates::new(store.clone(), sessions, ca),
        caller: Caller {
            user,
            via: Via::Token(token),
            scope: Scope::Write,
            narrowed_to: None,
        },
        store,
        folder,
    }
}

fn key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
}

fn wish(key: &PrivateKey) -> CertificateWish {
    let public = key.public_key().to_openssh().unwrap();
    CertificateWish {
        key: AuthorizedKey::parse(&public).unwrap(),
        lasts: Duration::hours(1),
        networks: Vec::new(),
        workspaces: Vec::new(),
        actions: SshActions::all(),
    }
}

impl Ground {
    async fn why(&self, certificate: &Certificate, login: &str) -> CertificateRefused {
        let admitted = self.certificates.admit(certificate, login, HERE).await;
        admitted.unwrap_err().0
    }

    /// Signs with the authority's key what it would never sign itself.
    fn forged(
        &self,
        (serial, key): (u64, &PrivateKey),
        change: impl FnOnce(&mut Builder),
    ) -> Certificate {
        let path = self.folder.path().join("certs/ssh_user_ca");
        let ca = PrivateKey::read_openssh_file(&path).unwrap();
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap();
        let public = key.public_key().key_data().clone();
        let mut builder =
            Builder::new_with_random_nonce(&mut rand::rng(), public, now - 60, now + 60).unwrap();
        builder.serial(serial).unwrap();
        builder.valid_principal("ada").unwrap();
        change(&mut builder);
        builder.sign(&ca).unwrap()
    }
}

#[tokio::test]
async fn a_certificate_signs_in_until_it_or_what_asked_for_it_is_ended() {
    let it = ground().await;
    let (key, other) = (key(), key());
    let (record, certificate) = it.certificates.sign(&it.caller, wish(&key)).await.unwrap();
    let (_, second) = it
        .certificates
        .sign(&it.caller, wish(&other))
        .await
        .unwrap();
    let admitted = it
        .certificates
        .admit(&certificate, "api", HERE)
        .await
        .unwrap();
    assert_eq!(admitted.record.user, it.caller.user);
    assert!(admitted.record.actions.allows(SshAction::X11Forwarding));
    assert!(admitted.ends.iter().all(|end| !end.is_cancelled()));

    let user = &it.caller.user;
    assert!(it.certificates.revoke(user, record.serial).await.unwrap());
    assert!(!it.certificates.revoke(user, record.serial).await.unwrap());
    assert!(admitted.ends.iter().any(CancellationToken::is_cancelled));
    let why = it.why(&certificate, "api").await;
    assert!(matches!(why, CertificateRefused::Revoked), "{why}");

    let Via::Token(token) = &it.caller.via else {
        panic!("it was a token");
    };
    it.store.remove_token(user, token).await.unwrap();
    let why = it.why(&second, "api").await;
    assert!(matches!(why, CertificateRefused::Ended), "{why}");
}

#[tokio::test]
async fn it_counts_from_its_networks_and_for_its_workspaces_alone() {
    let it = ground().await;
    for name in ["api", "web"] {
        let blueprint = crate::workspaces::Blueprint::default();
        let intent = crate::workspaces::Intent::Run;
        let name = name.parse().unwrap();
        let added = it
            .store
            .add_workspace(&it.caller.user, &name, blueprint, intent);
        added.await.unwrap();
    }
    let key = key();
    let narrowed = CertificateWish {
        networks: vec![
            "192.0.2.0/24".parse().unwrap(),
            "127.0.0.1".parse().unwrap(),
        ],
        workspaces: vec!["api".parse().unwrap()],
        actions: SshActions::from_iter([SshAction::Pty]),
        ..wish(&key)
    };
    let (record, certificate) = it.certificates.sign(&it.caller, narrowed).await.unwrap();
    assert_eq!(record.principals, ["api.ada"]);
    for login in ["api", "api.ada"] {
        let admitted = it
            .certificates
            .admit(&certificate, login, HERE)
            .await
            .unwrap();
        assert!(!admitted.record.actions.allows(SshAction::PortForwarding));
    }
    for login in ["web", "api.bob", "ada", "", "api.ada.x"] {
        let why = it.why(&certificate, login).await;
        assert!(
            matches!(why, CertificateRefused::Principal),
            "{login}: {why}"
        );
    }
    let elsewhere = "198.51.100.1".parse().unwrap();
    let refused = it.certificates.admit(&certificate, "api", elsewhere).await;
    let (why, whose) = refused.unwrap_err();
    assert!(matches!(why, CertificateRefused::SourceAddress), "{why}");
    assert_eq!(whose, Some(it.caller.user.clone()));

    let foreign = CertificateWish {
        workspaces: vec!["api.bob".parse().unwrap()],
        ..wish(&key)
    };
    let refused = it.certificates.sign(&it.caller, foreign).await.unwrap_err();
    assert!(matches!(refused, NotSigned::NotOwn(_)), "{refused}");
}

#[tokio::test]
async fn what_is_not_what_was_signed_is_refused() {
    let it = ground().await;
    let (key, other) = (key(), key());
    let (record, _) = it.certificates.sign(&it.caller, wish(&key)).await.unwrap();
    let mine = (record.serial, &key);
    let user = |builder: &mut Builder| {
        builder.cert_type(CertType::User).unwrap();
    };
    let like = it.forged(mine, user);
    it.certificates.admit(&like, "api", HERE).await.unwrap();

    let host = it.forged(mine, |builder| {
        builder.cert_type(CertType::Host).unwrap();
    });
    let why = it.why(&host, "api").await;
    assert!(matches!(why, CertificateRefused::Host), "{why}");

    let unknown = it.forged((record.serial + 1, &key), user);
    let why = it.why(&unknown, "api").await;
    assert!(matches!(why, CertificateRefused::Unknown), "{why}");

    for different in [
        it.forged((record.serial, &other), user),
        it.forged(mine, |builder| {
            user(builder);
            builder.valid_principal("bob").unwrap();
        }),
        it.forged(mine, |builder| {
            user(builder);
            builder.all_principals_valid().unwrap();
        }),
    ] {
        let why = it.why(&different, "api").await;
        assert!(matches!(why, CertificateRefused::Different), "{why}");
    }
    for option in ["force-command", "verify-required", "devgate-x"] {
        let forced = it.forged(mine, |builder| {
            user(builder);
            builder.critical_option(option, "true").unwrap();
        });
        let why = it.why(&forced, "api").await;
        let named = matches!(&why, CertificateRefused::CriticalOption(name) if name == option);
        assert!(named, "{why}");
    }

    let folder = tempfile::tempdir().unwrap();
    let foreign = UserCa::open(folder.path()).unwrap();
    let now = OffsetDateTime::now_utc();
    let foreign = foreign.sign(&UserCertificate {
        public_key: key.public_key().key_data(),
        serial: record.serial,
        key_id: "ada",
        principals: &["ada".to_owned()],
        validity: (now, now + Duration::hours(1)),
        source_address: None,
        extensions: &[],
    });
    let why = it.why(&foreign.unwrap(), "api").await;
    assert!(matches!(why, CertificateRefused::Authority), "{why}");
}

#[tokio::test]
async fn its_end_is_its_end() {
    let it = ground().await;
    let key = key();
    let short = CertificateWish {
        lasts: Duration::ZERO,
        ..wish(&key)
    };
    let (_, certificate) = it.certificates.sign(&it.caller, short).await.unwrap();
    let why = it.why(&certificate, "api").await;
    assert!(matches!(why, CertificateRefused::Time), "{why}");
    let long = CertificateWish {
        lasts: Duration::days(30),
        ..wish(&key)
    };
    let (record, _) = it.certificates.sign(&it.caller, long).await.unwrap();
    assert_eq!(record.expires - record.created, MAX_CERTIFICATE_LIFE);
}
