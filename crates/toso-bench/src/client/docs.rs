//! The documents that a harness wants recorded: JSON lines `{device, kind, key, fields}` with the register's field names.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{DocId, DocKind};
use toso_core::record::TeamLevel;
use toso_core::text::PlaceName;
use toso_replica::{Replica, TeamDraft};

use crate::error::BenchError;

/// One document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doc {
    /// The device that records it.
    device: usize,
    kind: Kind,
    /// Its name in the harness.
    pub(super) key: String,
    fields: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Team,
    Member,
}

/// The documents of every device, in the file's order.
pub(super) fn read(path: &Path) -> Result<BTreeMap<usize, Vec<Doc>>, BenchError> {
    let file = std::fs::File::open(path)
        .map_err(|error| BenchError::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut devices: BTreeMap<usize, Vec<Doc>> = BTreeMap::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let doc: Doc = serde_json::from_str(&line)
            .map_err(|error| BenchError::usage(format!("{}, line {number}: {error}", path.display())))?;
        devices.entry(doc.device).or_default().push(doc);
    }
    if devices.is_empty() {
        return Err(BenchError::usage(format!("{} has no document", path.display())));
    }
    Ok(devices)
}

/// Records a device's documents; the names of those that it made.
pub(super) fn record(replica: &Replica, docs: &[Doc]) -> Result<Vec<(String, DocId)>, BenchError> {
    let mut made: Vec<(String, DocId)> = Vec::with_capacity(docs.len());
    for doc in docs {
        let id = match doc.kind {
            Kind::Team => replica.add_team(team(doc)?)?,
            Kind::Member => {
                let team = team_of(doc, &made)?;
                replica.add_member(team, member(doc)?)?
            }
        };
        made.push((doc.key.clone(), id));
    }
    Ok(made)
}

/// The team that a member names by its key, or the last one before it.
fn team_of(doc: &Doc, made: &[(String, DocId)]) -> Result<DocId, BenchError> {
    let teams = || made.iter().filter(|(_, id)| id.kind() == Some(DocKind::Team));
    let found = match doc.fields.get("team") {
        Some(Value::String(key)) => teams().find(|(known, _)| known == key),
        _ => teams().next_back(),
    };
    let missing = || BenchError::usage(format!("member {:?} comes before its team", doc.key));
    found.map(|(_, id)| *id).ok_or_else(missing)
}

fn team(doc: &Doc) -> Result<TeamDraft, BenchError> {
    let mut draft = TeamDraft { level: Some(TeamLevel::Hamlet), ..TeamDraft::default() };
    for edit in edits(doc, DocKind::Team, &[])? {
        match edit {
            DocEdit::Team(TeamEdit::Hamlet(hamlet)) => draft.hamlet = hamlet,
            DocEdit::Team(TeamEdit::Level(level)) => draft.level = Some(level),
            DocEdit::Team(edit) => draft.edits.push(edit),
            DocEdit::Commune(_) | DocEdit::Member(_) => {}
        }
    }
    if draft.hamlet.is_none() && draft.level == Some(TeamLevel::Hamlet) {
        draft.hamlet = Some(PlaceName::parse(&doc.key)?);
    }
    Ok(draft)
}

fn member(doc: &Doc) -> Result<Vec<MemberEdit>, BenchError> {
    let edits = edits(doc, DocKind::Member, &["team"])?.into_iter();
    Ok(edits.filter_map(|edit| if let DocEdit::Member(edit) = edit { Some(edit) } else { None }).collect())
}

fn edits(doc: &Doc, kind: DocKind, without: &[&str]) -> Result<Vec<DocEdit>, BenchError> {
    let fields = doc.fields.iter().filter(|(field, _)| !without.contains(&field.as_str()));
    let edits = fields.map(|(field, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Value::Null => String::new(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(BenchError::usage(format!(
                    "{:?}, {field}: a field is a text, a number, yes or no",
                    doc.key
                )));
            }
        };
        DocEdit::parse(kind, field, &text)
            .map_err(|error| BenchError::usage(format!("{:?}, {field}: {error}", doc.key)))
    });
    edits.collect()
}
