//! What holds of the folder, the certificates and the handshakes made with them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::{
    AgentIdentity, Authority, CertsError, Clock, HostKeys, Secret, UnknownAgent, agent_request,
    client_config, renew_forever, validity, why_refused,
};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "*.localhost"];

fn names() -> Vec<String> {
    NAMES.map(str::to_owned).to_vec()
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("certs");
    (root, folder)
}

/// A clock that is moved by hand, in whole days.
fn clock_with_days() -> (Clock, Arc<AtomicI64>) {
    let days = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&days);
    let clock = Clock::from_fn(move || {
        OffsetDateTime::now_utc() + Duration::days(shown.load(Ordering::SeqCst))
    });
    (clock, days)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Shakes hands and carries one byte each way; returns the server's verdict.
async fn handshake(
    server: Arc<ServerConfig>,
    ca: &str,
    identity: &AgentIdentity,
) -> Result<Vec<CertificateDer<'static>>, rustls::Error> {
    let client = client_config(ca, &identity.chain_pem, identity.key_pem.expose()).unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let dial = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_all(b"x").await?;
        stream.read_u8().await
    };
    let accept = async {
        let accepted = TlsAcceptor::from(server).accept(far).await;
        let mut stream = accepted.map_err(|error| {
            let inner = error.into_inner().unwrap();
            *inner.downcast::<rustls::Error>().unwrap()
        })?;
        let shown = stream.get_ref().1.peer_certificates().unwrap().to_vec();
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
        stream.flush().await.unwrap();
        Ok(shown)
    };
    let (dialled, accepted) = tokio::join!(dial, accept);
    // Whatever the server says, the client learns the same.
    assert_eq!(
        dialled.is_ok(),
        accepted.is_ok(),
        "{dialled:?} {accepted:?}"
    );
    accepted
}

#[test]
fn a_new_folder_is_private_and_its_content_is_loaded_again() {
    let (_root, folder) = folder();
    let first = Authority::open(&folder).unwrap();
    first.gateway_leaf(&names()).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("ca.key")), 0o600);
    assert_eq!(mode(&folder.join("gateway.pem")), 0o600);
    let leaf = std::fs::read(folder.join("gateway.pem")).unwrap();

    let second = Authority::open(&folder).unwrap();
    second.gateway_leaf(&names()).unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(leaf, std::fs::read(folder.join("gateway.pem")).unwrap());
}

#[test]
fn other_names_get_another_certificate_and_their_order_does_not_matter() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let leaf = || std::fs::read(folder.join("gateway.pem")).unwrap();
    let first = leaf();
    let mut reversed = names();
    reversed.reverse();
    authority.gateway_leaf(&reversed).unwrap();
    assert_eq!(first, leaf());
    let spelled = ["::1".to_owned(), "box.example".to_owned()];
    authority.gateway_leaf(&spelled).unwrap();
    let second = leaf();
    assert_ne!(first, second);
    let spelled = ["0:0:0:0:0:0:0:1".to_owned(), "box.example".to_owned()];
    authority.gateway_leaf(&spelled).unwrap();
    assert_eq!(second, leaf());
}

#[test]
fn a_name_that_is_none_is_refused_by_name() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    for bad in ["a b", "", "http://x", "x/../y"] {
        let error = authority.gateway_leaf(&[bad.to_owned()]).unwrap_err();
        assert!(matches!(error, CertsError::Name(name) if name == bad));
    }
}

