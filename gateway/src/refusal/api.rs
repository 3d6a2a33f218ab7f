//! The rows of the REST API, and of signing in.

use ::http::StatusCode as Status;

use super::Reason::{ConnectFailed, Prohibited, ResourceShortage};
use super::middle::{INTERNAL, see_the_log};
use super::{Refusal, Row, row};
use crate::http::api::ApiRefused;
use crate::identity::{NoDecision, NotApproved, PasswordError, SessionError, SignInError};

impl Refusal for ApiRefused {
    fn row(&self) -> Row {
        match self {
            Self::SignedOut => row(Status::UNAUTHORIZED, "signed-out", Prohibited),
            Self::ForeignOrigin { .. } => row(Status::FORBIDDEN, "foreign-origin", Prohibited),
            Self::Scope { .. } => row(Status::FORBIDDEN, "scope-too-small", Prohibited),
            Self::Narrowed(_) => row(Status::FORBIDDEN, "token-narrowed", Prohibited),
            Self::NotAdmin => row(Status::FORBIDDEN, "not-an-administrator", Prohibited),
            Self::Hosts(_) => row(Status::BAD_REQUEST, "bad-host", Prohibited),
            Self::WrongHost { .. } => row(Status::MISDIRECTED_REQUEST, "wrong-host", Prohibited),
            Self::MediaType => row(Status::UNSUPPORTED_MEDIA_TYPE, "no-json", Prohibited),
            Self::TooLarge { .. } => row(Status::PAYLOAD_TOO_LARGE, "too-large", ResourceShortage),
            Self::Broken | Self::Cursor | Self::Value { .. } => {
                row(Status::BAD_REQUEST, "bad-request", Prohibited)
            }
            Self::Content(_)
            | Self::BadTime
            | Self::TwoTimes
            | Self::Narrowing(_)
            | Self::NarrowedAdmin => {
                row(Status::UNPROCESSABLE_ENTITY, "invalid-request", Prohibited)
            }
            Self::NoSuch { code, .. } => row(Status::NOT_FOUND, code, Prohibited),
            Self::TooMany { .. } => row(Status::CONFLICT, "too-many", ResourceShortage),
            Self::KeyReused => row(
                Status::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                Prohibited,
            ),
            Self::UnderWay => row(Status::CONFLICT, "request-under-way", Prohibited),
            Self::NoUpgrade => row(Status::UPGRADE_REQUIRED, "no-upgrade", Prohibited),
            Self::Session(error) => error.row(),
            Self::NoConnection => INTERNAL,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Session(error) => error.text(),
            Self::NoConnection => see_the_log(self),
            Self::SignedOut
            | Self::ForeignOrigin { .. }
            | Self::Scope { .. }
            | Self::Narrowed(_)
            | Self::Narrowing(_)
            | Self::NarrowedAdmin
            | Self::NotAdmin
            | Self::Hosts(_)
            | Self::WrongHost { .. }
            | Self::MediaType
            | Self::TooLarge { .. }
            | Self::Broken
            | Self::Cursor
            | Self::Value { .. }
            | Self::Content(_)
            | Self::BadTime
            | Self::TwoTimes
            | Self::NoSuch { .. }
            | Self::TooMany { .. }
            | Self::KeyReused
            | Self::NoUpgrade
            | Self::UnderWay => self.to_string(),
        }
    }
}

impl Refusal for SessionError {
    fn row(&self) -> Row {
        match self {
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        see_the_log(self)
    }
}

impl Refusal for SignInError {
    fn row(&self) -> Row {
        match self {
            Self::Wrong => row(Status::UNAUTHORIZED, "wrong-password", Prohibited),
            Self::Link => row(Status::UNAUTHORIZED, "link-ended", Prohibited),
            Self::Current => row(Status::FORBIDDEN, "wrong-password", Prohibited),
            Self::LoginNeeded => row(Status::FORBIDDEN, "login-needed", Prohibited),
            Self::Locked(_) => row(Status::TOO_MANY_REQUESTS, "locked-out", Prohibited),
            Self::Password(error) => error.row(),
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Wrong | Self::Link | Self::Current | Self::LoginNeeded | Self::Locked(_) => {
                self.to_string()
            }
            Self::Password(error) => error.text(),
            Self::Store(error) => error.text(),
        }
    }
}

/// The words are those of RFC 8628 §3.5, as words are written here.
impl Refusal for NotApproved {
    fn row(&self) -> Row {
        let code = match self {
            Self::Pending => "authorization-pending",
            Self::TooSoon => "slow-down",
            Self::Refused => "access-denied",
            Self::Ended => "expired-token",
        };
        row(Status::BAD_REQUEST, code, Prohibited)
    }
}

impl Refusal for NoDecision {
    fn row(&self) -> Row {
        match self {
            Self::NoSuchCode => row(Status::NOT_FOUND, "no-such-code", Prohibited),
            Self::OwnersAlone(_) => row(Status::FORBIDDEN, "owner-alone", Prohibited),
            Self::TooManyTries => row(Status::TOO_MANY_REQUESTS, "too-many-tries", Prohibited),
        }
    }
}

impl Refusal for PasswordError {
    fn row(&self) -> Row {
        match self {
            Self::TooShort | Self::TooLong => {
                row(Status::UNPROCESSABLE_ENTITY, "password-refused", Prohibited)
            }
            Self::Busy => row(Status::SERVICE_UNAVAILABLE, "busy", ConnectFailed),
            Self::Hash(_) | Self::Task(_) => INTERNAL,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::TooShort | Self::TooLong | Self::Busy => self.to_string(),
            Self::Hash(_) | Self::Task(_) => see_the_log(self),
        }
    }
}
