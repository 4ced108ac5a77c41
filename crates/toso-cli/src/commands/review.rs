//! `toso review`: what waits for an officer's decision: list, accept, return.

#![expect(clippy::indexing_slicing, reason = "a JSON value read at a place that it has not is null, and no panic")]

use serde::Serialize;
use serde_json::Value;

use super::device::{get, post};
use crate::args::{ReviewArgs, ReviewCommand};
use crate::fail::Fail;
use crate::{input, output};

#[derive(Serialize)]
struct Return {
    note: String,
}

/// Runs one command.
pub(crate) fn run(args: ReviewArgs) -> Result<(), Fail> {
    match args.command {
        ReviewCommand::List { admin, unit, status, after, json } => {
            let unit = input::unit_of(&unit)?;
            let mut path = format!("/v1/review?unit={unit}&after={after}");
            if let Some(status) = status.word() {
                path = format!("{path}&status={status}");
            }
            let items = get(&admin, &path)?;
            if json.json {
                return output::json(&items);
            }
            let lines: Vec<String> = items["items"].as_array().into_iter().flatten().flat_map(lines_of).collect();
            if lines.is_empty() {
                output::say("nothing to review");
                return Ok(());
            }
            output::lines(lines)?;
            if let Some(next) = items["next"].as_u64() {
                output::say(&format!("there is more: --after {next}"));
            }
            Ok(())
        }
        ReviewCommand::Accept { admin, numbers } => {
            for number in numbers {
                let item = post(&admin, &format!("/v1/review/{number}/accept"), &serde_json::json!({}))?;
                decided(&item)?;
            }
            Ok(())
        }
        ReviewCommand::Return { admin, number, note } => {
            let item = post(&admin, &format!("/v1/review/{number}/return"), &Return { note })?;
            decided(&item)
        }
    }
}

/// An item that was just decided.
fn decided(item: &Value) -> Result<(), Fail> {
    output::lines(lines_of(item)).map_err(|fail| fail.of_done(&lines_of(item).join(" ")))
}

/// One item: what it is, then what it would write.
fn lines_of(item: &Value) -> [String; 2] {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let changes: Vec<String> = item["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|change| format!("{}={}", change[0].as_str().unwrap_or_default(), change[1].as_str().unwrap_or_default()))
        .collect();
    let maker = match item["device_name"].as_str() {
        Some(name) => format!("{name} (device {})", text("device")),
        None => format!("device {}", text("device")),
    };
    let reason = match (item["brought_back_by"].as_str(), item["brought_back_by_name"].as_str()) {
        (Some(by), Some(name)) => format!("brought back by {name} (device {by}) after the centre had lost it"),
        (Some(by), None) => format!("brought back by device {by} after the centre had lost it"),
        (None, _) => text("reason"),
    };
    let note = if item["note"] == "" { String::new() } else { format!("  note: {}", text("note")) };
    let head = format!(
        "{}  {}  {} {}  {} ({})  by {}, {}{note}",
        item["number"],
        text("status"),
        text("kind"),
        text("document"),
        text("unit_name"),
        text("unit"),
        maker,
        reason,
    );
    [head, format!("    {}", changes.join("  "))]
}