#[test]
fn a_key_that_others_can_read_is_an_error_with_the_remedy() {
    let (_root, folder) = folder();
    Authority::open(&folder).unwrap();
    let key = folder.join("ca.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let error = Authority::open(&folder).unwrap_err().to_string();
    assert!(error.contains("ca.key") && error.contains("mode 644") && error.contains("chmod 600"));
    // Alone it would leave a certificate without its key.
    assert!(error.contains("remove it and `ca.pem`"), "{error}");
}

#[test]
fn a_folder_in_the_place_of_a_key_is_called_so() {
    for file in ["ca.key", "ca.pem", "gateway.pem"] {
        let (_root, folder) = folder();
        std::fs::create_dir_all(folder.join(file)).unwrap();
        let open = || Authority::open(&folder)?.gateway_leaf(&names());
        let error = open().unwrap_err();
        assert!(
            matches!(error, CertsError::IsFolder { .. }),
            "{file}: {error}"
        );
        let error = error.to_string();
        assert!(error.contains(file) && error.contains("is a folder"));
    }
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    for file in ["ca.key", "ca.pem", "gateway.pem"] {
        let (_root, folder) = folder();
        let open = || Authority::open(&folder)?.gateway_leaf(&names());
        open().unwrap();
        let path = folder.join(file);
        for damage in [b"not PEM".as_slice(), b"", b"not \xff\xfe UTF-8"] {
            std::fs::write(&path, damage).unwrap();
            let error = open().unwrap_err();
            assert!(
                matches!(error, CertsError::Damaged { .. }),
                "{file}: {error}"
            );
            assert!(error.to_string().contains(file) && error.to_string().contains("remove it"));
        }
    }
}

#[test]
fn a_half_made_folder_recovers() {
    let (_root, folder) = folder();
    let made = Authority::open(&folder).unwrap().issue_agent("w").unwrap();
    // The process died between the key and the certificate, and inside a write.
    std::fs::remove_file(folder.join("ca.pem")).unwrap();
    let torn = folder.join(".unfinished-abc");
    std::fs::write(&torn, "-----BEGIN").unwrap();
    let again = Authority::open(&folder).unwrap();
    assert!(!torn.exists());
    // The key is the same, so what it signed is still known.
    again.agent_of(&chain(&made.chain_pem)).unwrap();

    std::fs::remove_file(folder.join("ca.key")).unwrap();
    let error = Authority::open(&folder).unwrap_err();
    assert!(matches!(error, CertsError::KeyMissing { .. }));
}

#[test]
fn two_that_open_a_new_folder_at_once_agree() {
    let (_root, folder) = folder();
    let open = || Authority::open(&folder).unwrap().ca_pem().to_owned();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(open);
        let two = scope.spawn(open);
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one, two);
}

#[tokio::test]
async fn an_agent_proves_which_workspace_it_serves() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let identity = authority.issue_agent("abc123").unwrap();
    let server = authority.server_config().unwrap();
    let shown = handshake(server, authority.ca_pem(), &identity)
        .await
        .unwrap();
    assert_eq!(authority.agent_of(&shown).unwrap(), "abc123");
    assert_eq!(authority.agent_of(&[]), Err(UnknownAgent::Absent));
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_in_the_handshake() {
    let (_root, ours) = folder();
    let (_other_root, theirs) = folder();
    let authority = Authority::open(&ours).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let foreign = Authority::open(&theirs).unwrap().issue_agent("w").unwrap();
    let server = authority.server_config().unwrap();
    let error = handshake(server, authority.ca_pem(), &foreign)
        .await
        .unwrap_err();
    // The same name of the issuer, another key: its signature doesn't verify.
    let why = why_refused(&error).unwrap();
    assert!(
        why.contains("signature") || why.contains("another CA"),
        "{why}"
    );
}

