//! `GET /v1/report`: the picture of the dispatch, as JSON, CSV or Vietnamese text. Every figure is the projection's.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use toso_core::unit::{UnitCode, UnitList, UnitRef};
use toso_projection::{Query as ReportQuery, Report, render};

use super::extract::{Params, within};
use crate::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::Caller;

const CSV: &str = "text/csv; charset=utf-8";

/// Writes a report as text.
type Write = fn(&Report) -> Result<String, render::RenderError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    list: Option<String>,
    unit: Option<String>,
    format: Option<String>,
    /// `1`: the table for programs and not for spreadsheets.
    raw: Option<String>,
}

/// The report of a unit; of the country under the list of 2022 unless the query says otherwise.
pub(super) async fn report(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let text = query.list.as_deref().unwrap_or("2022");
    let list: UnitList = text.parse().map_err(|error| Problem::invalid(format!("list: {error}")))?;
    let code: Option<UnitCode> = query
        .unit
        .as_deref()
        .map(|code| code.parse().map_err(|error| Problem::invalid(format!("unit: {error}"))))
        .transpose()?;
    within(&shared, &caller, code.map_or(UnitRef::country(list), |code| UnitRef { list, code }))?;
    let raw = match query.raw.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(Problem::invalid("raw can be 0 or 1")),
    };
    let (content_type, write): (_, Write) = match (query.format.as_deref().unwrap_or("json"), raw) {
        ("json", false) => ("application/json", render::to_json),
        ("csv", false) => (CSV, render::to_csv),
        ("csv", true) => (CSV, render::to_plain_csv),
        ("text", false) => ("text/plain; charset=utf-8", |report| Ok(render::to_text(report))),
        ("json" | "text", true) => return Err(Problem::invalid("raw is for format=csv")),
        _ => return Err(Problem::invalid("format can be json, csv or text")),
    };
    let report = shared.views.lock().report(&ReportQuery { list, unit: code }, now())?;
    let body = write(&report).map_err(|error| {
        tracing::error!(%error, "a report could not be written");
        Problem::internal()
    })?;
    let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
    if content_type == CSV {
        let (plain, full) = render::csv_file_names(&report);
        let named = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encoded(&full));
        // Both are of letters, digits and hyphens.
        if let Ok(named) = HeaderValue::from_str(&named) {
            response.headers_mut().insert(CONTENT_DISPOSITION, named);
        }
    }
    Ok(response)
}

/// A name as RFC 8187 has it: everything but unreserved ASCII by its bytes.
fn percent_encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len() * 3);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
