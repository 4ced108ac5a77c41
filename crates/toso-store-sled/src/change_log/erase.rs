//! Takes the bodies of a document's changes away: the runs that they are in are written anew, in the batch of the command that
//! erases it.
//!
//! What is left of a run that was in sled stays in its files until sled uses their space again, as anything that is deleted;
//! `toso compact` leaves it behind at once.

use std::collections::BTreeSet;

use toso_core::id::DocId;
use toso_store::StoreError;

use super::heads::Position;
use super::run::without;
use super::{CHUNK_SPACE, Group, LATER_SPACE, run_key};

impl Group<'_> {
    pub(super) fn erase(&mut self, doc: DocId) -> Result<(), StoreError> {
        let log = self.log;
        let mut runs: BTreeSet<_> = self.staged_head(doc)?.iter().map(|head| head.first.run()).collect();
        let prefix = |space: u8| [&[space], doc.as_bytes().as_slice()].concat();
        let former = if log.has_former() { self.staged.keys(&prefix(CHUNK_SPACE))? } else { BTreeSet::new() };
        for key in self.staged.keys(&prefix(LATER_SPACE))?.into_iter().chain(former) {
            let body = self.staged.get(&key)?.unwrap_or_default();
            let is_former = key.first() == Some(&CHUNK_SPACE);
            let position = if is_former { Position::parse_former(&body) } else { Position::parse(&body) };
            runs.insert(position.ok_or_else(|| log.unreadable_fields(&key))?.run());
        }
        for first in runs {
            let key = run_key(first);
            let body = self.staged.get(&key)?.ok_or_else(|| log.engine.damaged(&key, "it is missing"))?;
            if let Some(body) = without(first, &body, &log.packer, doc).ok_or_else(|| log.unreadable_fields(&key))? {
                self.staged.put(&key, &body)?;
            }
        }
        // How much that is could not be known before.
        log.engine.check_writable(self.staged.bytes())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use toso_core::change::Change;
    use toso_core::chunk::{ChangeHash, Chunk};
    use toso_core::id::{AuthorId, Sequence};
    use toso_core::time::TimestampMs;
    use toso_core::unit::{Scope, UnitList, UnitRef};
    use toso_store::records::ERASURES_TABLE;
    use toso_store::{Log as _, LogBatch, RecordChange, RecordStore as _};

    use super::*;
    use crate::change_log::SledChangeLog;
    use crate::options::Options;

    const NOW: TimestampMs = TimestampMs(3);

    fn scope() -> Scope {
        UnitRef::new(UnitList::L2022, "00001").unwrap()
    }

    /// Bytes that nothing compresses and nothing else has.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    fn erasure(doc: DocId) -> RecordChange {
        let key = doc.as_bytes().to_vec();
        RecordChange { table: ERASURES_TABLE.to_owned(), key, value: Some(Vec::new()), expect: None }
    }

    /// Whether any value that sled would give has these bytes.
    fn is_live(log: &SledChangeLog, bytes: &[u8]) -> bool {
        let engine = &log.engine;
        let values = engine.tree().iter().values().map(Result::unwrap);
        values.into_iter().any(|value| value.windows(bytes.len()).any(|window| window == bytes))
    }

    fn is_in_folder(folder: &TempDir, bytes: &[u8]) -> bool {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
        files.any(|file| file.windows(bytes.len()).any(|window| window == bytes))
    }

    /// After an erasure no value has the bytes; in a folder that was made from the log no file has them.
    #[test]
    fn no_value_has_what_was_erased_and_no_file_of_a_compacted_folder() {
        let folder = TempDir::new().unwrap();
        let log = SledChangeLog::open(folder.path(), Options::phone()).unwrap();
        let (gone, stays) = (DocId::member(scope(), [1; 11]), DocId::member(scope(), [2; 11]));
        let item = |doc, number: u8, length| Change {
            doc,
            chunk: Chunk::trusted(noise(u64::from(number), length), ChangeHash([number; 32])),
        };
        // Several in a run, one of several parts, and one whose run it has to itself.
        let items = vec![item(gone, 1, 300), item(stays, 2, 300), item(gone, 3, 300), item(gone, 4, 60_000)];
        log.append(&[LogBatch { scope: scope(), author: AuthorId([1; 8]), received_at: NOW, items }]).unwrap();
        let piece = |number: u8| noise(u64::from(number), 200);
        assert!((1..=4).all(|number| is_live(&log, &piece(number))), "they can be found");
        log.command(NOW, &[erasure(gone)]).unwrap();
        let live: Vec<u8> = (1..=4).filter(|number| is_live(&log, &piece(*number))).collect();
        assert_eq!(live, [2]);
        let mut findings = Vec::new();
        log.check(&mut |finding| findings.push(finding.to_string())).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let fresh = TempDir::new().unwrap();
        let compacted = SledChangeLog::open(fresh.path(), Options::phone()).unwrap();
        compacted.apply(&log.tail(Sequence::ZERO, usize::MAX, usize::MAX).unwrap()).unwrap();
        drop(compacted);
        let found: Vec<u8> = (1..=4).filter(|number| is_in_folder(&fresh, &piece(*number))).collect();
        assert_eq!(found, [2]);
    }
}
