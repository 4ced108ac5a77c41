//! What a backup is made of: the header of a consistent cut, and the root key's copy.

use std::io::Write;
use std::path::{Path, PathBuf};

use toso_core::id::{Epoch, ServerId};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitList;
use toso_store::export::{Exporter, Header};
use toso_store::{ChangeLog, RecordChange, RecordStore, StoreError};

use super::place::look_for_file;
use super::{UpkeepError, in_file, open_what_is_left, with_suffix};
use crate::tables::SERVER_TABLE;
use crate::trust::{self, ROOT_KEY_FILE, Revocations};

/// Which line of the list of revocations a backup was begun after: that line's check, 16 bytes.
pub(super) const MARK_KEY: &[u8] = b"revocations_mark";

/// The header of a cut that is made now: everything that is durable at this moment, and nothing after.
pub fn header(log: &dyn ChangeLog, records: &dyn RecordStore, now: TimestampMs) -> Result<Header, UpkeepError> {
    let server = records.record(SERVER_TABLE, b"server_id")?.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let epoch = records.record(SERVER_TABLE, b"epoch")?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    Ok(Header {
        server: ServerId(server.ok_or(UpkeepError::NoIdentity { what: "identity" })?),
        epoch: Epoch(u64::from_be_bytes(epoch.ok_or(UpkeepError::NoIdentity { what: "epoch" })?)),
        last: log.end(),
        exported_at: now,
        lists: UnitList::ALL.iter().map(ToString::to_string).collect(),
    })
}

/// Notes in list and records that the list of now belongs to the backup that begins: one that lacks this line is older.
pub(crate) fn mark(revocations: &Revocations, records: &dyn RecordStore, now: TimestampMs) -> Result<(), StoreError> {
    let Some(check) = revocations.seen(now)? else { return Ok(()) };
    let (table, key) = (SERVER_TABLE.to_owned(), MARK_KEY.to_vec());
    records.command(now, &[RecordChange { table, key, value: Some(check.to_vec()), expect: None }]).map(drop)
}

/// Writes the data of a stopped server. Its root key is not among it. Of a log that has lost entries what is left is written,
/// since nothing else saves it, and the caller is warned.
pub fn export(
    data: &Path,
    now: TimestampMs,
    warn: &mut dyn FnMut(&StoreError),
    out: &mut dyn Write,
) -> Result<(), UpkeepError> {
    let log = open_what_is_left(data)?;
    if let Err(lost) = log.check_whole() {
        warn(&lost);
    }
    mark(&Revocations::open(data)?, &log, now)?;
    let header = header(&log, &log, now)?;
    Exporter::new(header).write_to(&log, out).map(drop).map_err(in_file(data))
}

/// Copies the root key beside an export, readable by its owner only; where it is.
pub fn copy_key(data: &Path, beside: &Path) -> Result<PathBuf, UpkeepError> {
    let copy = key_beside(beside);
    look_for_file(&copy)?;
    let (_, text) = trust::read_key(&data.join(ROOT_KEY_FILE))?;
    trust::write_private(&copy, &text)?;
    Ok(copy)
}

/// Where the root key lies that belongs to an export, when it was copied too.
pub fn key_beside(export: &Path) -> PathBuf {
    with_suffix(export, &format!(".{ROOT_KEY_FILE}"))
}
