//! Who changed what, and when.

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{Automerge, Change, ExpandedChange};

use super::conflicts::{device, timestamp};
use super::{HistoryEntry, genesis, guarded, join, value};
use crate::chunk::{ChangeHash, Chunk};
use crate::id::DocKind;

pub(super) fn history(kind: DocKind, doc: &Automerge) -> Vec<HistoryEntry> {
    guarded(|| {
        let changes = doc.get_changes(&[]);
        let genesis = &genesis::genesis(kind).hashes;
        let later = changes.iter().filter(|change| !genesis.contains(&ChangeHash(change.hash().0)));
        let decoded = later.map(|change| (change, change.decode()));
        let saves = decoded.filter(|(_, decoded)| !join::is_join(decoded));
        saves.map(|(change, decoded)| entry(kind, change, decoded)).collect()
    })
    .unwrap_or_default()
}

pub(super) fn save(kind: Option<DocKind>, chunk: &Chunk) -> Option<HistoryEntry> {
    let save =
        |change: &Change| kind.map_or_else(|| saved(change, Vec::new()), |kind| entry(kind, change, change.decode()));
    guarded(|| chunk.change().ok().as_ref().map(save)).ok().flatten()
}

pub(super) fn chunks(doc: &Automerge) -> Vec<Chunk> {
    guarded(|| {
        let is_genesis = |change: &Change| change.actor_id().to_bytes() == genesis::GENESIS_ACTOR.0;
        let changes = doc.get_changes(&[]).into_iter().filter(|change| !is_genesis(change));
        changes.filter_map(|change| Chunk::kept(&change).ok()).collect()
    })
    .unwrap_or_default()
}

fn entry(kind: DocKind, change: &Change, decoded: ExpandedChange) -> HistoryEntry {
    let mut changes: Vec<(String, String)> = Vec::new();
    for op in decoded.operations {
        let Key::Map(key) = op.key else { continue };
        if op.obj == ObjectId::Root && key == join::JOIN_KEY {
            continue;
        }
        let map = match op.obj {
            ObjectId::Root => None,
            ObjectId::Id(id) => match genesis::map_of_counter(kind, id.counter()) {
                Some(map) => Some(map),
                None => continue,
            },
        };
        let text = match op.action {
            OpType::Put(scalar) => value::scalar_text(&scalar),
            OpType::Delete => String::new(),
            OpType::Increment(by) => format!("{by:+}"),
            OpType::Make(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => continue,
        };
        let path = map.map_or_else(|| key.to_string(), |map| format!("{map}/{key}"));
        // A value written anew (see `Document::resolve`) is two operations; the last is what the person chose.
        match changes.iter_mut().find(|(field, _)| *field == path) {
            Some((_, last)) => *last = text,
            None => changes.push((path, text)),
        }
    }
    saved(change, changes)
}

fn saved(change: &Change, changes: Vec<(String, String)>) -> HistoryEntry {
    HistoryEntry {
        hash: ChangeHash(change.hash().0),
        device: device(change.actor_id().to_bytes()),
        at: timestamp(change.timestamp()),
        changes,
    }
}
