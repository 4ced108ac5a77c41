//! The lines of the file, as Rust has them and as JSON has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use toso_core::change::{Body, Change, ErasedBody};
use toso_core::chunk::{CHANGE_BYTES_MAX, ChangeHash, Chunk};
use toso_core::id::{AuthorId, DocId, Epoch, Sequence, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::Scope;

use super::EXPORT_FORMAT;
use crate::change_log::{Command, LOG_BATCH_BYTES_MAX, LOG_BATCH_ITEMS_MAX};
use crate::records::{RECORD_BYTES_MAX, RECORD_KEY_BYTES_MAX, RECORD_TABLE_BYTES_MAX, RecordChange};

/// Whose data a file holds, and up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The server's identity.
    pub server: ServerId,
    /// The log's history.
    pub epoch: Epoch,
    /// Every entry at or below this is in the file, none above.
    pub last: Sequence,
    /// When the file was begun.
    pub exported_at: TimestampMs,
    /// The unit lists that the server knew.
    pub lists: Vec<String>,
}

/// Changes of one device, commune and moment, with consecutive sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Sequence of the first.
    pub first: Sequence,
    /// Their scope.
    pub scope: Scope,
    /// The device that made them.
    pub author: AuthorId,
    /// When the server got them.
    pub received_at: TimestampMs,
    /// The entries.
    pub items: Vec<Change<Body>>,
}

/// A record with its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRecord {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its first line.
    pub header: Header,
    /// Lines with changes.
    pub runs: u64,
    /// Changes.
    pub entries: u64,
    /// Commands.
    pub commands: u64,
    /// Records, of a file of format 1.
    pub records: u64,
}

/// One line of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Changes.
    Run(Run),
    /// A command.
    Command(Command),
    /// A record, of a file of format 1.
    Record(TableRecord),
    /// The end; everything before it was whole.
    End,
}

/// A line as JSON. A later format with other kinds has another number, so a kind that is not here is damage.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Json {
    Header(JsonHeader),
    Run(JsonRun),
    Command(JsonCommand),
    Record(JsonRecord),
    End(JsonEnd),
}

/// What the first line must be before anything else is believed of it.
#[derive(Debug, Deserialize)]
pub(super) struct JsonOpening {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) format: u32,
}

