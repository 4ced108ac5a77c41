//! Joins the heads of a document that has more of them than one change may depend on.
//!
//! A save depends on all heads, and a change on at most [`CHANGE_DEPS_MAX`] others. Sixty-six phones that record without a
//! network leave 66 heads. So before such a save come **joins**: changes that depend on as many heads as they may and write
//! nothing but the key [`JOIN_KEY`], which is no field. Each builds on the one before, because the operations of one actor
//! must count on; so every join takes [`CHANGE_DEPS_MAX`] − 1 heads away. Phones that join apart leave one head each, and
//! whoever saves next joins those.

use std::collections::BTreeSet;

use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ActorId, Automerge, Change, ScalarValue};

use super::first::Written;
use super::{Author, Document, guarded};
use crate::chunk::{CHANGE_DEPS_MAX, Chunk};
use crate::edit::EditError;
use crate::id::ChangeHash;

/// The key of the root that a join clears. No kind has such a field; a version that does not know joins reads it as a field
/// of a newer one.
pub(super) const JOIN_KEY: &str = "joined_heads";

pub(super) fn join(document: &mut Document, author: Author) -> Result<Vec<Chunk>, EditError> {
    // The author's own last change is named as well, head or not.
    if document.doc.get_heads().len() < CHANGE_DEPS_MAX {
        return Ok(Vec::new());
    }
    let broken = EditError::Broken { document: document.id };
    // On a copy, as every save.
    let (doc, changes) = guarded(|| joined(document, author)).ok().flatten().ok_or(broken)?;
    let chunks = changes.iter().map(Chunk::made).collect::<Result<Vec<_>, _>>()?;
    if let Some(last) = changes.last() {
        document.doc = doc;
        document.seqs.insert(author.actor, last.seq());
    }
    Ok(chunks)
}

/// The copy with the joins in it, and the joins; `None` where Automerge cannot write one.
fn joined(document: &Document, author: Author) -> Option<(Automerge, Vec<Change>)> {
    let mut doc = document.doc.clone();
    doc.set_actor(ActorId::from(author.actor.0));
    let own = doc.get_last_local_change();
    let mut seq = own.as_ref().map_or(0, Change::seq);
    let mut last = own.map(|own| own.hash());
    let mut changes = Vec::new();
    loop {
        let heads: BTreeSet<_> = doc.get_heads().into_iter().chain(last).collect();
        if heads.len() <= CHANGE_DEPS_MAX {
            return Some((doc, changes));
        }
        let others = heads.into_iter().filter(|head| Some(*head) != last);
        let deps: BTreeSet<_> = last.into_iter().chain(others).take(CHANGE_DEPS_MAX).collect();
        let before = deps.iter().map(|dep| doc.get_change_meta_by_hash(dep).map(|change| change.max_op));
        let before = before.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        seq += 1;
        let change = Written {
            actor: author.actor,
            seq,
            start_op: before + 1,
            time_s: author.at_s(),
            deps: deps.iter().map(|dep| ChangeHash(dep.0)).collect(),
            operations: vec![operation()],
        };
        let change = change.encode()?;
        doc.apply_changes([change.clone()]).ok()?;
        last = Some(change.hash());
        changes.push(change);
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
pub(super) fn is_join(change: &Change) -> bool {
    change.decode().operations.iter().all(|op| op.obj == ObjectId::Root && op.key == Key::Map(JOIN_KEY.into()))
}

#[cfg(test)]
mod tests;
