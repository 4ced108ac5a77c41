//! One value per key: what a save leaves of each field it writes.
//!
//! A save writes a field once, and what it writes twice (`Document::resolve`) the second operation replaces. A change made by
//! hand can leave 2,000 equal values of one key in 330 bytes. Five such changes make 10,000 values of a field, more than any
//! change can replace: nobody could write the field again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::ChunkError;
use super::scan::{Action, Scanned};

/// Refuses a change that leaves more than one value of its own under one key.
pub(super) fn check(scanned: &Scanned<'_>) -> Result<(), ChunkError> {
    let actor = scanned.facts.actor;
    // The operation of this change whose value stands under each key.
    let mut standing: HashMap<(u64, &[u8]), u64> = HashMap::new();
    scanned.operations(|operation| match (operation.action, standing.entry((operation.place, operation.key))) {
        (Action::Set, Entry::Vacant(key)) => {
            key.insert(operation.counter);
            Ok(())
        }
        (Action::Set | Action::Delete, Entry::Occupied(mut key)) => {
            let replaces = operation.preds.contains(&(*key.get(), actor));
            match (operation.action, replaces) {
                (Action::Delete, true) => _ = key.remove(),
                (Action::Set, true) => _ = key.insert(operation.counter),
                (Action::Set, false) => return Err(ChunkError::Foreign { what: "several values of one key" }),
                (Action::Delete | Action::Increment, _) => {}
            }
            Ok(())
        }
        (Action::Delete, Entry::Vacant(_)) | (Action::Increment, _) => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use automerge::Change;
    use automerge::legacy::{Op, OpId, OpType};

    use crate::chunk::{CHANGE_OPS_MAX, Chunk, ChunkError, RawChunk};
    use crate::document::{Author, Document};
    use crate::edit::{ActivityId, DocEdit, Reached, TeamEdit};
    use crate::id::{Actor, DeviceId, DocId};
    use crate::record::ActivityKind;
    use crate::text::{Date, Note};
    use crate::time::TimestampMs;
    use crate::unit::{UnitList, UnitRef};

    fn team() -> Document {
        Document::new(DocId::commune_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), 0)).unwrap()
    }

    fn author(device: u8) -> Author {
        Author { actor: Actor::new(DeviceId([device; 16]), [2; 8]), at: TimestampMs(1_662_508_800_000) }
    }

    fn note(text: &str) -> DocEdit {
        DocEdit::Team(TeamEdit::Note(Some(Note::parse(text).unwrap())))
    }

    fn several() -> ChunkError {
        ChunkError::Foreign { what: "several values of one key" }
    }

    /// An honest change with other operations, each made of its first.
    fn of(operations: impl FnOnce(&Op, &dyn Fn(u64) -> OpId) -> Vec<Op>) -> RawChunk {
        let chunk = team().edit(author(1), &[note("một")]).unwrap().unwrap();
        let mut expanded = chunk.change().unwrap().decode();
        let (start, actor) = (expanded.start_op.get(), expanded.actor_id.clone());
        expanded.operations = operations(&expanded.operations[0].clone(), &|n| OpId::new(start + n, &actor));
        RawChunk::from(Change::from(expanded).raw_bytes())
    }

    fn with(op: &Op, action: OpType, pred: Vec<OpId>) -> Op {
        Op { action, pred: pred.into(), ..op.clone() }
    }

    /// One value passes, two do not; what replaces the one before passes however often; and where a change is in a log already
    /// it is read as before.
    #[test]
    fn a_change_leaves_one_value_of_a_key() {
        let set = |text: &str| OpType::Put(text.into());
        assert!(of(|op, _| vec![with(op, set("a"), vec![])]).check_new().is_ok());
        for equal in ["a", "b"] {
            let two = of(|op, _| vec![with(op, set("a"), vec![]), with(op, set(equal), vec![])]);
            assert_eq!(two.check_new(), Err(several()));
            let (document, applied) = Document::fold(team().id(), &[two.check().unwrap()]).unwrap();
            assert_eq!((applied.quarantined, document.heads().len()), (vec![], 1), "what is there stays readable");
        }
        let chain = |replaces: fn(u64) -> u64| {
            of(|op, id| {
                let each = |n: u64| with(op, set("a"), if n == 0 { vec![] } else { vec![id(replaces(n))] });
                (0..CHANGE_OPS_MAX as u64).map(each).collect()
            })
        };
        assert!(chain(|n| n - 1).check_new().is_ok(), "one value stands");
        assert_eq!(chain(|_| 0).check_new(), Err(several()), "all but the first stand");
        assert!(
            of(|op, id| vec![
                with(op, set("a"), vec![]),
                with(op, OpType::Delete, vec![id(0)]),
                with(op, set("b"), vec![])
            ])
            .check_new()
            .is_ok()
        );
        let not_its_own = of(|op, _| {
            let other = OpId::new(2, &vec![9; 16].into());
            vec![
                with(op, set("a"), vec![]),
                with(op, OpType::Delete, vec![other.clone()]),
                with(op, set("b"), vec![other]),
            ]
        });
        assert_eq!(not_its_own.check_new(), Err(several()));
    }

    /// Everything that edits make passes: fields set together, a value written anew, counters set and added to in one save.
    #[test]
    fn what_saves_make_passes() {
        let (mut a, mut b) = (team(), team());
        let id = ActivityId([1; 8]);
        let activity = DocEdit::Team(TeamEdit::AddActivity {
            id,
            date: Date::parse("2022-09-07").unwrap(),
            kind: ActivityKind::Meeting,
            skills: vec![],
            reached: Reached { total: 5, ..Reached::default() },
        });
        let more = || DocEdit::Team(TeamEdit::AddReached { id, more: Reached { total: 2, ..Reached::default() } });
        let mut made = vec![a.edit(author(1), &[note("một"), note("hai"), activity, more(), more()]).unwrap().unwrap()];
        let there = b.edit(author(2), &[note("ba")]).unwrap().unwrap();
        a.apply(std::slice::from_ref(&there));
        made.push(there);
        for text in ["một", "hai", "ba"] {
            made.push(a.resolve(author(1), &note(text)).unwrap());
        }
        made.push(a.edit(author(1), &[DocEdit::Team(TeamEdit::Note(None)), more()]).unwrap().unwrap());
        for chunk in made {
            assert_eq!(chunk.raw().check_new().as_ref().map(Chunk::hash), Ok(chunk.hash()));
        }
    }
}
