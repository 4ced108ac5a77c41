//! The first save of a document, written down without building the document.
//!
//! Most saves of a volunteer's first day are these. A new document holds nothing that a save could replace, so its change
//! follows from the edits alone; Automerge's op set would be filled only to be read back. `tests/flat.rs` holds the
//! bytes against those that Automerge makes.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ExpandedChange, ScalarValue, ValueRef};

use super::read::Reading;
use super::save::{check, last_writes};
use super::{Author, Document, genesis, guarded};
use crate::chunk::Chunk;
use crate::edit::{DocEdit, EditError, Value};
use crate::id::{Actor, ChangeHash, DocId};
use crate::record::Record;

pub(super) fn save(id: DocId, author: Author, edits: &[DocEdit]) -> Result<Option<Chunk>, EditError> {
    check(id, edits, |_| false)?;
    let writes = last_writes(edits);
    let broken = || EditError::Broken { document: id };
    // An edit of another kind, or of none that is known, was refused by now; a save without edits writes nothing.
    let Some(kind) = id.kind() else { return Ok(None) };
    let mut operations = Vec::with_capacity(writes.len());
    for write in writes {
        let value = match write.value {
            // Nothing there is as good as null.
            Value::Set(ScalarValue::Null) => continue,
            Value::Set(value) => value,
            // Adds to what the same save has put there.
            Value::Add(_) => return Document::of_kind(id, kind).edit(author, edits),
        };
        let place = genesis::places(kind).zip(0..).find(|((map, _), _)| *map == write.map);
        let obj = object(place.ok_or_else(broken)?.1);
        let key = Key::Map(write.key.as_ref().into());
        operations.push(Op { action: OpType::Put(value), obj, key, pred: Vec::new().into(), insert: false });
    }
    if operations.is_empty() {
        return Ok(None);
    }
    let (last, max_op) = genesis::genesis(kind).max_ops.last().copied().ok_or_else(broken)?;
    let change = Written {
        actor: author.actor,
        seq: 1,
        start_op: max_op + 1,
        time_s: author.at_s(),
        deps: vec![last],
        operations,
    };
    let change = change.encode().ok_or_else(broken)?;
    Ok(Some(Chunk::made(&change)?))
}

/// What a new document shows after a save of edits that [`save`] has accepted; `None` where they count people.
pub(super) fn read(id: DocId, edits: &[DocEdit]) -> Option<Record> {
    let kind = id.kind()?;
    let mut values = BTreeMap::new();
    for write in last_writes(edits) {
        match write.value {
            Value::Set(ScalarValue::Null) => {}
            Value::Set(value) => {
                let place = genesis::places(kind).position(|(map, _)| map == write.map)?;
                values.insert((place, write.key), (write.map, value));
            }
            Value::Add(_) => return None,
        }
    }
    let mut reading = Reading::new(kind);
    for ((_, key), (map, value)) in values {
        reading.item(map, &key, &ValueRef::Scalar(value.into()));
    }
    Some(reading.finish())
}

/// A change without a message, as its parts.
pub(super) struct Written {
    pub(super) actor: Actor,
    pub(super) seq: u64,
    pub(super) start_op: u64,
    pub(super) time_s: i64,
    pub(super) deps: Vec<ChangeHash>,
    pub(super) operations: Vec<Op>,
}

impl Written {
    /// In Automerge's encoding; every change has exactly one. `None` when Automerge cannot write it.
    pub(super) fn encode(self) -> Option<Change> {
        let change = ExpandedChange {
            operations: self.operations,
            actor_id: ActorId::from(self.actor.0),
            hash: None,
            seq: self.seq,
            start_op: NonZeroU64::new(self.start_op)?,
            time: self.time_s,
            message: None,
            deps: self.deps.iter().map(|dep| automerge::ChangeHash(dep.0)).collect(),
            extra_bytes: Vec::new(),
            author: None,
        };
        guarded(|| Change::from(change)).ok()
    }
}

/// A map of genesis by its number, 0 being the root.
pub(super) fn object(place: u64) -> ObjectId {
    match place {
        0 => ObjectId::Root,
        counter => ObjectId::Id(OpId::new(counter, &ActorId::from(genesis::GENESIS_ACTOR.0))),
    }
}
