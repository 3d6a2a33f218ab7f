//! Programs that are signed in from a browser.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Post};

use crate::http::api::document::{Operation, PEM};
use crate::http::api::wire::{
    BeginDevice, DeviceCodes, DeviceToken, DeviceWaiting, FinishDevice, Paging, SshApproval,
};
use crate::names::ApprovalId;

/// Returns the operations on approvals that still let SSH connections in.
pub(super) fn approvals() -> Vec<Operation> {
    vec![
        Operation::new(
            Get,
            "/me/ssh-approvals",
            "listSshApprovals",
            "List the approvals that let SSH connections in",
        )
        .about("For a few minutes each, from one address and with one login name.")
        .query::<Paging>()
        .answers_page::<SshApproval>("the approvals, newest first"),
        Operation::new(
            Delete,
            "/me/ssh-approvals/{id}",
            "endSshApproval",
            "End an approval that lets SSH connections in",
        )
        .about("The connections that it let in end, too.")
        .parameter::<ApprovalId>("id", "the approval's id")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "ended"),
    ]
}

/// Returns the operations.
pub(super) fn all() -> Vec<Operation> {
    let coded = |operation: Operation| {
        operation
            .text_parameter("code", "the short code", "^[A-Za-z -]{8,9}$")
            .errors(&[403, 429])
    };
    vec![
        Operation::new(
            Post,
            "/login/device",
            "beginDevice",
            "Ask for a token that somebody approves in a browser",
        )
        .about(
            "After RFC 8628: show `verification_uri` and `user_code`, then poll for the token. \
             The codes live for ten minutes.",
        )
        .open()
        .body::<BeginDevice>()
        .answers::<DeviceCodes>(StatusCode::OK, "the codes"),
        Operation::new(
            Post,
            "/login/device/token",
            "finishDevice",
            "Poll for the token",
        )
        .about(
            "Until it is approved the code of the problem is `authorization-pending`; \
             `slow-down`: wait five seconds longer each time; `access-denied` and \
             `expired-token`: it is over. The token is in one answer, and nowhere else.",
        )
        .open()
        .body::<FinishDevice>()
        .answers::<DeviceToken>(StatusCode::OK, "the token")
        .errors(&[409]),
        coded(Operation::new(
            Get,
            "/login/device/{code}",
            "showDevice",
            "Show a program or SSH connection that waits to be approved",
        ))
        .about("Not for tokens.")
        .answers::<DeviceWaiting>(StatusCode::OK, "what waits"),
        coded(Operation::new(
            Post,
            "/login/device/{code}/approve",
            "approveDevice",
            "Let a program have a token, or SSH connections in",
        ))
        .about(
            "The token will be the caller's; the connections will be theirs, too, and end with \
             their login. Not for tokens.",
        )
        .answers_plainly(StatusCode::NO_CONTENT, &[], "approved"),
        coded(Operation::new(
            Post,
            "/login/device/{code}/refuse",
            "refuseDevice",
            "Let a program have no token, or SSH connections end",
        ))
        .about("Not for tokens.")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "refused"),
        Operation::new(
            Get,
            "/ca",
            "showAuthority",
            "Show the certificate authority",
        )
        .about(
            "That of the gateway's own certificate; compare its fingerprint with what \
             `devgate status` says on the server. 404 where the certificate is another's.",
        )
        .open()
        .answers_plainly(StatusCode::OK, &[PEM], "its certificate, PEM")
        .errors(&[404]),
    ]
}
