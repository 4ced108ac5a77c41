//! Leaves one value of a field that has more of them than one change may replace.
//!
//! A save replaces every value of the fields that it writes, and names the authors of all. A field that thousands of openings
//! of stores have written apart has more than that. So before such a save come changes that write the value which is shown
//! already, each in place of as many as it may replace, until it stands alone.

use std::collections::HashSet;

use automerge::legacy::{Key, Op, OpId, OpType};
use automerge::{Automerge, ObjId, ReadDoc, ScalarValue, Value as AutomergeValue};

use super::join::Room;
use super::save::last_writes;
use super::{Document, first, genesis};
use crate::edit::DocEdit;

/// The most values that a save replaces at once, and one of these changes: with an author of 16 bytes and a number of some
/// bytes for each they take 20 KiB of a change's 60, and leave a save room for a hamlet list of 40 KiB.
pub(super) const REPLACED_MAX: usize = 1_000;

/// A field by its map's number, 0 being the root, and its key.
pub(super) struct Field {
    place: u64,
    map: ObjId,
    key: String,
}

/// The fields with several values among those that the edits write, when all have more values than a save may replace;
/// else none.
pub(super) fn crowded(document: &Document, edits: &[DocEdit]) -> Vec<Field> {
    let mut seen = HashSet::new();
    let (mut fields, mut all) = (Vec::new(), 0);
    for write in last_writes(edits) {
        let place = genesis::places(document.kind).zip(0..).find(|((map, _), _)| *map == write.map);
        let Some(((_, map), place)) = place else { continue };
        let field = Field { place, map, key: write.key.into_owned() };
        let count = values(&document.doc, &field).len();
        if seen.insert((field.place, field.key.clone())) {
            all += count;
            fields.extend((count > 1).then_some(field));
        }
    }
    if all > REPLACED_MAX { fields } else { Vec::new() }
}

/// Its values with the operations that wrote them, the shown one last.
fn values(doc: &Automerge, field: &Field) -> Vec<(ScalarValue, OpId)> {
    let values = doc.get_all(&field.map, field.key.as_str()).unwrap_or_default();
    let scalar = |(value, op): (AutomergeValue<'_>, ObjId)| match (value, op) {
        (AutomergeValue::Scalar(value), ObjId::Id(counter, actor, _)) => {
            Some((value.into_owned(), OpId::new(counter, &actor)))
        }
        (AutomergeValue::Scalar(_), ObjId::Root) | (AutomergeValue::Object(_), _) => None,
    };
    values.into_iter().filter_map(scalar).collect()
}

impl Room {
    /// Leaves each of these fields with the value that it shows; `None` where Automerge cannot write a change.
    pub(super) fn thin(&mut self, fields: &[Field]) -> Option<()> {
        for field in fields {
            loop {
                let values = values(&self.doc, field);
                let Some((shown, _)) = values.last().filter(|_| values.len() > 1) else { break };
                // A counter with all that was added to it.
                let shown = if let ScalarValue::Counter(counter) = shown {
                    ScalarValue::counter(counter.into())
                } else {
                    shown.clone()
                };
                let mut replaced: Vec<OpId> = values.into_iter().take(REPLACED_MAX).map(|(_, op)| op).collect();
                replaced.sort_unstable_by(|a, b| (a.counter(), a.actor()).cmp(&(b.counter(), b.actor())));
                self.write(Op {
                    action: OpType::Put(shown),
                    obj: first::object(field.place),
                    key: Key::Map(field.key.as_str().into()),
                    pred: replaced.into(),
                    insert: false,
                })?;
            }
        }
        Some(())
    }
}
