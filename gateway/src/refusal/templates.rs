//! The rows of the templates' errors.

use ::http::StatusCode as Status;

use super::Reason::Prohibited;
use super::middle::{INTERNAL, see_the_log};
use super::{Refusal, Row, row};
use crate::templates::TemplatesError;

impl Refusal for TemplatesError {
    fn row(&self) -> Row {
        match self {
            Self::NoSuchTemplate(_) => row(Status::NOT_FOUND, "no-such-template", Prohibited),
            Self::Invalid { .. } => {
                row(Status::UNPROCESSABLE_ENTITY, "invalid-template", Prohibited)
            }
            Self::TooLong => row(
                Status::UNPROCESSABLE_ENTITY,
                "template-too-long",
                Prohibited,
            ),
            Self::NeedsContainers { .. } => row(
                Status::UNPROCESSABLE_ENTITY,
                "template-needs-containers",
                Prohibited,
            ),
            Self::TooMuch { .. } => row(Status::UNPROCESSABLE_ENTITY, "too-much", Prohibited),
            Self::TooLittle { .. } => row(Status::UNPROCESSABLE_ENTITY, "too-little", Prohibited),
            Self::NoChoice { .. } | Self::NoTemplate(_) => {
                row(Status::UNPROCESSABLE_ENTITY, "no-choice", Prohibited)
            }
            Self::File { .. } => INTERNAL,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NoSuchTemplate(_)
            | Self::Invalid { .. }
            | Self::TooLong
            | Self::NeedsContainers { .. }
            | Self::TooMuch { .. }
            | Self::TooLittle { .. }
            | Self::NoChoice { .. }
            | Self::NoTemplate(_) => self.to_string(),
            Self::File { .. } => see_the_log(self),
        }
    }
}
