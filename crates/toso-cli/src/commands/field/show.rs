//! Looking: lists, single records, conflicts, findings, history.

use serde::Serialize;
use serde_json::Value;
use toso_client::fetch_device_names;
use toso_core::id::{AuthorId, DocId};
use toso_core::record::ActivityRecord;
use toso_core::text::Date;
use toso_replica::{DeviceNames, Replica, ReplicaStatus};

use crate::fail::Fail;
use crate::output;

pub(super) fn one(view: &impl Serialize, json: bool) -> Result<(), Fail> {
    if json { output::json(view) } else { output::print(&output::fields(view)?) }
}

pub(super) fn teams(replica: &Replica, json: bool) -> Result<(), Fail> {
    let teams = replica.teams()?;
    list(&teams, json, "no teams here yet", |team| {
        let record = &team.record;
        let name = record.hamlet.as_deref().or(record.local_name.as_deref()).unwrap_or("(toàn xã)");
        let merged = record.merged_into.map(|into| format!(" → {into}")).unwrap_or_default();
        format!("{}  {name}  {}{merged}  {}", team.id, record.status, receipt(team.receipt))
    })
}

pub(super) fn members(replica: &Replica, team: Option<DocId>, json: bool) -> Result<(), Fail> {
    let members = replica.members(team)?;
    list(&members, json, "no members here yet", |member| {
        let record = &member.record;
        let name = record.full_name.as_deref().unwrap_or("(không tên)");
        let merged = record.merged_into.map(|into| format!(" → {into}")).unwrap_or_default();
        format!("{}  {name}  {}{merged}  {}", member.id, record.role, receipt(member.receipt))
    })
}

pub(super) fn communes(replica: &Replica, json: bool) -> Result<(), Fail> {
    let communes = replica.communes()?;
    list(&communes, json, "no hamlets here yet", |commune| {
        let names: Vec<&str> = commune.record.hamlets.values().map(|hamlet| hamlet.name.as_str()).collect();
        format!("{}  {}  {}", commune.commune, names.join(", "), receipt(commune.receipt))
    })
}

/// An activity with its team.
#[derive(Serialize)]
struct Activity<'a> {
    team: DocId,
    id: &'a str,
    #[serde(flatten)]
    record: &'a ActivityRecord,
}

pub(super) fn activities(replica: &Replica, team: Option<DocId>, json: bool) -> Result<(), Fail> {
    let teams = match team {
        Some(id) => vec![replica.team(id)?],
        None => replica.teams()?,
    };
    let mut all: Vec<Activity<'_>> = Vec::new();
    for team in &teams {
        let of_team = team.record.activities.iter();
        all.extend(of_team.map(|(id, record)| Activity { team: team.id, id, record }));
    }
    all.sort_by(|a, b| a.record.date.cmp(&b.record.date));
    list(&all, json, "no activities here yet", |Activity { team, id, record }| {
        let day = record.date.as_deref().and_then(|day| Date::parse(day).ok());
        let day = day.map_or_else(|| "(no day)".to_owned(), |day| day.display_vi());
        let kind = record.kind.map_or_else(|| "-".to_owned(), |kind| kind.to_string());
        format!("{id}  {day}  {kind}  {} reached  team {team}", record.reached)
    })
}

pub(super) fn sign_offs(replica: &Replica, json: bool) -> Result<(), Fail> {
    list(&replica.communes()?, json, "no commune's figures here yet", |commune| {
        let record = &commune.record;
        let day = record.signed_off_on.as_deref().and_then(|day| Date::parse(day).ok());
        let signed = day.map_or_else(
            || "not signed off".to_owned(),
            |day| {
                let by = record.signed_off_by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
                format!("signed off for {}{by}", day.display_vi())
            },
        );
        format!("{}  {signed}  {} hamlet(s)  {}", commune.commune, record.hamlets.len(), receipt(commune.receipt))
    })
}

pub(super) fn conflicts(replica: &Replica, json: bool) -> Result<(), Fail> {
    let (conflicts, names) = (replica.conflicts()?, replica.device_names()?);
    if json {
        let mut found = serde_json::to_value(&conflicts)?;
        let values = found.as_array_mut().into_iter().flatten().filter_map(|conflict| conflict.get_mut("values"));
        name_all(values, &names);
        return output::json(&found);
    }
    if conflicts.is_empty() {
        output::say("no conflicts");
        return Ok(());
    }
    output::lines(conflicts.iter().flat_map(|conflict| {
        let head = format!("{} {}", conflict.id, conflict.field);
        let values = conflict.values.iter().map(|value| {
            let written = &value.written;
            let brought_back = value.brought_back_by.map(|by| format!(", brought back by {}", who(&names, by)));
            let by = who(&names, written.device) + &brought_back.unwrap_or_default();
            format!("    {:?} by {by} at {}", written.value, output::instant(written.at))
        });
        std::iter::once(head).chain(values).collect::<Vec<_>>()
    }))
}

/// Fetches what devices are called.
pub(super) fn fetch_names(replica: &Replica, ids: &[String]) -> Result<(), Fail> {
    let documents = ids.iter().map(|id| id.parse()).collect::<Result<Vec<DocId>, _>>()?;
    let fetched = fetch_device_names(replica, &documents)?;
    output::say(&format!("{fetched} new name(s)"));
    Ok(())
}

/// A device as people know it.
fn who(names: &DeviceNames, device: AuthorId) -> String {
    match (names.is_own(device), names.name(device)) {
        (true, None) => "this device".to_owned(),
        (true, Some(name)) => format!("this device ({name})"),
        (false, None) => format!("device {device}"),
        (false, Some(name)) => format!("{name} (device {device})"),
    }
}

