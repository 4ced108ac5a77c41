//! Joins the heads of a document that has more of them than one change may depend on.
//!
//! A save depends on all heads, and a change on at most [`CHANGE_DEPS_MAX`] others. Sixty-six phones that record without a
//! network leave 66 heads. So before such a save come **joins**: changes that depend on as many heads as they may and write
//! nothing but the key [`JOIN_KEY`], which is no field. Each builds on the one before, because the operations of one actor
//! must count on; so every join takes [`CHANGE_DEPS_MAX`] − 1 heads away. Phones that join apart leave one head each, and
//! whoever saves next joins those.

use std::collections::BTreeSet;

use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ActorId, Automerge, Change, ExpandedChange, ScalarValue};

use super::first::Written;
use super::{Author, Document, guarded, thin};
use crate::chunk::{CHANGE_DEPS_MAX, Chunk};
use crate::edit::{DocEdit, EditError};
use crate::id::ChangeHash;

/// The key of the root that a join clears. No kind has such a field; a version that does not know joins reads it as a field
/// of a newer one.
pub(super) const JOIN_KEY: &str = "joined_heads";

/// The changes that have to come before a save of these edits: see [`Document::make_room`].
pub(super) fn make_room(document: &mut Document, author: Author, edits: &[DocEdit]) -> Result<Vec<Chunk>, EditError> {
    let broken = EditError::Broken { document: document.id };
    // On a copy, as every save.
    let room = guarded(|| {
        // The author's own last change is named as well, head or not.
        let joins = document.doc.get_heads().len() >= CHANGE_DEPS_MAX;
        let crowded = thin::crowded(document, edits);
        if !joins && crowded.is_empty() {
            return Some(None);
        }
        let mut room = Room::of(document, author);
        room.join()?;
        room.thin(&crowded)?;
        Some(Some(room))
    });
    let Some(room) = room.ok().flatten().ok_or(broken)? else { return Ok(Vec::new()) };
    let chunks = room.changes.iter().map(Chunk::made).collect::<Result<Vec<_>, _>>()?;
    if let Some(last) = room.changes.last() {
        document.seqs.insert(author.actor, last.seq());
        document.doc = room.doc;
    }
    Ok(chunks)
}

/// A copy of a document, and the changes that were made in it.
pub(super) struct Room {
    pub(super) doc: Automerge,
    author: Author,
    seq: u64,
    last: Option<automerge::ChangeHash>,
    changes: Vec<Change>,
}

impl Room {
    fn of(document: &Document, author: Author) -> Self {
        let mut doc = document.doc.clone();
        doc.set_actor(ActorId::from(author.actor.0));
        let own = doc.get_last_local_change();
        let (seq, last) = (own.as_ref().map_or(0, Change::seq), own.map(|own| own.hash()));
        Self { doc, author, seq, last, changes: Vec::new() }
    }

    /// Until the next change can depend on all heads; `None` where Automerge cannot write a change.
    fn join(&mut self) -> Option<()> {
        while self.next_deps().len() > CHANGE_DEPS_MAX {
            self.write(operation())?;
        }
        Some(())
    }

    /// What the author's next change depends on: all heads, and the own last change.
    fn next_deps(&self) -> BTreeSet<automerge::ChangeHash> {
        self.doc.get_heads().into_iter().chain(self.last).collect()
    }

    /// Makes a change on as many heads as it may depend on.
    pub(super) fn write(&mut self, operation: Op) -> Option<()> {
        let last = self.last;
        let others = self.next_deps().into_iter().filter(|head| Some(*head) != last);
        let deps: BTreeSet<_> = last.into_iter().chain(others).take(CHANGE_DEPS_MAX).collect();
        let before = deps.iter().map(|dep| self.doc.get_change_meta_by_hash(dep).map(|change| change.max_op));
        let before = before.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        let change = Written {
            actor: self.author.actor,
            seq: self.seq + 1,
            start_op: before + 1,
            time_s: self.author.at_s(),
            deps: deps.iter().map(|dep| ChangeHash(dep.0)).collect(),
            operations: vec![operation],
        };
        let change = change.encode()?;
        self.doc.apply_changes([change.clone()]).ok()?;
        self.seq += 1;
        self.last = Some(change.hash());
        self.changes.push(change);
        Some(())
    }
}

fn operation() -> Op {
    Op {
        action: OpType::Put(ScalarValue::Null),
        obj: ObjectId::Root,
        key: Key::Map(JOIN_KEY.into()),
        pred: Vec::new().into(),
        insert: false,
    }
}

/// True for a change that only joins heads.
pub(super) fn is_join(change: &ExpandedChange) -> bool {
    change.operations.iter().all(|op| op.obj == ObjectId::Root && op.key == Key::Map(JOIN_KEY.into()))
}

#[cfg(test)]
mod tests;
