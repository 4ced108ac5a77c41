//! Looking: lists, single records, conflicts, findings, history.

use serde::Serialize;
use toso_client::Replica;
use toso_core::id::DocId;

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

pub(super) fn conflicts(replica: &Replica, json: bool) -> Result<(), Fail> {
    list(&replica.conflicts()?, json, "no conflicts", |conflict| {
        let values: Vec<String> = conflict
            .values
            .iter()
            .map(|value| {
                format!("    {:?} by device {} at {}", value.value, value.device, crate::output::instant(value.at))
            })
            .collect();
        format!("{} {}\n{}", conflict.id, conflict.field, values.join("\n"))
    })
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
    list(&replica.history(id)?, json, "no saves yet", |entry| {
        let changes: Vec<String> = entry.changes.iter().map(|(field, value)| format!("{field}={value}")).collect();
        format!("{}  device {}  {}", crate::output::instant(entry.at), entry.device, changes.join("  "))
    })
}

pub(super) fn list<T: Serialize>(items: &[T], json: bool, none: &str, line: impl Fn(&T) -> String) -> Result<(), Fail> {
    if json {
        return output::json(&items);
    }
    if items.is_empty() {
        eprintln!("{none}");
        return Ok(());
    }
    output::print(&items.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn receipt(receipt: toso_client::Receipt) -> &'static str {
    match receipt {
        toso_client::Receipt::Saved => "saved here",
        toso_client::Receipt::Held => "held for review",
        toso_client::Receipt::Received => "received",
        _ => "counted",
    }
}