/// Puts beside each `device` of a list what it is called, and beside who brought a save back.
fn name_all<'a>(lists: impl Iterator<Item = &'a mut Value>, names: &DeviceNames) {
    for item in lists.filter_map(Value::as_array_mut).flatten().filter_map(Value::as_object_mut) {
        let device = item.get("device").and_then(Value::as_str).and_then(|id| id.parse::<AuthorId>().ok());
        let brought_back = item.get("brought_back_by").and_then(Value::as_str).and_then(|id| id.parse().ok());
        if let Some(by) = brought_back {
            item.insert("brought_back_by_name".to_owned(), names.name(by).into());
        }
        let Some(device) = device else { continue };
        item.insert("device_name".to_owned(), names.name(device).into());
        item.insert("this_device".to_owned(), names.is_own(device).into());
    }
}

pub(super) fn findings(replica: &Replica, json: bool) -> Result<(), Fail> {
    list(&replica.findings()?, json, "nothing to look at", |finding| {
        let value = serde_json::to_value(finding).unwrap_or_default();
        let mut parts: Vec<String> = Vec::new();
        if let Some(map) = value.as_object() {
            parts.extend(map.get("finding").and_then(|name| name.as_str()).map(str::to_owned));
            parts.extend(map.iter().filter(|(key, value)| *key != "finding" && !value.is_null()).map(
                |(key, value)| format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            ));
        }
        parts.join("  ")
    })
}

pub(super) fn history(replica: &Replica, id: DocId, json: bool) -> Result<(), Fail> {
    let (history, names) = (replica.history(id)?, replica.device_names()?);
    if json {
        let mut found = serde_json::to_value(&history)?;
        name_all(std::iter::once(&mut found), &names);
        return output::json(&found);
    }
    list(&history, json, "no saves yet", |entry| {
        let changes: Vec<String> = entry.save.changes.iter().map(|(field, value)| format!("{field}={value}")).collect();
        let brought_back = entry.brought_back_by.map(|by| format!(", brought back by {}", who(&names, by)));
        let by = who(&names, entry.save.device) + &brought_back.unwrap_or_default();
        format!("{}  {by}  {}", output::instant(entry.save.at), changes.join("  "))
    })
}

/// The device at a glance, for people.
pub(super) fn status(replica: &Replica, status: &ReplicaStatus) -> Result<(), Fail> {
    let name = replica.device_names()?.own_name().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut lines = vec![format!("device: {}{name}", status.device)];
    match (&status.unit, &status.role, &status.server) {
        (Some(unit), Some(role), Some(server)) => lines.push(format!("enrolled: as {role} in {unit} at {server}")),
        _ => lines.push("enrolled: no; use an invite with `field enrol`".to_owned()),
    }
    if status.shut_out {
        lines.push(shut_out(status));
    } else if let Some(end) = status.token_ends {
        lines.push(format!(
            "may sync until {}; each sync of the last three months before renews that by itself",
            output::instant(end)
        ));
    }
    lines.push(format!("records: {} here; {} change(s) not sent yet", status.documents, status.unsent));
    lines.extend(waits_for_role(status));
    lines.extend(rest(status));
    if !status.held.is_empty() {
        lines.push(format!("held: {} change(s) refused or held for review; `held list` shows them", status.held.len()));
    }
    if let Some(totals) = &status.totals {
        let at = output::instant(totals.at);
        lines.push(format!("counted by the centre on {at}: {} team(s), {} member(s)", totals.teams, totals.members));
    }
    output::lines(lines)
}

/// That the server has shut the device out, what becomes of what is here, and what can be done.
fn shut_out(status: &ReplicaStatus) -> String {
    format!(
        "shut out: the server said at the last sync that this device is revoked. It receives nothing more; what it still sends \
         (now {} change(s)) goes to officers for review, not into the register. Ask your officer; who is to go on leaves with this \
         folder (`field leave`) and joins as a new device with a new invite",
        status.unsent
    )
}

/// How many changes wait since the device's role only reads, and what can be done.
pub(super) fn waits_for_role(status: &ReplicaStatus) -> Option<String> {
    let role = status.role.as_deref().filter(|_| status.waits_for_role > 0)?;
    Some(format!(
        "{} change(s) wait here, since this device's role, {role}, only reads: none is lost; ask your officer for an invite \
         as recorder (`field enrol`) and sync, and they go out",
        status.waits_for_role
    ))
}

/// For how long the centre takes no more of this device, whose share is used up, and what can be done.
pub(super) fn rest(status: &ReplicaStatus) -> Option<String> {
    let length = length_of(status.rests_for_s?);
    // What follows in the centre's words was so when it said them.
    let why = status.rests_why.as_deref().and_then(|why| why.split(';').next()).filter(|why| !why.is_empty());
    let why = why.unwrap_or("a share of the day is used up");
    Some(format!(
        "the centre takes no more from this device for {length}, then its changes go out by themselves: {why}. An officer's \
         `toso device allow` gives the device more, and helps where the share is its own"
    ))
}

/// Seconds as people say them; what begins counts.
fn length_of(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        minutes @ 0..=120 => format!("{minutes} minute(s)"),
        minutes => format!("{} hours", minutes.div_ceil(60)),
    }
}

pub(super) fn list<T: Serialize>(items: &[T], json: bool, none: &str, line: impl Fn(&T) -> String) -> Result<(), Fail> {
    if json {
        return output::json(&items);
    }
    if items.is_empty() {
        output::say(none);
        return Ok(());
    }
    output::lines(items.iter().map(line))
}

fn receipt(receipt: toso_replica::Receipt) -> &'static str {
    match receipt {
        toso_replica::Receipt::Saved => "saved here",
        toso_replica::Receipt::Held => "held for review",
        toso_replica::Receipt::Received => "received",
        toso_replica::Receipt::Counted => "counted",
    }
}
