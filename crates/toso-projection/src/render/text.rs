//! The report as an official reads it: the sentence of the dispatch, the names, then the table.

use std::fmt::Write as _;

use toso_core::text::format_number;
use toso_core::unit::{UnitCode, UnitList};
use unicode_segmentation::UnicodeSegmentation;

use crate::report::{NamedUnit, Report, ReportRow, Status};

/// Sentences and lists of names are broken at this width, in characters a person sees: what a terminal has as it comes. The
/// table of the longest names fits into it, too.
const LINE_CHARS_MAX: usize = 80;

/// The report in Vietnamese, for a terminal with a fixed-width font.
pub fn to_text(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    sums(&mut out, report);
    names(&mut out, report);
    table(&mut out, report);
    notes(&mut out, report);
    out
}

fn is_country(report: &Report) -> bool {
    report.unit == UnitCode::COUNTRY
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{ let _ = writeln!($out, $($arg)*); }};
}

fn head(out: &mut String, report: &Report) {
    let name = if is_country(report) { "Cả nước" } else { &report.name };
    line!(out, "TỔ CÔNG NGHỆ SỐ CỘNG ĐỒNG – {}", name.to_uppercase());
    line!(
        out,
        "Tính đến {} (mục sổ số {}),\ntheo danh mục đơn vị hành chính năm {}\n",
        report.as_of.display_vi(),
        format_number(report.as_of_sequence.0),
        report.list
    );
}

fn sums(out: &mut String, report: &Report) {
    if is_country(report) {
        line!(out, "{}/{} tỉnh, thành phố đã có tổ", report.provinces_with_teams, report.provinces_total);
    } else {
        line!(out, "Tình trạng: {}", status_words(report.status, report.communes_total));
    }
    line!(out, "{} tổ", format_number(report.teams));
    line!(out, "{} thành viên", format_number(report.members));
    if report.communes_total > 1 {
        let (with, total) = (format_number(report.communes_with_teams), format_number(report.communes_total));
        line!(out, "{with}/{total} {} đã có tổ", commune_words(report.list));
    }
    let details = &report.details;
    let n = format_number;
    let sentence = format!(
        "Gồm {} tổ cấp thôn, {} tổ cấp xã; {} tổ trưởng, {} tổ phó, {} đoàn viên; {} người học xong nền tảng trực tuyến mở",
        n(details.teams_of_hamlets),
        n(details.teams_of_communes),
        n(details.leaders),
        n(details.deputies),
        n(details.union_members),
        n(details.mooc_completed)
    );
    broken(out, "", &sentence);
}

fn commune_words(list: UnitList) -> &'static str {
    if list == UnitList::L2022 { "xã, phường, thị trấn" } else { "xã, phường, đặc khu" }
}

fn status_words(status: Status, communes_total: u64) -> &'static str {
    match status {
        Status::None => "chưa có tổ",
        Status::Incomplete => "chưa hoàn thành đến cấp xã",
        Status::Complete if communes_total > 1 => "hoàn thành đến cấp xã",
        Status::Complete => "đã có tổ",
    }
}

fn names(out: &mut String, report: &Report) {
    if !is_country(report) {
        return;
    }
    listed(out, "tỉnh, thành phố chưa có tổ", &report.provinces_without);
    listed(out, "tỉnh, thành phố chưa hoàn thành đến cấp xã", &report.provinces_incomplete);
}

/// `11 tỉnh, thành phố chưa có tổ:` and the names below, indented and broken between names.
fn listed(out: &mut String, what: &str, units: &[NamedUnit]) {
    if units.is_empty() {
        line!(out, "\n0 {what}");
        return;
    }
    line!(out, "\n{} {what}:", units.len());
    let last = units.len() - 1;
    let names = units.iter().enumerate().map(|(place, unit)| {
        let mark = if place < last { "," } else { "" };
        format!("{}{mark}", province_name(&unit.name))
    });
    broken_between(out, "  ", names);
}

/// A sentence, broken between its words.
fn broken(out: &mut String, indent: &str, sentence: &str) {
    broken_between(out, indent, sentence.split(' ').map(str::to_owned));
}

