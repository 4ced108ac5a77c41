//! What commands print: one JSON value, or readable lines.
//!
//! Everything that comes from data (names, notes, a server's words) can have been written by anybody, and a terminal obeys
//! what it is sent. So all of it goes through here, and what nobody sees in it is written out as numbers.

use std::fmt::Write as _;
use std::io::Write;

use serde::Serialize;
use toso_core::text::{inert, inert_but, is_hidden};

use crate::fail::Fail;

/// Set by `c/stdout.c`.
const STDOUT_CLOSED: &str = "TOSO_STDOUT_CLOSED";

/// One JSON value and a line end, on stdout.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Fail> {
    write(&inert_json(&serde_json::to_string_pretty(value)?))
}

/// One JSON value on a line of its own, on stdout.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Fail> {
    write(&inert_json(&serde_json::to_string(value)?))
}

/// A text of our own making, of one or several lines, on stdout.
pub(crate) fn print(text: &str) -> Result<(), Fail> {
    write(&inert_but(text, |c| c == '\n'))
}

/// The answer of a command that has changed something: when it cannot be written out, the error says that it was done.
pub(crate) fn done(answer: &str) -> Result<(), Fail> {
    print(answer).map_err(|fail| fail.of_done(answer))
}

/// [`done`] with one JSON value.
pub(crate) fn done_json(answer: &impl Serialize) -> Result<(), Fail> {
    json(answer).map_err(|fail| fail.of_done(&serde_json::to_string(answer).unwrap_or_default()))
}

/// Lines on stdout, each of which stays one line whatever is in it.
pub(crate) fn lines(lines: impl IntoIterator<Item = String>) -> Result<(), Fail> {
    let lines: Vec<String> = lines.into_iter().map(|line| inert(&line).into_owned()).collect();
    write(&lines.join("\n"))
}

/// A text with lines of its own, as a server sent it, on stdout.
pub(crate) fn document(text: &str) -> Result<(), Fail> {
    // A table for spreadsheets begins with the mark by which they know its encoding, and its lines end as they want it.
    let (mark, rest) = if text.starts_with('\u{feff}') { text.split_at('\u{feff}'.len_utf8()) } else { ("", text) };
    let rest = inert_but(rest, |c| matches!(c, '\n' | '\r')).replace("\r\n", "\n").replace('\r', "\\u{d}");
    let ends_as_windows = text.contains("\r\n");
    let rest = if ends_as_windows { rest.replace('\n', "\r\n") } else { rest };
    write(&format!("{mark}{rest}"))
}

/// A line on stderr: everything that is not the answer itself.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{}", inert_but(text, |_| false));
}

/// Stdout, unless it was closed when the process began (`>&-`): Rust's runtime puts a place there that takes everything and
/// keeps nothing.
pub(crate) fn open_stdout() -> Result<std::io::Stdout, Fail> {
    if std::env::var_os(STDOUT_CLOSED).is_some() {
        return Err(Fail::of_answer(&std::io::Error::other("stdout is closed")));
    }
    Ok(std::io::stdout())
}

/// A text and a line end, on stdout. A reader that has gone away (`| head`) is no error.
fn write(text: &str) -> Result<(), Fail> {
    let mut stdout = open_stdout()?.lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Fail::of_answer(&error)),
    }
}

/// JSON has a way of its own to write a character out. What is hidden in a JSON text stands within its strings, but for the
/// line ends between its values.
fn inert_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_hidden(c) || c == '\n' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// A record's set fields as `field: value` lines, nested ones indented.
pub(crate) fn fields(value: &impl Serialize) -> Result<String, Fail> {
    let mut text = String::new();
    walk(&serde_json::to_value(value)?, 0, &mut text);
    Ok(text)
}

fn walk(value: &serde_json::Value, depth: usize, text: &mut String) {
    use serde_json::Value;
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let (indent, key) = ("  ".repeat(depth), inert(key));
        match value {
            Value::Null => {}
            Value::Array(list) if list.is_empty() => {}
            Value::Object(inner) if inner.values().all(Value::is_null) => {}
            Value::Object(_) => {
                let _ = writeln!(text, "{indent}{key}:");
                walk(value, depth + 1, text);
            }
            Value::Array(list) => {
                let items: Vec<String> = list.iter().map(plain).collect();
                let _ = writeln!(text, "{indent}{key}: {}", items.join(", "));
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let _ = writeln!(text, "{indent}{key}: {}", plain(value));
            }
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    inert(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)).into_owned()
}

/// An instant as people in Viet Nam read it (+07:00, no daylight saving).
pub(crate) fn instant(at: toso_core::time::TimestampMs) -> String {
    const VIET_NAM: time::UtcOffset = time::macros::offset!(+7);
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let format = time::macros::format_description!("[day]/[month]/[year] [hour]:[minute]");
    moment.to_offset(VIET_NAM).format(&format).unwrap_or_default()
}

/// [`instant`], of milliseconds as answers have them.
pub(crate) fn instant_of(at_ms: u64) -> String {
    instant(toso_core::time::TimestampMs(at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member's name that came past a phone's rules cleared the screen of the officer who listed it.
    #[test]
    fn json_and_fields_of_data_do_nothing_to_a_terminal() {
        let name = "Thử\u{1b}[2J\u{9b}31m\u{202e}\n\u{e0041}\"\\x";
        let value = serde_json::json!({ "full_name": name, "list": [name], "inner": { "name": name } });
        let text = inert_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c: char| is_hidden(c) && c != '\n'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value, "it is the same JSON");
        let shown = fields(&value).unwrap();
        assert!(!shown.contains(|c: char| is_hidden(c) && c != '\n'), "{shown}");
        assert_eq!(shown.lines().count(), 4, "no value makes a line of its own: {shown}");
    }
}
