//! Whether a certificate that the authority signed is what its record says, and counts for
//! what it is shown for.

use std::net::IpAddr;

use ssh_key::{Certificate, HashAlg};
use time::OffsetDateTime;

use super::{CertificateRecord, CertificateRefused};
use crate::config::Network;
use crate::identity::Target;

/// The only critical option that is known (PROTOCOL.certkeys of OpenSSH).
const SOURCE_ADDRESS: &str = "source-address";

/// Compares a certificate that the authority signed with its record, and with what it is
/// shown for.
pub(super) fn check(
    record: &CertificateRecord,
    certificate: &Certificate,
    login: &str,
    client: IpAddr,
) -> Result<(), CertificateRefused> {
    if !certificate.cert_type().is_user() {
        return Err(CertificateRefused::Host);
    }
    let key = certificate.public_key().fingerprint(HashAlg::Sha256);
    if key.to_string() != record.fingerprint
        || certificate.valid_principals() != record.principals.as_slice()
    {
        return Err(CertificateRefused::Different);
    }
    let now = OffsetDateTime::now_utc();
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    if seconds < certificate.valid_after() || seconds >= certificate.valid_before() {
        return Err(CertificateRefused::Time);
    }
    if record.revoked.is_some() {
        return Err(CertificateRefused::Revoked);
    }
    for (name, value) in certificate.critical_options().iter() {
        if name != SOURCE_ADDRESS {
            return Err(CertificateRefused::CriticalOption(name.clone()));
        }
        let mut networks = value.split(',').map(str::parse::<Network>);
        if !networks.any(|network| network.is_ok_and(|network| network.contains(client))) {
            return Err(CertificateRefused::SourceAddress);
        }
    }
    let user = record.user.name.as_str();
    let stands_for = |principal: &String| principal == user || leads_to(principal, login, user);
    if !certificate.valid_principals().iter().any(stands_for) {
        return Err(CertificateRefused::Principal);
    }
    Ok(())
}

/// Tells whether a login name of a user's leads to the workspace of a principal,
/// `WORKSPACE.OWNER`.
fn leads_to(principal: &str, login: &str, user: &str) -> bool {
    let Ok(target) = login.parse::<Target>() else {
        return false;
    };
    let owner = target.owner.as_ref().map_or(user, |owner| owner.as_str());
    principal == format!("{}.{owner}", target.workspace)
}