#[tokio::test]
async fn a_tampered_certificate_is_refused_in_the_handshake() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let identity = authority.issue_agent("aaaaaaaaaaaaaaaa").unwrap();
    let mut der = chain(&identity.chain_pem).remove(0).to_vec();
    let at = der
        .windows(16)
        .position(|w| w == b"aaaaaaaaaaaaaaaa")
        .unwrap();
    der[at] = b'b';
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(identity.key_pem.expose().as_bytes())
        .unwrap();
    let client = rustls::ClientConfig::builder_with_details(
        Arc::new(crate::tls::provider()),
        Arc::new(Clock::system()),
    )
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain(authority.ca_pem()).remove(0)).unwrap();
    let client = client
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![der.into()], key)
        .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(authority.server_config().unwrap());
    let name = ServerName::try_from("localhost").unwrap();
    let (_dialled, accepted) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    let error = accepted.unwrap_err().into_inner().unwrap();
    let why = why_refused(error.downcast_ref().unwrap()).unwrap();
    assert!(why.contains("tampered"), "{why}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_so_is_one_that_expires_while_in_use() {
    let (_root, folder) = folder();
    let (clock, days) = clock_with_days();
    let authority = Authority::open_at(&folder, clock).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let identity = authority.issue_agent("w").unwrap();
    let life = validity(&identity.chain_pem).unwrap();
    assert!(life.renew_at() < life.not_after);

    days.store(31, Ordering::SeqCst);
    let server = authority.server_config().unwrap();
    let error = handshake(server, authority.ca_pem(), &identity)
        .await
        .unwrap_err();
    assert_eq!(why_refused(&error).unwrap(), "it expired");
    let shown = chain(&identity.chain_pem);
    assert_eq!(authority.agent_of(&shown), Err(UnknownAgent::OutOfTime));
}

#[tokio::test]
async fn an_agents_certificate_is_no_gateways_and_the_gateways_no_agents() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let pem = std::fs::read_to_string(folder.join("gateway.pem")).unwrap();
    assert_eq!(
        authority.agent_of(&chain(&pem)),
        Err(UnknownAgent::NoWorkspace)
    );
    let identity = AgentIdentity {
        chain_pem: pem.clone(),
        key_pem: Secret::new(pem),
    };
    let server = authority.server_config().unwrap();
    let refused = handshake(server, authority.ca_pem(), &identity).await;
    assert!(why_refused(&refused.unwrap_err()).is_some());
}

#[test]
fn a_request_gets_the_identity_of_its_tunnel_whatever_it_says() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    let request = agent_request().unwrap();
    let issued = authority
        .sign_agent_request("mine", &request.request_pem)
        .unwrap();
    assert_eq!(authority.agent_of(&chain(&issued)).unwrap(), "mine");
    client_config(authority.ca_pem(), &issued, request.key_pem.expose()).unwrap();

    let mut params = CertificateParams::new(vec!["evil.example".into()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let uri = "devgate://workspace/theirs".to_owned().try_into().unwrap();
    params.subject_alt_names.push(SanType::URI(uri));
    let greedy = params
        .serialize_request(&KeyPair::generate().unwrap())
        .unwrap();
    let issued = authority
        .sign_agent_request("mine", &greedy.pem().unwrap())
        .unwrap();
    let chain = chain(&issued);
    assert_eq!(authority.agent_of(&chain).unwrap(), "mine");
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    assert!(!parsed.is_ca());

    for bad in ["", "not PEM", &request.request_pem.replace('A', "B")] {
        assert!(authority.sign_agent_request("mine", bad).is_err());
    }
    for bad in ["", "a/b", "..", "a b", &"x".repeat(65)] {
        let error = authority.issue_agent(bad).unwrap_err();
        assert!(matches!(error, CertsError::WorkspaceId(_)));
    }
}

#[tokio::test]
async fn the_gateways_certificate_is_renewed_without_a_restart() {
    let (_root, folder) = folder();
    let (clock, days) = clock_with_days();
    let authority = Arc::new(Authority::open_at(&folder, clock).unwrap());
    let first = authority.gateway_leaf(&names()).unwrap();
    let server = authority.server_config().unwrap();
    days.store(61, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let renewing = renew_forever(Arc::clone(&authority), stop.clone());
    let renewed = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
        while authority.leaf.validity().unwrap() == first {
            looks.tick().await;
        }
        stop.cancel();
    };
    tokio::join!(renewing, renewed);
    assert!(authority.leaf.validity().unwrap().not_after > first.not_after);
    // The configuration that was made before shows it.
    let pem = std::fs::read_to_string(folder.join("gateway.pem")).unwrap();
    let shown = server_leaf(server, authority.ca_pem()).await;
    assert_eq!(shown, chain(&pem)[0]);
}

/// Returns the certificate that a server shows, whatever its dates.
async fn server_leaf(server: Arc<ServerConfig>, ca: &str) -> CertificateDer<'static> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain(ca).remove(0)).unwrap();
    let clock = Clock::from_fn(|| OffsetDateTime::now_utc() + Duration::days(61));
    let client = rustls::ClientConfig::builder_with_details(
        Arc::new(crate::tls::provider()),
        Arc::new(clock),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(server);
    let (dialled, accepted) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    accepted.unwrap();
    let stream = dialled.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[test]
fn nothing_issued_outlives_the_ca_and_an_expired_ca_says_what_to_do() {
    let (_root, folder) = folder();
    let (clock, days) = clock_with_days();
    let authority = Authority::open_at(&folder, clock.clone()).unwrap();
    days.store(3640, Ordering::SeqCst);
    let leaf = validity(&authority.issue_agent("w").unwrap().chain_pem).unwrap();
    assert_eq!(
        leaf.not_after,
        validity(authority.ca_pem()).unwrap().not_after
    );
    days.store(3651, Ordering::SeqCst);
    let error = Authority::open_at(&folder, clock).unwrap_err();
    assert!(matches!(error, CertsError::AuthorityExpired { .. }));
}

/// Made once for all tests: an RSA key takes seconds.
static HOST_KEYS: LazyLock<(TempDir, HostKeys)> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    let keys = HostKeys::open(root.path()).unwrap();
    (root, keys)
});

