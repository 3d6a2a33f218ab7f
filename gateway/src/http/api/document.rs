//! The `OpenAPI` document: how one operation is described, and how they make a whole.
//!
//! The table of operations is the only place that says which paths there are: routes
//! take theirs from it by the operation's id.

mod bytes;

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::info::{ContactBuilder, InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::http::{live, problem};
use crate::identity::COOKIE;
pub(super) use bytes::BYTES;
pub(super) use live::EVENTS;

/// Media type of text that is read by people.
pub(super) const TEXT: &str = "text/plain";

/// Media type of certificates in PEM (RFC 8555 §9.1).
pub(super) const PEM: &str = "application/pem-certificate-chain";

const JSON: &str = "application/json";

/// Where the paths of the table begin.
pub(super) const BASE: &str = "/api/v1";

/// Statuses that every operation may answer with: the request can't be read, it asks
/// for a host that isn't served, the server fails or starts.
const EVERYWHERE: [u16; 4] = [400, 421, 500, 503];

/// Who answers an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A handler of this API.
    Handler,
    /// The proxy to workspaces' agents.
    Proxy,
}

/// One operation.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    /// Its path below [`BASE`], with `{name}` for what varies.
    pub(super) path: &'static str,
    /// What it is called.
    pub(super) id: &'static str,
    pub(super) by: By,
    signed: Signed,
    builder: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
    responses: BTreeMap<u16, ResponseBuilder>,
}

/// Whether a caller has to be signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    /// By cookie or token.
    In,
    /// Not at all.
    NotNeeded,
}

impl Operation {
    /// Begins to describe one, for whoever is signed in.
    pub(super) fn new(
        method: HttpMethod,
        path: &'static str,
        id: &'static str,
        summary: &str,
    ) -> Self {
        let unsafe_method = !matches!(method, HttpMethod::Get | HttpMethod::Head);
        let described = Self {
            method,
            path,
            id,
            by: By::Handler,
            signed: Signed::In,
            builder: OperationBuilder::new()
                .operation_id(Some(id))
                .summary(Some(summary)),
            schemas: Vec::new(),
            responses: BTreeMap::new(),
        };
        let described = described.errors(&EVERYWHERE).errors(&[401]);
        // Another origin's request, or a token that allows too little.
        if unsafe_method {
            described.errors(&[403])
        } else {
            described
        }
    }

    /// Needs nobody to be signed in.
    pub(super) fn open(mut self) -> Self {
        self.signed = Signed::NotNeeded;
        self.responses.remove(&401);
        self
    }

    /// Is for administrators.
    pub(super) fn admin(self) -> Self {
        self.errors(&[403])
    }

    /// Is answered by the workspace's agent.
    pub(super) fn of_agent(mut self) -> Self {
        self.by = By::Proxy;
        self.errors(&[404, 409, 502, 504])
    }

    /// Says more of it.
    pub(super) fn about(mut self, text: &str) -> Self {
        self.builder = self.builder.description(Some(text));
        self
    }

    /// Files it.
    pub(super) fn tag(mut self, tag: &str) -> Self {
        self.builder = self.builder.tag(tag);
        self
    }

