//! Who brought back what the centre had lost.
//!
//! After a restore devices return changes that others made. Whose they are rests on the word of the device that returns
//! them, so that device's name stays with such a change for good, in the table `returned`: document, change hash and the
//! time at which the log got it → the device. A table of the records goes wherever the log goes: into backups and exports,
//! through a compaction, onto another machine.
//!
//! The note is durable before the change is appended. One that a crash left without its change names a time at which the log
//! got nothing, and means nothing.

use std::collections::HashMap;

use toso_core::change::Entry;
use toso_core::chunk::ChangeHash;
use toso_core::id::{AuthorId, DocId};
use toso_core::time::TimestampMs;
use toso_store::{LogBatch, RecordChange, RecordStore, StoreError};

use crate::tables::RETURNED_TABLE;
use crate::trust::Trust;

/// Notes who returned the changes of a batch, durably.
pub(crate) fn note(records: &dyn RecordStore, batch: &LogBatch, by: AuthorId) -> Result<(), StoreError> {
    let at = batch.received_at;
    let changes = batch.items.iter().map(|item| RecordChange {
        table: RETURNED_TABLE.to_owned(),
        key: key(item.doc, &item.hash(), at),
        value: Some(by.0.to_vec()),
        expect: None,
    });
    // As many as a push has items, which is far below what one write takes.
    records.command(at, &changes.collect::<Vec<_>>()).map(drop)
}

/// Who brought back a change of the log; nothing is read where nothing was ever lost.
pub(crate) fn by(trust: &Trust, entry: &Entry) -> Result<Option<AuthorId>, StoreError> {
    if !trust.began_with_a_loss() {
        return Ok(None);
    }
    let noted =
        trust.records().record(RETURNED_TABLE, &key(entry.change.doc, &entry.change.hash(), entry.received_at))?;
    Ok(noted.and_then(|by| by.try_into().ok()).map(AuthorId))
}

fn key(doc: DocId, hash: &ChangeHash, at: TimestampMs) -> Vec<u8> {
    [&doc.as_bytes()[..], &hash.0, &at.0.to_be_bytes()].concat()
}

/// The changes of one document that were brought back.
#[derive(Debug, Default)]
pub(crate) struct Returned(HashMap<(ChangeHash, TimestampMs), AuthorId>);

impl Returned {
    /// Reads them; nothing is read where nothing was ever lost.
    pub(crate) fn of(trust: &Trust, doc: DocId) -> Result<Self, StoreError> {
        if trust.began_with_a_loss() { Self::load(trust.records(), doc) } else { Ok(Self::default()) }
    }

    fn load(records: &dyn RecordStore, doc: DocId) -> Result<Self, StoreError> {
        let mut returned = HashMap::new();
        for (key, value) in records.records(RETURNED_TABLE, doc.as_bytes())? {
            let rest = key.get(doc.as_bytes().len()..).and_then(|rest| <[u8; 40]>::try_from(rest).ok());
            let parts = rest.as_ref().and_then(|rest| rest.split_first_chunk::<32>());
            let at = parts.and_then(|(_, at)| at.try_into().ok()).map(u64::from_be_bytes);
            if let (Some((hash, _)), Some(at), Ok(by)) = (parts, at, value.try_into()) {
                returned.insert((ChangeHash(*hash), TimestampMs(at)), AuthorId(by));
            }
        }
        Ok(Self(returned))
    }

    /// True when none was.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who brought back a change that the log got then.
    pub(crate) fn by(&self, hash: &ChangeHash, received_at: TimestampMs) -> Option<AuthorId> {
        self.0.get(&(*hash, received_at)).copied()
    }
}

#[cfg(test)]
mod tests {
    use toso_core::change::Change;
    use toso_core::chunk::Chunk;
    use toso_core::unit::{UnitList, UnitRef};
    use toso_store::memory::MemoryChangeLog;

    use super::*;

    #[test]
    fn a_note_is_of_one_change_as_the_log_got_it_then() {
        let (records, scope) = (MemoryChangeLog::new(), UnitRef::new(UnitList::L2022, "00001").unwrap());
        let [author, by] = [1, 2].map(|number| toso_core::id::DeviceId::from_public_key(&[number; 32]).author());
        let [doc, other] = [1, 2].map(|number| DocId::member(scope, [number; 11]));
        let item = |number| Change { doc, chunk: Chunk::trusted(vec![1], ChangeHash([number; 32])) };
        let received_at = TimestampMs(1_663_545_600_000);
        note(&records, &LogBatch { scope, author, received_at, items: vec![item(1), item(2)] }, by).unwrap();
        let of_doc = Returned::load(&records, doc).unwrap();
        assert_eq!(of_doc.by(&ChangeHash([1; 32]), received_at), Some(by));
        assert_eq!(of_doc.by(&ChangeHash([3; 32]), received_at), None, "another change");
        let later = received_at.plus_ms(1);
        assert_eq!(of_doc.by(&ChangeHash([2; 32]), later), None, "its author brought it, a crash had left the note");
        assert!(Returned::load(&records, other).unwrap().is_empty());
    }
}