#[test]
fn host_keys_are_made_once_private_and_in_openssh_format() {
    let (root, first) = &*HOST_KEYS;
    let second = HostKeys::open(root.path()).unwrap();
    assert_eq!(first.fingerprints(), second.fingerprints());
    let kinds: Vec<_> = first
        .keys()
        .iter()
        .map(|key| key.algorithm().to_string())
        .collect();
    assert_eq!(kinds, ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"]);
    assert!(first.fingerprints()[0].1.starts_with("SHA256:"));
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let name = format!("ssh_host_{kind}_key");
        let name = name.as_str();
        assert_eq!(mode(&root.path().join(name)), 0o600);
        let private = std::fs::read_to_string(root.path().join(name)).unwrap();
        assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
        let public = std::fs::read_to_string(root.path().join(format!("{name}.pub"))).unwrap();
        assert!(public.starts_with("ssh-") || public.starts_with("ecdsa-"));
    }
}

#[test]
fn a_damaged_or_exposed_host_key_is_an_error_that_names_it() {
    let (root, _) = &*HOST_KEYS;
    let copy = tempfile::tempdir().unwrap();
    let name = "ssh_host_ed25519_key";
    let path = copy.path().join(name);
    std::fs::copy(root.path().join(name), &path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let error = HostKeys::open(copy.path()).unwrap_err();
    assert!(
        matches!(error, CertsError::Exposed { mode: 0o640, .. }),
        "{error}"
    );
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    for damage in [b"junk".as_slice(), b"\xff\xfe"] {
        std::fs::write(&path, damage).unwrap();
        let error = HostKeys::open(copy.path()).unwrap_err();
        assert!(matches!(error, CertsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // What is made of a key is made again.
    let public = copy.path().join(format!("{name}.pub"));
    std::fs::copy(root.path().join(name), &path).unwrap();
    std::fs::write(&public, b"\xff\xfe").unwrap();
    HostKeys::open(copy.path()).unwrap();
    let read = std::fs::read_to_string(&public).unwrap();
    assert!(read.starts_with("ssh-ed25519 "), "{read}");
}

#[test]
fn no_private_key_reaches_a_debug_output() {
    let (_root, folder) = folder();
    let authority = Authority::open(&folder).unwrap();
    authority.gateway_leaf(&names()).unwrap();
    let identity = authority.issue_agent("w").unwrap();
    let request = agent_request().unwrap();
    let shown = format!(
        "{authority:?} {:?} {identity:?} {request:?} {:?}",
        authority.leaf, HOST_KEYS.1
    );
    assert!(!shown.contains("PRIVATE"), "{shown}");
    let body = identity.key_pem.expose().lines().nth(1).unwrap();
    assert!(!shown.contains(body));
}