/// The name in the header.
pub(super) const EXPORT_NAME: &str = "toso export";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JsonHeader {
    name: String,
    format: u32,
    server: String,
    epoch: u64,
    last: u64,
    exported_at: u64,
    #[serde(default)]
    lists: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JsonRun {
    first: u64,
    scope: String,
    author: String,
    received_at: u64,
    items: Vec<JsonItem>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JsonItem {
    doc: String,
    hash: String,
    /// None of an erased change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<String>,
    /// How many bytes the erased change had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JsonCommand {
    sequence: u64,
    at: u64,
    changes: Vec<JsonChange>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JsonChange {
    table: String,
    key: String,
    /// None when the record is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// What the record had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    /// There had to be no record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JsonRecord {
    table: String,
    key: String,
    value: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JsonEnd {
    pub(super) runs: u64,
    pub(super) entries: u64,
    #[serde(default)]
    pub(super) commands: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) records: u64,
    pub(super) blake3: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Header {
    pub(super) fn to_json(&self) -> Json {
        Json::Header(JsonHeader {
            name: EXPORT_NAME.to_owned(),
            format: EXPORT_FORMAT,
            server: self.server.to_string(),
            epoch: self.epoch.0,
            last: self.last.0,
            exported_at: self.exported_at.0,
            lists: self.lists.clone(),
        })
    }

    pub(super) fn from_json(json: JsonHeader) -> Result<Self, String> {
        Ok(Self {
            server: json.server.parse().map_err(|_| wrong("server"))?,
            epoch: Epoch(json.epoch),
            last: Sequence(json.last),
            exported_at: TimestampMs(json.exported_at),
            lists: json.lists,
        })
    }
}

impl Run {
    pub(super) fn to_json(&self) -> Json {
        let items = self.items.iter().map(|item| JsonItem {
            doc: item.doc.to_string(),
            hash: HEXLOWER.encode(&item.hash().0),
            change: item.chunk().map(|chunk| BASE64.encode(chunk.bytes())),
            erased: match &item.chunk {
                Body::Whole(_) => None,
                Body::Erased(erased) => Some(erased.size),
            },
        });
        Json::Run(JsonRun {
            first: self.first.0,
            scope: self.scope.to_string(),
            author: self.author.to_string(),
            received_at: self.received_at.0,
            items: items.collect(),
        })
    }

    pub(super) fn from_json(json: JsonRun) -> Result<Self, String> {
        if json.items.is_empty() || json.items.len() > LOG_BATCH_ITEMS_MAX {
            return Err(format!("a run has 1 to {LOG_BATCH_ITEMS_MAX} items"));
        }
        let items: Vec<Change<Body>> = json.items.into_iter().map(item).collect::<Result<_, String>>()?;
        if items.iter().map(|item| item.bytes().len()).sum::<usize>() > LOG_BATCH_BYTES_MAX {
            return Err(format!("a run has at most {LOG_BATCH_BYTES_MAX} bytes of changes"));
        }
        Ok(Self {
            first: Sequence(json.first),
            scope: json.scope.parse().map_err(|_| wrong("scope"))?,
            author: json.author.parse().map_err(|_| wrong("author"))?,
            received_at: TimestampMs(json.received_at),
            items,
        })
    }
}

fn item(json: JsonItem) -> Result<Change<Body>, String> {
    let hash = HEXLOWER.decode(json.hash.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let hash = ChangeHash(hash.ok_or_else(|| wrong("hash"))?);
    let doc: DocId = json.doc.parse().map_err(|_| wrong("doc"))?;
    let (bytes, size) = match (json.change, json.erased) {
        (Some(text), None) => {
            let bytes = BASE64.decode(text).map_err(|_| wrong("change"))?;
            let size = bytes.len();
            (Some(bytes), size)
        }
        (None, Some(size)) => (None, usize::try_from(size).unwrap_or(usize::MAX)),
        (None, None) | (Some(_), Some(_)) => return Err("an item has a change, or says that it is erased".to_owned()),
    };
    if size > CHANGE_BYTES_MAX {
        return Err(format!("a change has at most {CHANGE_BYTES_MAX} bytes"));
    }
    let chunk = match bytes {
        // What another log had: trusted as far as one's own, so checked by whoever merges it.
        Some(bytes) => Body::Whole(Chunk::trusted(bytes, hash)),
        None => Body::Erased(ErasedBody { hash, size: u32::try_from(size).unwrap_or(u32::MAX) }),
    };
    Ok(Change { doc, chunk })
}

impl Command {
    pub(super) fn to_json(&self) -> Json {
        let changes = self.changes.iter().map(|change| JsonChange {
            table: change.table.clone(),
            key: BASE64.encode(&change.key),
            value: change.value.as_ref().map(|value| BASE64.encode(value)),
            expect: change.expect.iter().flatten().next().map(|value| BASE64.encode(value)),
            absent: change.expect == Some(None),
        });
        Json::Command(JsonCommand { sequence: self.sequence.0, at: self.at.0, changes: changes.collect() })
    }

    pub(super) fn from_json(json: JsonCommand) -> Result<Self, String> {
        let changes: Vec<RecordChange> = json.changes.into_iter().map(record_change).collect::<Result<_, String>>()?;
        RecordChange::check_command(&changes).map_err(|_| "a command is too large".to_owned())?;
        if changes.is_empty() {
            return Err("a command changes something".to_owned());
        }
        Ok(Self { sequence: Sequence(json.sequence), at: TimestampMs(json.at), changes })
    }
}

fn record_change(json: JsonChange) -> Result<RecordChange, String> {
    let bytes = |text: String, field| BASE64.decode(text).map_err(|_| wrong(field));
    let expect = match (json.expect, json.absent) {
        (None, false) => None,
        (None, true) => Some(None),
        (Some(value), false) => Some(Some(bytes(value, "expect")?)),
        (Some(_), true) => return Err("a record is expected and is not".to_owned()),
    };
    let value = json.value.map(|value| bytes(value, "value")).transpose()?;
    Ok(RecordChange { table: json.table, key: bytes(json.key, "key")?, value, expect })
}

impl TableRecord {
    pub(super) fn from_json(json: JsonRecord) -> Result<Self, String> {
        let key = BASE64.decode(json.key).map_err(|_| wrong("key"))?;
        let value = BASE64.decode(json.value).map_err(|_| wrong("value"))?;
        let fits = json.table.len() <= RECORD_TABLE_BYTES_MAX
            && key.len() <= RECORD_KEY_BYTES_MAX
            && value.len() <= RECORD_BYTES_MAX;
        if fits { Ok(Self { table: json.table, key, value }) } else { Err("a record is too large".to_owned()) }
    }
}

/// A field's name and nothing of its content, which may be somebody's data.
fn wrong(field: &str) -> String {
    format!("`{field}` cannot be read")
}
