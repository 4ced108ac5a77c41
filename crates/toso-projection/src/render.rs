//! Reports as JSON, CSV and Vietnamese text.

mod csv;
mod text;

pub use self::csv::{UTF8_BOM, csv_file_names, to_csv, to_plain_csv};
pub use self::text::to_text;

use crate::report::Report;

/// Why a report could not be written. Writing to memory fails only when there is none.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The JSON writer gave up.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The CSV writer gave up.
    #[error("the report cannot be written as CSV: {0}")]
    Csv(#[from] ::csv::Error),
}

/// The report as indented JSON, one value, ending with a line break.
pub fn to_json(report: &Report) -> Result<String, RenderError> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    Ok(json)
}
