//! `toso device`: the devices of a unit, for officers and operators: list, move, allow more, revoke.

#![expect(clippy::indexing_slicing, reason = "a JSON value read at a place that it has not is null, and no panic")]

use serde::Serialize;
use serde_json::Value;
use toso_client::rest::Caller;
use toso_core::id::{DevicePrefix, DocId};
use toso_core::time::TimestampMs;

use crate::args::{AdminArgs, DeviceArgs, DeviceCommand};
use crate::fail::Fail;
use crate::{input, output, token_file};

/// Items asked for at a time: the most that the server gives.
const PAGE_ITEMS: usize = 200;

#[derive(Serialize)]
struct MoveOne {
    unit: String,
}

#[derive(Serialize)]
struct MoveAll {
    from: String,
    to: String,
}

/// Runs one command.
pub(crate) fn run(args: DeviceArgs) -> Result<(), Fail> {
    match args.command {
        DeviceCommand::List { admin, unit, json } => {
            let unit = input::unit_of(&unit)?;
            let devices = pages(&admin, &format!("/v1/devices?unit={unit}"))?;
            show(&devices, json.json, &devices["items"])
        }
        DeviceCommand::Move { admin, device, from_list, from_unit, to_list, to_unit, json } => {
            let to = input::unit(input::list(&to_list)?, &to_unit)?.to_string();
            match (device, from_unit) {
                (Some(device), None) => {
                    let path = format!("/v1/devices/{}/move", id(&device)?);
                    let moved = post(&admin, &path, &MoveOne { unit: to })?;
                    changed(&moved, json.json)
                }
                (None, Some(unit)) => {
                    let from = input::unit(input::list(&from_list)?, &unit)?.to_string();
                    let moved = post(&admin, "/v1/devices/move", &MoveAll { from, to })?;
                    if json.json {
                        return output::done_json(&moved);
                    }
                    let moved = moved["moved"].as_array().map_or(0, Vec::len);
                    output::done(&format!("{moved} device(s) moved"))
                }
                _ => {
                    Err(Fail::new("say which device (--device) or which unit's devices (--from-unit), one of the two"))
                }
            }
        }
        DeviceCommand::Allow { admin, device, json } => {
            let path = format!("/v1/devices/{}/allow", id(&device)?);
            let allowed = post(&admin, &path, &serde_json::json!({}))?;
            if json.json {
                return output::done_json(&allowed);
            }
            let mebibytes = allowed["bytes"].as_u64().unwrap_or_default() >> 20;
            output::done(&format!("{} change(s) or {mebibytes} MiB more within 24 hours", allowed["changes"]))
        }
        DeviceCommand::SetAside { admin, device, unit, since, document, why, json } => {
            let path = format!("/v1/devices/{}/set-aside", id(&device)?);
            let unit = input::unit_of(&unit)?.to_string();
            let since = since.as_deref().map(input::instant).transpose()?;
            let document = document.map(|id| id.parse::<DocId>().map_err(Fail::new)).transpose()?;
            let order = serde_json::json!({ "unit": unit, "since": since, "document": document, "why": why });
            decided(&post(&admin, &path, &order)?, json.json)
        }
        DeviceCommand::LetIn { admin, number, why, json } => {
            let undone = post(&admin, &format!("/v1/set-aside/{number}/undo"), &serde_json::json!({ "why": why }))?;
            decided(&undone, json.json)
        }
        DeviceCommand::SetAsides { admin, unit, json } => {
            let found = all_decisions(&admin, &input::unit_of(&unit)?.to_string())?;
            decisions(&serde_json::json!({ "items": found, "next": null }), json.json)
        }
        DeviceCommand::Revoke { admin, device, json } => {
            let path = format!("/v1/devices/{}/revoke", id(&device)?);
            let revoked = post(&admin, &path, &serde_json::json!({}))?;
            changed(&revoked, json.json)
        }
    }
}

/// A device that was changed.
fn changed(device: &Value, json: bool) -> Result<(), Fail> {
    if json { output::done_json(device) } else { output::done(&line(device)) }
}

