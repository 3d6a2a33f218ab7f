//! Bodies that are no JSON document: bytes as they are, JSON a line, messages of a stream.

use http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use super::{EVENTS, Operation};
use crate::http::api::wire::LiveEvent;

/// Media type of bytes that mean nothing here.
pub(in crate::http::api) const BYTES: &str = "application/octet-stream";

/// Media type of JSON documents, one a line.
const LINES: &str = "application/x-ndjson";

impl Operation {
    /// Takes a body of bytes.
    pub(in crate::http::api) fn bytes(mut self, media_types: &[&str], about: &str) -> Self {
        let mut body = RequestBodyBuilder::new()
            // An empty one is one, too.
            .required(Some(Required::False))
            .description(Some(about));
        for media_type in media_types {
            body = body.content(*media_type, binary());
        }
        self.builder = self.builder.request_body(Some(body.build()));
        self.errors(&[408])
    }

    /// Answers with bytes.
    pub(in crate::http::api) fn answers_bytes(
        mut self,
        status: StatusCode,
        media_types: &[&str],
        about: &str,
    ) -> Self {
        let response = self.responses.remove(&status.as_u16());
        let mut response = response.unwrap_or_default().description(about);
        for media_type in media_types {
            response = response.content(*media_type, binary());
        }
        self.responses.insert(status.as_u16(), response);
        self
    }

    /// Has messages of its own that are `T`s.
    pub(in crate::http::api) fn speaks<T: ToSchema>(mut self) -> Self {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }

    /// Goes on where that is asked for: as Server-Sent Events, or over a WebSocket.
    pub(in crate::http::api) fn goes_on(self, about: &str) -> Self {
        self.answers_plainly(StatusCode::OK, &[EVENTS], about)
            .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
            .speaks::<LiveEvent>()
    }

    /// Answers with JSON documents, one a line, each of them a `T`.
    pub(in crate::http::api) fn answers_lines<T: ToSchema>(self, about: &str) -> Self {
        let mut described = self.answers_plainly(StatusCode::OK, &[LINES], about);
        let name = T::name().into_owned();
        described.schemas.push((name, T::schema()));
        T::schemas(&mut described.schemas);
        described
    }

    /// Answers with a header, too.
    pub(in crate::http::api) fn answers_header(
        mut self,
        status: StatusCode,
        name: &str,
        about: &str,
    ) -> Self {
        let header = HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some(about))
            .build();
        if let Some(response) = self.responses.remove(&status.as_u16()) {
            self.responses
                .insert(status.as_u16(), response.header(name, header));
        }
        self
    }

    /// Needs a header.
    pub(in crate::http::api) fn needs_header(
        mut self,
        name: &str,
        about: &str,
        pattern: &str,
    ) -> Self {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern));
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(schema));
        self.builder = self.builder.parameter(parameter);
        self
    }
}

fn binary() -> Content {
    let bytes = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    ContentBuilder::new().schema(Some(bytes)).build()
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}
