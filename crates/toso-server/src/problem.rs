//! Errors as problem+json (RFC 9457): what is wrong, where, and how to mend it.

use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use toso_catalog::CatalogError;
use toso_projection::ProjectionError;
use toso_store::StoreError;

use crate::documents::ReadError;
use crate::trust::ClockBehind;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug)]
struct Content {
    status: StatusCode,
    /// `urn:toso:` and this is the problem's type; stable, for programs.
    kind: &'static str,
    title: &'static str,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self(Box::new(Content { status, kind, title, detail: String::new(), more: Map::new(), headers: Vec::new() }))
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The request's content cannot be used.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request cannot be understood").detail(detail)
    }

    /// The caller's rights do not reach so far.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not within your rights").detail(detail)
    }

    /// No such thing, or none that the caller may see.
    pub(crate) fn missing(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(format!("there is no {what} {id} here"))
    }

    /// A bound of the day is reached.
    pub(crate) fn many_today(wait_ms: u64, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "many-today", "As much as a day allows")
            .detail(detail)
            .header(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)))
    }

    /// The server failed; what exactly is in its log and none of the caller's business.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed")
            .detail("try again later; the server's log has the cause")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Content { status, kind, title, detail, mut more, headers } = *self.0;
        more.insert("type".to_owned(), format!("urn:toso:{kind}").into());
        more.insert("title".to_owned(), title.into());
        more.insert("status".to_owned(), status.as_u16().into());
        if !detail.is_empty() {
            more.insert("detail".to_owned(), detail.into());
        }
        let mut response = (status, Value::Object(more).to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().extend(headers);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed in the store");
        match error {
            StoreError::Full { .. } => Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", "The server's disk is full")
                .detail("nothing was stored; try again once the operator has made space"),
            StoreError::Raced { .. } => Self::new(StatusCode::CONFLICT, "raced", "Somebody was faster")
                .detail("the record changed at the same moment; try again"),
            StoreError::Io { .. }
            | StoreError::InUse { .. }
            | StoreError::NewerFormat { .. }
            | StoreError::WrongKind { .. }
            | StoreError::WrongKey { .. }
            | StoreError::NotEmpty { .. }
            | StoreError::Damaged { .. }
            | StoreError::Lost { .. }
            | StoreError::TooLarge { .. }
            | StoreError::TooMany { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Mixed { .. }
            | StoreError::NotNext { .. }
            | StoreError::NotFound(_) => Self::internal(),
        }
    }
}

impl From<ClockBehind> for Problem {
    fn from(behind: ClockBehind) -> Self {
        tracing::error!("{behind}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server-clock", "The server's clock is wrong")
            .detail(behind.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Spent => Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-costly", "The answer costs too much")
                .detail("ask for fewer documents at a time, with limit=1"),
            // Nobody reads this.
            ReadError::Abandoned => Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "Nobody waited"),
            ReadError::Broken => {
                tracing::error!("a document could not be read for a request");
                Self::internal()
            }
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-unit", "No such unit").detail(error.to_string())
    }
}

impl From<ProjectionError> for Problem {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Unit(error) => error.into(),
        }
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(panicked = error.is_panic(), "a request's work ended before its answer");
        Self::internal()
    }
}

pub(crate) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "No such address")
        .detail(format!("{} is no address of this server; docs/http-api.md lists those that it has", cut(uri.path())))
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method")
        .detail(format!("{} does not take {method}; see the Allow header", cut(uri.path())))
}

/// Enough of a path to recognise it.
fn cut(path: &str) -> String {
    path.chars().take(80).collect()
}