/// Parts with a blank between them, broken at [`LINE_CHARS_MAX`].
fn broken_between(out: &mut String, indent: &str, parts: impl Iterator<Item = String>) {
    let mut line = String::new();
    for part in parts {
        if !line.is_empty() && width(indent) + width(&line) + 1 + width(&part) > LINE_CHARS_MAX {
            line!(out, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&part);
    }
    line!(out, "{indent}{line}");
}

/// A province as the dispatch writes it: `Nam Định`, `TP Hà Nội`.
fn province_name(name: &str) -> String {
    match (name.strip_prefix("Tỉnh "), name.strip_prefix("Thành phố ")) {
        (Some(bare), _) => bare.to_owned(),
        (_, Some(bare)) => format!("TP {bare}"),
        _ => name.to_owned(),
    }
}

/// Characters a person sees, each of which takes one column (names are Vietnamese).
fn width(text: &str) -> usize {
    text.graphemes(true).count()
}

fn table(out: &mut String, report: &Report) {
    let of_provinces = is_country(report);
    let unit_title = match report.rows.first().map(|row| row.code.as_str().len()) {
        Some(2) => "Tỉnh, thành phố",
        Some(3) => "Huyện, quận, thị xã, thành phố",
        _ => "Xã, phường",
    };
    let mut lines = vec![["Mã", unit_title, "Tổ", "Thành viên", "Xã có tổ", "Tình trạng"].map(str::to_owned)];
    lines.extend(report.rows.iter().map(|row| cells(row, of_provinces)));
    let unplaced = report.unplaced;
    if unplaced.teams > 0 || unplaced.members > 0 {
        lines.push(sum_cells("Chưa xếp được", unplaced.teams, unplaced.members, String::new()));
    }
    if report.rows.len() > 1 {
        let communes = share(report.communes_with_teams, report.communes_total);
        lines.push(sum_cells("Cộng", report.teams, report.members, communes));
    }
    let mut widths = [0; 6];
    for cells in &lines {
        for (widest, cell) in widths.iter_mut().zip(cells) {
            *widest = width(cell).max(*widest);
        }
    }
    out.push('\n');
    for cells in &lines {
        let mut line = String::new();
        for (column, (cell, widest)) in cells.iter().zip(widths).enumerate() {
            let blanks = " ".repeat(widest - width(cell));
            let gap = if column == 0 { "" } else { "  " };
            // Numbers stand to the right.
            let _ = match column {
                2..=4 => write!(line, "{gap}{blanks}{cell}"),
                _ => write!(line, "{gap}{cell}{blanks}"),
            };
        }
        line!(out, "{}", line.trim_end());
    }
}

fn cells(row: &ReportRow, is_province: bool) -> [String; 6] {
    [
        row.code.to_string(),
        if is_province { province_name(&row.name) } else { row.name.clone() },
        format_number(row.teams),
        format_number(row.members),
        share(row.communes_with_teams, row.communes_total),
        status_words(row.status, row.communes_total).to_owned(),
    ]
}

fn sum_cells(what: &str, teams: u64, members: u64, communes: String) -> [String; 6] {
    [String::new(), what.to_owned(), format_number(teams), format_number(members), communes, String::new()]
}

fn share(part: u64, whole: u64) -> String {
    format!("{}/{}", format_number(part), format_number(whole))
}

fn notes(out: &mut String, report: &Report) {
    if report.list != UnitList::L2022 {
        out.push('\n');
        broken(
            out,
            "",
            "Tổ lập theo đơn vị cũ được tính vào đơn vị mới kế thừa; xã mới nhận một phần của xã cũ đã có tổ được coi là có tổ.",
        );
    }
    if report.unplaced.teams > 0 || report.unplaced.members > 0 {
        out.push('\n');
        broken(
            out,
            "",
            "Chưa xếp được: tổ của xã mới hợp thành từ nhiều đơn vị cũ, hoặc của đơn vị không có trong danh mục; vẫn nằm trong tổng số.",
        );
    }
}
