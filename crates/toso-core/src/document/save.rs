//! One save of a person as one change.

use std::collections::HashSet;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge, AutomergeError, Change, ReadDoc, ScalarValue, Value as AutomergeValue};

use super::{Author, Document, genesis, guarded};
use crate::chunk::Chunk;
use crate::edit::{ActivityId, DocEdit, EditError, TeamEdit, Value, Write};
use crate::id::{DocId, DocKind};

/// What a value that is already shown means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// Nothing to do.
    IsNoChange,
    /// It is written all the same and replaces every concurrent value.
    IsWrittenAnew,
}

pub(super) fn save(
    document: &mut Document,
    author: Author,
    edits: &[DocEdit],
    same: Same,
) -> Result<Option<Chunk>, EditError> {
    check(document.id, edits, |activity| {
        let activities = genesis::place(DocKind::Team, Some("activities"));
        activities.is_some_and(|map| matches!(document.doc.get(map, format!("{activity}/kind")), Ok(Some(_))))
    })?;
    let writes = last_writes(edits);

    let broken = EditError::Broken { document: document.id };
    // On a copy: an error or a panic half way must leave the document as it was.
    let saved = guarded(|| write(document, author, &writes, same)).map_err(|_| broken.clone())?;
    let Some((doc, change)) = saved.map_err(|_| broken)? else { return Ok(None) };
    let chunk = Chunk::made(&change)?;
    document.doc = doc;
    document.seqs.insert(author.actor, change.seq());
    Ok(Some(chunk))
}

/// Every rule of the edits. What is corrected or added to must be an activity that is `known` to the document, or one
/// that the same save records.
pub(super) fn check(id: DocId, edits: &[DocEdit], known: impl Fn(ActivityId) -> bool) -> Result<(), EditError> {
    let mut recorded = HashSet::new();
    for edit in edits {
        edit.check(id)?;
    }
    for edit in edits {
        if let DocEdit::Team(TeamEdit::AddActivity { id, .. }) = edit {
            recorded.insert(*id);
        }
        if let Some(id) = edit.must_exist().filter(|id| !recorded.contains(id) && !known(*id)) {
            return Err(EditError::UnknownActivity { id: id.to_string() });
        }
    }
    Ok(())
}

/// Of several values for one key the last stands; additions all count.
pub(super) fn last_writes(edits: &[DocEdit]) -> Vec<Write> {
    let mut set = HashSet::new();
    let mut writes: Vec<_> = edits.iter().flat_map(DocEdit::writes).collect();
    writes.reverse();
    writes.retain(|write| matches!(write.value, Value::Add(_)) || set.insert((write.map, write.key.clone())));
    writes.reverse();
    writes
}

/// The edited copy and its new change; `None` when nothing changes.
fn write(
    document: &Document,
    author: Author,
    writes: &[Write],
    same: Same,
) -> Result<Option<(Automerge, Change)>, AutomergeError> {
    let mut doc = document.doc.clone();
    doc.set_actor(ActorId::from(author.actor.0));
    let mut transaction = doc.transaction();
    for write in writes {
        write_one(&mut transaction, document.kind, write, same)?;
    }
    let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(author.at_s()));
    let change = hash.and_then(|hash| doc.get_change_by_hash(&hash));
    Ok(change.map(|change| (doc, change)))
}

fn write_one(
    transaction: &mut Transaction<'_>,
    kind: DocKind,
    write: &Write,
    same: Same,
) -> Result<(), AutomergeError> {
    let Some(map) = genesis::place(kind, write.map) else { return Ok(()) };
    let key = write.key.as_ref();
    let shown = transaction.get(&map, key)?.map(|(value, _)| value.into_owned());
    match &write.value {
        Value::Add(count) => match shown {
            Some(AutomergeValue::Scalar(scalar)) if matches!(scalar.as_ref(), ScalarValue::Counter(_)) => {
                transaction.increment(&map, key, *count)
            }
            // Only a hostile or a much newer client leaves an activity without its counter.
            _ => transaction.put(&map, key, ScalarValue::counter(*count)),
        },
        Value::Set(value) => {
            let is_same = match &shown {
                Some(AutomergeValue::Scalar(scalar)) => scalar.as_ref() == value,
                Some(AutomergeValue::Object(_)) => false,
                // Nothing there is as good as null.
                None => matches!(value, ScalarValue::Null),
            };
            match (is_same, same) {
                (true, Same::IsNoChange) => return Ok(()),
                (true, Same::IsWrittenAnew) => {
                    // Automerge makes no operation for a value that is there alone, and only deletes the others when
                    // there are any. Two operations make a new value that replaces all.
                    let other = if value.is_null() { ScalarValue::Boolean(false) } else { ScalarValue::Null };
                    transaction.put(&map, key, other)?;
                }
                (false, _) => {}
            }
            transaction.put(&map, key, value.clone())
        }
    }
}
