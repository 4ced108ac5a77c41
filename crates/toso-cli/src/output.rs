//! What commands print: one JSON value, or readable lines.

use std::io::Write;

use serde::Serialize;

use crate::fail::Fail;

/// One JSON value and a line end, on stdout.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Fail> {
    print(&serde_json::to_string_pretty(value)?)
}

/// A text and a line end, on stdout. A reader that has gone away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Fail> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
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
        let indent = "  ".repeat(depth);
        match value {
            Value::Null => {}
            Value::Array(list) if list.is_empty() => {}
            Value::Object(inner) if inner.values().all(Value::is_null) => {}
            Value::Object(_) => {
                text.push_str(&format!("{indent}{key}:\n"));
                walk(value, depth + 1, text);
            }
            Value::Array(list) => {
                let items: Vec<String> = list.iter().map(plain).collect();
                text.push_str(&format!("{indent}{key}: {}\n", items.join(", ")));
            }
            _ => text.push_str(&format!("{indent}{key}: {}\n", plain(value))),
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An instant as people in Viet Nam read it (+07:00, no daylight saving).
pub(crate) fn instant(at: toso_core::time::TimestampMs) -> String {
    const VIET_NAM: time::UtcOffset = time::macros::offset!(+7);
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let format = time::macros::format_description!("[day]/[month]/[year] [hour]:[minute]");
    moment.to_offset(VIET_NAM).format(&format).unwrap_or_default()
}
