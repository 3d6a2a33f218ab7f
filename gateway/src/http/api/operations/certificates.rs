//! SSH user certificates.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Post};

use crate::http::api::document::Operation;
use crate::http::api::wire::{Paging, SignSshCertificate, SignedSshCertificate, SshCertificate};

/// Returns the operations.
pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new(
            Get,
            "/me/ssh-certificates",
            "listSshCertificates",
            "List the SSH certificates",
        )
        .about("Those that ended within a week included.")
        .query::<Paging>()
        .answers_page::<SshCertificate>("the certificates, newest first"),
        Operation::new(
            Post,
            "/me/ssh-certificates",
            "signSshCertificate",
            "Get an SSH certificate for a key",
        )
        .about(
            "With it the key signs in until it ends, in nothing but what it allows, and no \
             longer than the login or token that asks.",
        )
        .body::<SignSshCertificate>()
        .answers::<SignedSshCertificate>(StatusCode::CREATED, "signed")
        .errors(&[404, 409]),
        Operation::new(
            Delete,
            "/me/ssh-certificates/{serial}",
            "revokeSshCertificate",
            "Revoke an SSH certificate",
        )
        .about("The connections that it let in end, too.")
        .parameter::<u64>("serial", "its serial number")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "revoked"),
    ]
}
