//! `GET /v1/report`: the picture of the dispatch, as JSON, CSV or Vietnamese text. Every figure is the projection's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use toso_core::unit::{UnitCode, UnitList, UnitRef};
use toso_projection::{Query as ReportQuery, Report, render};

use super::extract::{Params, within};
use super::problem::Problem;
use crate::state::{Shared, now};
use crate::trust::Caller;

/// Writes a report as text.
type Write = fn(&Report) -> Result<String, render::RenderError>;

#[derive(Deserialize)]
pub(super) struct Query {
    list: Option<String>,
    unit: Option<String>,
    format: Option<String>,
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
    let (content_type, write): (_, Write) = match query.format.as_deref().unwrap_or("json") {
        "json" => ("application/json", render::to_json),
        "csv" => ("text/csv; charset=utf-8", render::to_csv),
        "text" => ("text/plain; charset=utf-8", |report| Ok(render::to_text(report))),
        _ => return Err(Problem::invalid("format can be json, csv or text")),
    };
    let report = shared.projector.lock().report(&ReportQuery { list, unit: code }, now())?;
    let body = write(&report).map_err(|error| {
        tracing::error!(%error, "a report could not be written");
        Problem::internal()
    })?;
    std::future::ready(Ok(([(CONTENT_TYPE, content_type)], body).into_response())).await
}