/// A decision that was just made.
fn decided(decision: &Value, json: bool) -> Result<(), Fail> {
    decisions(decision, json).map_err(|fail| fail.of_done(&decision.to_string()))
}

fn show(whole: &Value, json: bool, devices: &Value) -> Result<(), Fail> {
    if json {
        return output::json(whole);
    }
    let lines: Vec<String> = devices.as_array().into_iter().flatten().map(line).collect();
    if lines.is_empty() {
        output::say("no devices");
        return Ok(());
    }
    output::lines(lines)
}

/// Every page of what was set aside, newest first.
fn all_decisions(admin: &AdminArgs, unit: &str) -> Result<Vec<Value>, Fail> {
    let (mut decisions, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(admin, &format!("/v1/set-aside?unit={unit}&limit=200{after}"))?;
        decisions.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(decisions),
        }
    }
}

/// Decisions to set aside: one, or a list.
fn decisions(found: &Value, json: bool) -> Result<(), Fail> {
    if json {
        return output::json(found);
    }
    let one = [found.clone()];
    let items = found["items"].as_array().map_or(one.as_slice(), Vec::as_slice);
    if items.is_empty() {
        output::say("nothing is set aside");
        return Ok(());
    }
    let lines = items.iter().map(|item| {
        let undone = if item["undone"].is_null() {
            String::new()
        } else {
            format!("  undone {}: {}", by(&item["undone"]), item["undone"]["why"].as_str().unwrap_or("-"))
        };
        let text = |field: &str| item[field].as_str().unwrap_or("-").to_owned();
        format!(
            "{}  {}  {}  {} document(s)  {}: {}{undone}",
            item["number"],
            text("device"),
            text("unit"),
            item["documents"],
            by(item),
            text("why")
        )
    });
    output::lines(lines)
}

/// Who decided, and when.
fn by(decision: &Value) -> String {
    let who = decision["by"].as_str().map_or_else(|| "the admin token".to_owned(), |device| format!("device {device}"));
    let when = decision["at"].as_u64().map_or_else(|| "-".to_owned(), |at| output::instant(TimestampMs(at)));
    format!("by {who}, {when}")
}

fn line(device: &Value) -> String {
    let text = |field: &str| device[field].as_str().unwrap_or("-").to_owned();
    let former: Vec<&str> =
        device["former"].as_array().into_iter().flatten().filter_map(|former| former["unit"].as_str()).collect();
    let former = if former.is_empty() { String::new() } else { format!("  before: {}", former.join(", ")) };
    let state = match device["expires_at"].as_u64() {
        _ if device["revoked"] == true => "  revoked".to_owned(),
        Some(end) => format!("  until {}", output::instant(TimestampMs(end))),
        None => String::new(),
    };
    format!("{}  {}  {}  {}{state}{former}", text("id"), text("unit"), text("role"), text("name"))
}

fn id(text: &str) -> Result<DevicePrefix, Fail> {
    text.parse().map_err(Fail::new)
}

pub(super) fn get(admin: &AdminArgs, path: &str) -> Result<Value, Fail> {
    Ok(admin.reach.rest(&admin.server)?.get(&admin.server, path, &caller(admin)?)?)
}

/// All pages of a list, as one.
fn pages(admin: &AdminArgs, path: &str) -> Result<Value, Fail> {
    let mut whole = get(admin, &format!("{path}&limit={PAGE_ITEMS}"))?;
    let mut items = whole["items"].as_array().cloned().unwrap_or_default();
    while let Some(after) = whole["next"].as_str().map(str::to_owned) {
        whole = get(admin, &format!("{path}&limit={PAGE_ITEMS}&after={after}"))?;
        items.extend(whole["items"].as_array().cloned().unwrap_or_default());
    }
    whole["items"] = Value::Array(items);
    Ok(whole)
}

pub(super) fn post(admin: &AdminArgs, path: &str, content: &impl Serialize) -> Result<Value, Fail> {
    Ok(admin.reach.rest(&admin.server)?.post(&admin.server, path, &caller(admin)?, content)?)
}

fn caller(admin: &AdminArgs) -> Result<Caller, Fail> {
    token_file::read(&admin.admin_token_file)
}
