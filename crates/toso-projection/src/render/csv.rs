//! The report's table as CSV: a header line, then a line for each row, UTF-8, comma, CRLF as RFC 4180 has it.

use std::borrow::Cow;

use super::RenderError;
use crate::figures::Details;
use crate::report::{Report, ReportRow, Status};

/// Put before a CSV file so that Excel reads it as UTF-8 when it is opened by a click.
pub const UTF8_BOM: &str = "\u{feff}";

/// Name of the line that holds what no row has; it is written only when there is something.
const UNPLACED: &str = "Chưa xếp được vào đơn vị";

/// The table, without a byte order mark (see [`UTF8_BOM`]). The lines add up to the report's totals.
pub fn to_csv(report: &Report) -> Result<String, RenderError> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let fixed = ["code", "name", "teams", "members", "communes_total", "communes_with_teams", "status"];
    writer.write_record(fixed.into_iter().chain(Details::NAMES.iter().copied()))?;
    for row in &report.rows {
        writer.write_record(cells(row))?;
    }
    if report.unplaced.teams > 0 || report.unplaced.members > 0 {
        let (teams, members) = (report.unplaced.teams.to_string(), report.unplaced.members.to_string());
        let counts = ["", UNPLACED, &teams, &members];
        let empty = std::iter::repeat_n("", fixed.len() - counts.len() + Details::NAMES.len());
        writer.write_record(counts.into_iter().chain(empty))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cells(row: &ReportRow) -> Vec<String> {
    let counts = [row.teams, row.members, row.communes_total, row.communes_with_teams];
    let mut cells = vec![inert(row.code.as_str()).into_owned(), inert(&row.name).into_owned()];
    cells.extend(counts.iter().map(ToString::to_string));
    cells.push(Status::word(row.status).to_owned());
    cells.extend(row.details.values().map(|value| value.to_string()));
    cells
}

/// A spreadsheet runs a cell that begins like a formula; an apostrophe before it makes it text.
fn inert(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_begins_like_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(inert(formula), format!("'{formula}"));
        }
        assert_eq!(inert("Xã Ia Phí - 1"), "Xã Ia Phí - 1");
    }
}
