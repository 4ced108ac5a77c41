//! Fields that devices wrote apart.

use std::collections::HashSet;

use automerge::{Automerge, ObjId, ReadDoc, Value};

use super::{CONFLICT_VALUES_MAX, Conflict, ConflictValue, equality, genesis, guarded, value};
use crate::id::{Actor, AuthorId, DocKind};
use crate::kind;
use crate::time::TimestampMs;

pub(super) fn conflicts(kind: DocKind, doc: &Automerge) -> Vec<Conflict> {
    guarded(|| find(kind, doc)).unwrap_or_default()
}

fn find(kind: DocKind, doc: &Automerge) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (map, id) in genesis::places(kind) {
        for item in doc.map_range(&id, ..).filter(|item| item.conflict && kind::field(kind, map, &item.key).is_some()) {
            let Ok(values) = doc.get_all(&id, item.key.as_ref()) else { continue };
            // Automerge lists the value that it shows last. Of those that mean the same the later one stays.
            let mut seen = HashSet::new();
            let mut is_new = |value: &Value<'_>| seen.insert(equality::value_key(kind, map, &item.key, value));
            let different: Vec<_> = values.iter().rev().filter(|(value, _)| is_new(value)).collect();
            if different.len() < 2 {
                continue;
            }
            let mut shown = true;
            let count = different.len();
            let values = different.into_iter().take(CONFLICT_VALUES_MAX).map(|(value, op)| {
                let (device, at) = written(doc, op);
                let shown = std::mem::take(&mut shown);
                ConflictValue { value: value::text(value), device, at, shown }
            });
            let field = field(map, &item.key);
            conflicts.push(Conflict { field, values: values.collect(), count });
        }
    }
    conflicts.sort_unstable_by(|a, b| a.field.cmp(&b.field));
    conflicts
}

/// A key's path.
pub(super) fn field(map: Option<&str>, key: &str) -> String {
    map.map_or_else(|| key.to_owned(), |map| format!("{map}/{key}"))
}

/// Who made an operation, and when by their clock.
fn written(doc: &Automerge, op: &ObjId) -> (AuthorId, TimestampMs) {
    let time_s = doc
        .hash_for_opid(op)
        .and_then(|hash| doc.get_change_meta_by_hash(&hash))
        .map(|change| change.timestamp)
        .unwrap_or_default();
    let device = match op {
        ObjId::Id(_, actor, _) => device(actor.to_bytes()),
        ObjId::Root => AuthorId([0; 8]),
    };
    (device, timestamp(time_s))
}

/// The device of an actor's bytes; [`crate::chunk::Chunk::parse`] lets no actor in that has not 16.
pub(super) fn device(actor: &[u8]) -> AuthorId {
    actor.try_into().map_or(AuthorId([0; 8]), |actor| Actor(actor).author())
}

/// A change's time; before 1970 is 1970.
pub(super) fn timestamp(time_s: i64) -> TimestampMs {
    TimestampMs(u64::try_from(time_s).unwrap_or_default().saturating_mul(1000))
}