    /// Has a part of its path that varies.
    pub(super) fn parameter<T: PartialSchema>(mut self, name: &str, about: &str) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(T::schema()));
        self.builder = self.builder.parameter(parameter);
        self.errors(&[404])
    }

    /// Has a part of its path that varies, by a pattern.
    pub(super) fn text_parameter(mut self, name: &str, about: &str, pattern: &str) -> Self {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern))
            .max_length(Some(200));
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(schema));
        self.builder = self.builder.parameter(parameter);
        self.errors(&[404])
    }

    /// Takes a header.
    pub(super) fn header(mut self, name: &str, about: &str, pattern: &str) -> Self {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern));
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(schema));
        self.builder = self.builder.parameter(parameter);
        self
    }

    /// Takes a query.
    pub(super) fn query<T: IntoParams>(mut self) -> Self {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            self.builder = self.builder.parameter(parameter);
        }
        self
    }

    /// Takes a body.
    pub(super) fn body<T: ToSchema>(mut self) -> Self {
        let content = ContentBuilder::new().schema(Some(self.reference::<T>()));
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content(JSON, content.build())
            .build();
        self.builder = self.builder.request_body(Some(body));
        self.errors(&[413, 415, 422])
    }

    /// Answers with JSON.
    pub(super) fn answers<T: ToSchema>(mut self, status: StatusCode, about: &str) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(self.reference::<T>()))
            .build();
        let response = self.responses.remove(&status.as_u16());
        let response = response.unwrap_or_default().description(about);
        self.responses
            .insert(status.as_u16(), response.content(JSON, content));
        self
    }

    /// Answers with a page of a list.
    pub(super) fn answers_page<T: ToSchema>(mut self, about: &str) -> Self {
        let items = ArrayBuilder::new().items(self.reference::<T>());
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some(
                "`cursor` of the next page; null: this is the last one",
            ));
        let page = ObjectBuilder::new()
            .property("items", items)
            .property("next", next)
            .required("items")
            .required("next");
        let name = format!("{}Page", T::name());
        self.schemas.push((name.clone(), page.into()));
        let reference = RefOr::<Schema>::Ref(Ref::from_schema_name(name));
        let content = ContentBuilder::new().schema(Some(reference)).build();
        let response = ResponseBuilder::new()
            .description(about)
            .content(JSON, content);
        self.responses.insert(StatusCode::OK.as_u16(), response);
        self
    }

    /// Answers with nothing, or with what is no JSON.
    pub(super) fn answers_plainly(
        mut self,
        status: StatusCode,
        media_types: &[&str],
        about: &str,
    ) -> Self {
        let response = self.responses.remove(&status.as_u16());
        let mut response = response.unwrap_or_default().description(about);
        for media_type in media_types {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let content = ContentBuilder::new().schema(Some(text)).build();
            response = response.content(*media_type, content);
        }
        self.responses.insert(status.as_u16(), response);
        self
    }

    /// Says that an answer sets or clears the dashboard's cookie.
    pub(super) fn with_cookie(mut self, status: StatusCode) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new()
            .schema(Some(text))
            .description(Some("the dashboard's cookie"))
            .build();
        if let Some(response) = self.responses.remove(&status.as_u16()) {
            self.responses
                .insert(status.as_u16(), response.header("Set-Cookie", header));
        }
        self
    }

    /// May refuse with these statuses.
    pub(super) fn errors(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let title = StatusCode::from_u16(*status).ok();
            let title = title.and_then(|status| status.canonical_reason());
            let reference = RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"));
            let content = ContentBuilder::new().schema(Some(reference)).build();
            let response = ResponseBuilder::new()
                .description(title.unwrap_or_default())
                .content(problem::MEDIA_TYPE, content);
            self.responses.entry(*status).or_insert(response);
        }
        self
    }

    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }

    fn finish(self) -> (OperationBuilder, Vec<(String, RefOr<Schema>)>) {
        let mut builder = self.builder;
        for (status, response) in self.responses {
            builder = builder.response(status.to_string(), response.build());
        }
        builder = match self.signed {
            Signed::In => builder
                .security(SecurityRequirement::new("token", [""; 0]))
                .security(SecurityRequirement::new("cookie", [""; 0])),
            Signed::NotNeeded => builder.securities(Some([])),
        };
        (builder, self.schemas)
    }
}

/// Puts the operations together.
pub(super) fn document(operations: Vec<Operation>, tags: &[(&str, &str)]) -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas = BTreeMap::new();
    for operation in operations {
        let (method, path) = (operation.method.clone(), operation.path);
        let (builder, used) = operation.finish();
        schemas.extend(used);
        paths = paths.path(format!("{BASE}{path}"), PathItem::new(method, builder));
    }
    schemas.insert(
        problem::Problem::name().into_owned(),
        problem::Problem::schema(),
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API token, `dgt_…`, made under `/api/v1/me/tokens`.",
        ))
        .build();
    let about = "What a browser gets when it signs in; `devgate` where the dashboard is \
                 reached by plain HTTP. A method that changes something needs an `Origin` of \
                 the dashboard's own with it.";
    let cookie = ApiKeyValue::with_description(COOKIE, about);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(bearer))
        .security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .build();
    let tags = tags.iter().map(|(name, about)| {
        TagBuilder::new()
            .name(*name)
            .description(Some(*about))
            .build()
    });
    let info = InfoBuilder::new()
        .title("devgate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .contact(Some(ContactBuilder::new().name(Some("devgate")).build()))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components))
        .tags(Some(tags.collect::<Vec<_>>()))
        .build()
}

const ABOUT: &str = "Administers workspaces and the account that owns them.

Errors are problems (RFC 9457): `code` is a stable word for programs, `detail` says what to \
do next. Lists come in pages: `next` is the `cursor` of the page that follows. What takes \
long is answered with 202 and goes on; with `?wait=SECONDS` the answer waits for its end. \
What the caller may not see is 404.";

/// Returns the document as its file holds it: indented JSON with a line end.
pub(super) fn text(document: &OpenApi) -> String {
    let value = serde_json::to_value(document).unwrap_or_else(|_| json!({}));
    format!("{value:#}\n")
}
