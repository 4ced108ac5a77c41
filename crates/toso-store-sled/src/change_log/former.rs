//! What folders of before had and this version has otherwise: records that were in no entry of the log.
//!
//! They stand under `t`, whatever they are. The first opening makes them what they are now: those of a derived table move,
//! all others become commands, at time 0, in the order of their keys. Each step is one batch, so an opening that is cut off
//! goes on at the next; when nothing is under `t` any more, nothing is left to do.

use toso_core::time::TimestampMs;
use toso_store::{Holds, RecordChange, StoreError};

use super::records::parse_key;
use super::{FORMER_RECORD_SPACE, Group, SledChangeLog};

/// The tables that could be computed again in folders of before. The list never changes.
const FORMER_DERIVED: [&str; 7] = ["views", "views_head", "quarantine", "set_aside_docs", "quota", "rows", "rows_head"];
/// Bytes of records after which a step ends: with one more record, and all of it twice, far below what a group applies at
/// once.
const STEP_BYTES_MAX: usize = 128 * 1024;
/// Records of a step.
const STEP_RECORDS_MAX: usize = 1_024;

impl SledChangeLog {
    /// Makes records of a former folder entries, or derived records.
    pub(super) fn take_former_records(&self) -> Result<(), StoreError> {
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
            self.engine.check_writable(3 * bytes)?;
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
