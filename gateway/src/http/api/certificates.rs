//! `/me/ssh-certificates`: short-lived SSH user certificates.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use time::Duration;

use super::extract::{Asked, Body, Named, Signed};
use super::page::{newest_first, page};
use super::wire::{
    ActionName, Page, Paging, SignSshCertificate, SignedSshCertificate, SshCertificate,
};
use super::{Api, ApiRefused};
use crate::config::Network;
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::identity::{
    AuthorizedKey, CertificateRecord, CertificateWish, NotSigned, SshActions, Target,
};

/// How long a certificate lasts where nothing is said, in seconds.
const DEFAULT_LIFE: u32 = 8 * 3600;

/// How long it may last.
const MAX_LIFE: u32 = 24 * 3600;

/// Networks and workspaces, each, that one may name.
const MAX_NARROWED: usize = 32;

/// `POST /me/ssh-certificates`
pub(super) async fn sign(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<SignSshCertificate>,
) -> Result<(StatusCode, Json<SignedSshCertificate>), Problem> {
    let seconds = new.valid_seconds.unwrap_or(DEFAULT_LIFE);
    if !(1..=MAX_LIFE).contains(&seconds) {
        return Err(value("valid_seconds", "1 to 86400"));
    }
    let networks = new.source_addresses.unwrap_or_default();
    let networks: Result<Vec<Network>, _> = networks.iter().map(|text| text.parse()).collect();
    let form = "up to 32 addresses or networks, as in 192.0.2.0/24";
    let networks = networks.map_err(|_| value("source_addresses", form))?;
    let workspaces = new.workspaces.unwrap_or_default();
    let workspaces: Result<Vec<Target>, _> = workspaces.iter().map(|text| text.parse()).collect();
    let form = "up to 32 names of your workspaces";
    let workspaces = workspaces.map_err(|_| value("workspaces", form))?;
    if networks.len() > MAX_NARROWED || workspaces.len() > MAX_NARROWED {
        return Err(value("source_addresses and workspaces", "up to 32 each"));
    }
    let actions = match new.actions {
        Some(actions) => actions.into_iter().map(Into::into).collect(),
        None => SshActions::all(),
    };
    let wish = CertificateWish {
        key: AuthorizedKey::parse(&new.public_key)?,
        lasts: Duration::seconds(seconds.into()),
        networks,
        workspaces,
        actions,
    };
    let (record, certificate) = api.certificates.sign(&caller, wish).await?;
    let certificate = certificate.to_openssh();
    let certificate = certificate.map_err(|_| NotSigned::Key)?;
    let about = NewEvent::of_user(Kind::SshCertificate, &caller.user)
        .saying("decision", "signed")
        .saying("serial", &record.serial.to_string());
    api.events
        .record(about.saying("principals", &record.principals.join(",")));
    let signed = SignedSshCertificate {
        certificate,
        about: shown(record),
    };
    Ok((StatusCode::CREATED, Json(signed)))
}

fn value(name: &'static str, allowed: &'static str) -> Problem {
    ApiRefused::Value { name, allowed }.into()
}

/// `GET /me/ssh-certificates`
pub(super) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<SshCertificate>>, Problem> {
    let records = api.certificates.list(&caller.user).await?;
    let all = records.into_iter().map(shown).collect();
    let by = |one: &SshCertificate| newest_first(one.created, &one.serial.to_string());
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(all, by, paging.limit, cursor)?))
}

/// `DELETE /me/ssh-certificates/{serial}`
pub(super) async fn revoke(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(serial): Named<u64>,
) -> Result<StatusCode, Problem> {
    if !api.certificates.revoke(&caller.user, serial).await? {
        return Err(ApiRefused::NoSuch {
            what: "SSH certificate of yours that isn't revoked: the list shows what there is",
            code: "no-such-certificate",
        }
        .into());
    }
    let about = NewEvent::of_user(Kind::SshCertificate, &caller.user).saying("decision", "revoked");
    api.events
        .record(about.saying("serial", &serial.to_string()));
    Ok(StatusCode::NO_CONTENT)
}

fn shown(record: CertificateRecord) -> SshCertificate {
    SshCertificate {
        serial: record.serial,
        key_id: record.key_id,
        fingerprint: record.fingerprint,
        principals: record.principals,
        source_addresses: record.networks.iter().map(ToString::to_string).collect(),
        actions: record.actions.iter().map(ActionName::from).collect(),
        created: record.created,
        expires_at: record.expires,
        revoked: record.revoked,
    }
}
