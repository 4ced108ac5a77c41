//! The report's table as CSV: a header line, then a line for each row, UTF-8, comma, CRLF as RFC 4180 has it.
//!
//! There are two forms, since no one form is read alike by everything that opens CSV. [`to_csv`] is for spreadsheets: it
//! begins with a byte order mark, without which Excel takes UTF-8 for the country's old code page, and codes are written
//! `="00001"`, without which every spreadsheet makes 1 of them. [`to_plain_csv`] is for programs: neither of both.

use std::borrow::Cow;

use toso_core::text::is_hidden;

use super::RenderError;
use crate::figures::Details;
use crate::report::{Report, ReportRow, Status};

/// Put before a CSV file so that Excel reads it as UTF-8 when it is opened by a click.
pub const UTF8_BOM: &str = "\u{feff}";

/// Name of the line that holds what no row has; it is written only when there is something.
const UNPLACED: &str = "Chưa xếp được vào đơn vị";

/// How a code is written.
type Code = fn(&str) -> String;

/// The table for spreadsheets. The lines add up to the report's totals.
pub fn to_csv(report: &Report) -> Result<String, RenderError> {
    let table = table(report, |code| format!("=\"{}\"", inert(code)))?;
    Ok(format!("{UTF8_BOM}{table}"))
}

/// The table for programs: without a byte order mark, codes as they are.
pub fn to_plain_csv(report: &Report) -> Result<String, RenderError> {
    table(report, |code| inert(code).into_owned())
}

/// What to call a file with the table, with and without Vietnamese letters: the list, the unit's code and name, and the day.
pub fn csv_file_names(report: &Report) -> (String, String) {
    let day: String = report.as_of.to_string().chars().take(DAY_CHARS).collect();
    let name: String =
        report.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).take(NAME_CHARS_MAX).collect();
    let (list, code) = (report.list, report.unit);
    (format!("to-cong-nghe-so-{list}-{code}-{day}.csv"), format!("tổ-công-nghệ-số-{list}-{code}-{name}-{day}.csv"))
}

/// `2022-09-07`.
const DAY_CHARS: usize = 10;
/// How much of a unit's name goes into a file's: the longest has some 40 characters.
const NAME_CHARS_MAX: usize = 60;

fn table(report: &Report, code: Code) -> Result<String, RenderError> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let fixed = ["code", "name", "teams", "members", "communes_total", "communes_with_teams", "status"];
    writer.write_record(fixed.into_iter().chain(Details::NAMES.iter().copied()))?;
    for row in &report.rows {
        writer.write_record(cells(row, code))?;
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

fn cells(row: &ReportRow, code: Code) -> Vec<String> {
    let counts = [row.teams, row.members, row.communes_total, row.communes_with_teams];
    let mut cells = vec![code(row.code.as_str()), inert(&row.name).into_owned()];
    cells.extend(counts.iter().map(ToString::to_string));
    cells.push(Status::word(row.status).to_owned());
    cells.extend(row.details.values().map(|value| value.to_string()));
    cells
}

/// A spreadsheet runs a cell that begins like a formula, some also behind blanks or by the wide signs of Asian keyboards; an
/// apostrophe before it makes it text. What nobody sees is left out: it would hide such a beginning.
fn inert(cell: &str) -> Cow<'_, str> {
    let cell = if cell.contains(is_hidden) {
        Cow::Owned(cell.chars().filter(|c| !is_hidden(*c)).collect())
    } else {
        Cow::Borrowed(cell)
    };
    if cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_begins_like_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1"] {
            assert_eq!(inert(formula), format!("'{formula}"));
        }
        for hidden in ["\t=1", "\r=1", "\n=1", "\u{FEFF}=1", "\u{200B}=1", "\u{202E}=1"] {
            assert_eq!(inert(hidden), "'=1", "{hidden:?}");
        }
        assert_eq!(inert("Xã Ia Phí - 1"), "Xã Ia Phí - 1");
    }
}
