//! What handlers take from a request, with problem+json when it does not fit.

use std::sync::Arc;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use toso_core::id::DocId;
use toso_core::text::check_visible;
use toso_core::unit::UnitRef;
use toso_wire::limits::DETAIL_BYTES_MAX;

use super::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::problem::Problem;
use crate::state::Shared;
use crate::trust::Caller;

/// How much of an unknown parameter's name is repeated.
const PARAMETER_CHARS_MAX: usize = 40;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body is not JSON")
                .detail("send Content-Type: application/json"));
        }
        let bytes =
            axum::body::Bytes::from_request(request, shared).await.map_err(|rejection| too_large(&rejection))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::invalid(unreadable(&error)))
    }
}

/// What is wrong with a body, in words of the body: a place in a line that a program wrote tells a person nothing, but where the
/// line itself is broken.
fn unreadable(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let (text, (line, column)) = (error.to_string(), (error.line(), error.column()));
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    match error.classify() {
        Category::Data => format!("the body: {what}"),
        Category::Syntax | Category::Eof | Category::Io => {
            format!("the body is not JSON: {what}, in its line {line} at character {column}")
        }
    }
}

/// No body, or an empty JSON object: what is done is said by the address alone, and a field that would do nothing is told.
pub(super) struct NoBody;

impl FromRequest<Arc<Shared>> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let bytes =
            axum::body::Bytes::from_request(request, shared).await.map_err(|rejection| too_large(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self);
        }
        let read: Result<Empty, _> = serde_json::from_slice(&bytes);
        read.map(|Empty {}| Self)
            .map_err(|error| Problem::invalid(format!("this takes no body: {}", unreadable(&error))))
    }
}

/// Refuses a query where an address takes none: a parameter that does nothing must not be taken for one that does.
pub(super) async fn no_parameters(request: Request, next: Next) -> Response {
    let name = request.uri().query().filter(|query| !query.is_empty()).map(|query| {
        let name = query.split(['&', '=']).next().unwrap_or_default();
        name.chars().take(PARAMETER_CHARS_MAX).collect::<String>()
    });
    match name {
        None => next.run(request).await,
        Some(name) => {
            Problem::invalid(format!("unknown field `{name}`: this address takes no parameters")).into_response()
        }
    }
}

/// A body that could not be read: over its limit, or cut off.
fn too_large(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large").detail(rejection.body_text())
    } else {
        Problem::invalid(rejection.body_text())
    }
}

/// The query's parameters. `T` denies unknown ones, so that a mistyped filter gives an error that names it and the known
/// ones, and not the answer to another question; a repeated one is refused by the same reader.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Shared>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, shared).await;
        query.map(|Query(params)| Self(params)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// The path's last part as an id.
pub(super) struct Id<T>(pub(super) T);

impl<T: std::str::FromStr<Err: std::fmt::Display>> FromRequestParts<Arc<Shared>> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let Path(text): Path<String> = Path::from_request_parts(parts, shared)
            .await
            .map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| Problem::invalid(error.to_string()))
    }
}

/// A unit as `2022/00001`, checked to exist and to lie within the caller's.
pub(super) fn unit_within(shared: &Shared, caller: &Caller, text: &str) -> Result<UnitRef, Problem> {
    let unit: UnitRef = text.parse().map_err(|error: toso_core::unit::UnitError| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-unit", "No such unit").detail(error.to_string())
    })?;
    within(shared, caller, unit)
}

/// A unit, checked to exist and to lie within the caller's.
pub(super) fn within(shared: &Shared, caller: &Caller, unit: UnitRef) -> Result<UnitRef, Problem> {
    shared.catalog.lookup(unit)?;
    if caller.covers(shared.catalog, unit) {
        Ok(unit)
    } else {
        Err(Problem::forbidden(format!("{unit} is outside your unit {}", caller.unit)))
    }
}

/// Why an officer decides so, in his words: 1 to [`DETAIL_BYTES_MAX`] bytes that can be seen, in lines.
pub(super) fn said(what: &'static str, text: &str) -> Result<String, Problem> {
    let said = text.replace("\r\n", "\n").replace('\t', " ").trim().to_owned();
    for line in said.split('\n') {
        check_visible(what, line).map_err(|error| Problem::invalid(error.to_string()))?;
    }
    if said.is_empty() || said.len() > DETAIL_BYTES_MAX {
        let bytes = said.len();
        return Err(Problem::invalid(format!("{what} has {bytes} bytes; say why in 1 to {DETAIL_BYTES_MAX}")));
    }
    Ok(said)
}

/// A list's length.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => Err(Problem::invalid(format!("limit is {limit}; it can be 1 to {LIMIT_MAX}"))),
    }
}

/// A list's starting point: the id that the page before ended with.
pub(super) fn cursor(after: Option<&str>) -> Result<Option<DocId>, Problem> {
    after
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error: toso_core::id::IdError| Problem::invalid(format!("after: {error}"))))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: an officer who gave a wrong id was told of line 1, column 18.
    #[test]
    fn a_body_that_cannot_be_read_is_told_in_words() {
        #[derive(Debug, serde::Deserialize)]
        struct Asked {
            #[expect(dead_code, reason = "only read")]
            unit: DocId,
        }
        let said = |body: &str| unreadable(&serde_json::from_str::<Asked>(body).unwrap_err());
        assert_eq!(said("{}"), "the body: missing field `unit`");
        for body in [r#"{"unit": 7}"#, r#"{"unit": "x"}"#] {
            let said = said(body);
            assert!(said.starts_with("the body: ") && !said.contains("column"), "{said}");
        }
        assert_eq!(said("{,"), "the body is not JSON: key must be a string, in its line 1 at character 2");
        assert!(said("{").starts_with("the body is not JSON: "));
    }
}
