//! What folders of before had and this version has otherwise: records that were in no entry of the log.
//!
//! They stand under `t`, whatever they are. The first opening makes them what they are now: those of a derived table move,
//! all others become commands, at time 0, in the order of their keys. Each step is one batch, so an opening that is cut off
//! goes on at the next; when nothing is under `t` any more, nothing is left to do.
//!
//! FORMAT gets its new number once there is room for all of it, and before the first step: an older version that read a folder
//! half-way would miss records. So a folder that is refused for want of room is as it was, and the older version opens it.

use toso_core::time::TimestampMs;
use toso_store::{Holds, RecordChange, StoreError};

use super::records::parse_key;
use super::{FORMER_RECORD_SPACE, Group, SledChangeLog};
use crate::folder::Kind;

/// The tables that could be computed again in folders of before. The list never changes.
const FORMER_DERIVED: [&str; 7] = ["views", "views_head", "quarantine", "set_aside_docs", "quota", "rows", "rows_head"];
/// Bytes of records after which a step ends: with one more record, and all of it twice, far below what a group applies at
/// once.
const STEP_BYTES_MAX: usize = 128 * 1024;
/// Bytes that are written for each byte of a record: as an entry, as a record, and taken away where it was.
const WRITTEN_FOR_A_BYTE: usize = 3;
/// Records of a step.
const STEP_RECORDS_MAX: usize = 1_024;

impl SledChangeLog {
    /// Makes records of a former folder entries, or derived records.
    pub(super) fn take_former_records(&self) -> Result<(), StoreError> {
        if self.engine.folder().is_former() {
            let mut bytes = 0;
            for entry in self.engine.scan(&[FORMER_RECORD_SPACE]) {
                let (key, value) = entry?;
                bytes += key.len() + value.len();
            }
            if bytes > 0 {
                self.engine.check_writable(WRITTEN_FOR_A_BYTE * bytes)?;
            }
            self.engine.folder().mark_newest(Kind::Server)?;
        }
        let mut taken = false;
        loop {
            let (mut truth, mut derived, mut bytes) = (Vec::new(), Vec::new(), 0);
            let mut group = Group::new(self);
            for entry in self.engine.scan(&[FORMER_RECORD_SPACE]).take(STEP_RECORDS_MAX) {
                let (key, value) = entry?;
                let (table, of) = parse_key(&key).ok_or_else(|| self.engine.damaged(&key, "it is no record key"))?;
                group.staged.remove(&key)?;
                bytes += of.len() + value.len();
                let holds = if FORMER_DERIVED.contains(&table.as_str()) { &mut derived } else { &mut truth };
                holds.push(RecordChange { table, key: of.to_vec(), value: Some(value), expect: None });
                if bytes > STEP_BYTES_MAX {
                    break;
                }
            }
            if truth.is_empty() && derived.is_empty() {
                break;
            }
            self.engine.check_writable(WRITTEN_FOR_A_BYTE * bytes)?;
            group.write(Holds::Derived, &derived)?;
            if !truth.is_empty() {
                group.command(TimestampMs(0), &truth)?;
            }
            let published = group.finish()?;
            self.publish(published);
            taken = true;
        }
        if taken { self.engine.make_durable() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
