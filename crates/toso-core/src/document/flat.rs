//! A document's values without an op set.
//!
//! A document of the register is a few maps of scalars. What such a document shows follows from its changes alone: of
//! the values of a key that no later change replaced, the one with the greatest operation id stands. That takes some
//! microseconds a change, where building an Automerge document takes a hundred and more, and a tenth of the memory. So
//! callers that want only the values (counting, lists) ask here first.
//!
//! It answers only where there is nothing to decide. A change that waits for another, that breaks a rule, that replaces
//! what is not there, and every counter, make it give up with [`NotFlat`]; then [`super::Document`] has the word. So
//! which changes are refused stands in one place, and `tests/flat.rs` holds the values of both against each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use automerge::legacy::{Key, Op, OpId, OpType};
use automerge::{ActorId, ScalarValue, ScalarValueRef, ValueRef};

use super::conflicts::{field, timestamp};
use super::first::{self, object};
use super::read::Reading;
use super::{CONFLICT_VALUES_MAX, Conflict, ConflictValue, equality, genesis, value};
use crate::chunk::Chunk;
use crate::chunk::columns::Reader;
use crate::chunk::scan::{Action, Operation, scan, value_type};
use crate::id::{Actor, ChangeHash, DocId, DocKind};
use crate::kind;
use crate::record::Record;

/// A document's values. About 200 bytes a field.
#[derive(Debug, Clone)]
pub struct FlatDocument {
    kind: DocKind,
    /// The last operation counter of every change that is in, genesis among them.
    max_ops: HashMap<ChangeHash, u64>,
    /// The last sequence number of every actor.
    seqs: HashMap<Actor, u64>,
    /// By place (0 is the root, n the n-th map of genesis) and key; each list by operation, so that one is found in it
    /// however often a key was written.
    keys: BTreeMap<(usize, String), Vec<Written>>,
}

/// A document that must be merged by Automerge, or a change that must be judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the changes are not plain values in the order of their dependencies")]
pub struct NotFlat;

/// A value that a change wrote.
#[derive(Debug, Clone)]
struct Written {
    counter: u64,
    actor: Actor,
    /// By the clock of the change.
    time_s: i64,
    value: Scalar,
    /// A later operation replaced it.
    replaced: bool,
}

/// The values that reading tells apart.
#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    /// Null, and types that no field has.
    Nothing,
    Boolean(bool),
    Uint(u64),
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl FlatDocument {
    /// A document with only its genesis; `None` for a kind that this version does not know.
    pub fn new(id: DocId) -> Option<Self> {
        let kind = id.kind()?;
        let max_ops = genesis::genesis(kind).max_ops.iter().copied().collect();
        Some(Self { kind, max_ops, seqs: HashMap::new(), keys: BTreeMap::new() })
    }

    /// Merges a change; one that is in already changes nothing. After an error the document is to be dropped.
    pub fn apply(&mut self, chunk: &Chunk) -> Result<(), NotFlat> {
        let (hash, bytes) = (chunk.hash(), chunk.bytes());
        if self.max_ops.contains_key(&hash) {
            return Ok(());
        }
        let scanned = scan(bytes).map_err(|_| NotFlat)?;
        let change = scanned.facts;
        let before = change.deps().map(|dep| self.max_ops.get(&dep).copied());
        let before = before.collect::<Option<Vec<_>>>().and_then(|before| before.into_iter().max()).ok_or(NotFlat)?;
        let last_seq = self.seqs.entry(change.actor).or_default();
        if change.start_op != before + 1 || change.seq != *last_seq + 1 {
            return Err(NotFlat);
        }
        *last_seq = change.seq;
        self.max_ops.insert(hash, before + change.ops);
        let mut operations = Vec::new();
        scanned.operations(|operation| {
            operations.push(self.take(change.actor, change.time_s, &operation)?);
            Ok(())
        })?;
        // Automerge rebuilds a change from its operations; one that was written in another way than its own is lost
        // then, and so refused.
        let written = first::Written {
            actor: change.actor,
            seq: change.seq,
            start_op: change.start_op,
            time_s: change.time_s,
            deps: change.deps().collect(),
            operations,
        };
        let rebuilt = written.encode().ok_or(NotFlat)?;
        if rebuilt.hash().0 == hash.0 && rebuilt.raw_bytes() == bytes { Ok(()) } else { Err(NotFlat) }
    }

    /// The document as plain values: what [`super::Document::read`] gives.
    pub fn read(&self) -> Record {
        let maps: Vec<Option<&str>> = genesis::places(self.kind).map(|(map, _)| map).collect();
        let mut reading = Reading::new(self.kind);
        for ((place, key), written) in &self.keys {
            let shown = written.iter().rfind(|written| !written.replaced);
            if let (Some(map), Some(shown)) = (maps.get(*place), shown) {
                reading.item(*map, key, &shown.value.as_ref());
            }
        }
        reading.finish()
    }

    /// True when a key has several values that nobody has settled. They may be equal, or one value in
    /// several spellings, which [`super::Document::conflicts`] does not call a conflict.
    pub fn is_disputed(&self) -> bool {
        self.keys.values().any(|written| written.iter().filter(|written| !written.replaced).count() > 1)
    }

    /// Fields with more than one value: what [`super::Document::conflicts`] gives.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let maps: Vec<Option<&str>> = genesis::places(self.kind).map(|(map, _)| map).collect();
        let mut conflicts = Vec::new();
        for ((place, key), written) in &self.keys {
            let Some(map) = maps.get(*place).filter(|map| kind::field(self.kind, **map, key).is_some()) else {
                continue;
            };
            let mut seen = HashSet::new();
            let mut is_new = |value: &Scalar| seen.insert(equality::key(self.kind, *map, key, &value.to_automerge()));
            let standing = written.iter().rev().filter(|written| !written.replaced);
            let different: Vec<_> = standing.filter(|written| is_new(&written.value)).collect();
            if different.len() < 2 {
                continue;
            }
            let values = different.iter().zip(0..CONFLICT_VALUES_MAX).map(|(written, place)| ConflictValue {
                value: value::scalar_text(&written.value.to_automerge()),
                device: written.actor.author(),
                at: timestamp(written.time_s),
                shown: place == 0,
            });
            conflicts.push(Conflict { field: field(*map, key), values: values.collect(), count: different.len() });
        }
        conflicts.sort_unstable_by(|a, b| a.field.cmp(&b.field));
        conflicts
    }

    fn take(&mut self, actor: Actor, time_s: i64, operation: &Operation<'_, '_>) -> Result<Op, NotFlat> {
        let place = usize::try_from(operation.place).map_err(|_| NotFlat)?;
        let key = std::str::from_utf8(operation.key).map_err(|_| NotFlat)?;
        if key.is_empty() || place >= genesis::places(self.kind).count() {
            return Err(NotFlat);
        }
        let written = self.keys.entry((place, key.to_owned())).or_default();
        for (counter, by) in operation.preds {
            let place = written.binary_search_by_key(&(*counter, *by), Written::operation).map_err(|_| NotFlat)?;
            written.get_mut(place).ok_or(NotFlat)?.replaced = true;
        }
        let action = match operation.action {
            Action::Set => {
                let value = Scalar::of(operation.value_type, operation.value).ok_or(NotFlat)?;
                let action = OpType::Put(value.to_automerge());
                let new = Written { counter: operation.counter, actor, time_s, value, replaced: false };
                // No two changes have one actor and sequence number here, so no two operations are equal.
                let place = written.partition_point(|written| written.operation() < new.operation());
                written.insert(place, new);
                action
            }
            Action::Delete if !operation.preds.is_empty() => OpType::Delete,
            Action::Delete | Action::Increment => return Err(NotFlat),
        };
        let preds = operation.preds.iter().map(|(counter, by)| OpId::new(*counter, &ActorId::from(by.0)));
        Ok(Op { action, obj: object(operation.place), key: Key::Map(key.into()), pred: preds.collect(), insert: false })
    }
}

impl Written {
    /// Its place among the values of its key.
    fn operation(&self) -> (u64, Actor) {
        (self.counter, self.actor)
    }
}

impl Scalar {
    /// A value by its type and bytes; `None` for counters, types that no edit makes, and bytes that do not fit.
    fn of(value_type: u64, bytes: &[u8]) -> Option<Self> {
        let mut number = Reader::new(bytes, "values");
        let value = match value_type {
            value_type::NULL if bytes.is_empty() => Self::Nothing,
            value_type::FALSE if bytes.is_empty() => Self::Boolean(false),
            value_type::TRUE if bytes.is_empty() => Self::Boolean(true),
            value_type::UINT => Self::Uint(number.u64().ok().filter(|_| number.is_empty())?),
            value_type::INT => Self::Int(number.i64().ok().filter(|_| number.is_empty())?),
            value_type::TEXT => Self::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
            value_type::BYTES => Self::Bytes(bytes.to_vec()),
            _ => return None,
        };
        Some(value)
    }

    fn to_automerge(&self) -> ScalarValue {
        match self {
            Self::Nothing => ScalarValue::Null,
            Self::Boolean(yes) => ScalarValue::Boolean(*yes),
            Self::Uint(number) => ScalarValue::Uint(*number),
            Self::Int(number) => ScalarValue::Int(*number),
            Self::Text(text) => ScalarValue::Str(text.as_str().into()),
            Self::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
        }
    }

    fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::Scalar(match self {
            Self::Nothing => ScalarValueRef::Null,
            Self::Boolean(yes) => ScalarValueRef::Boolean(*yes),
            Self::Uint(number) => ScalarValueRef::Uint(*number),
            Self::Int(number) => ScalarValueRef::Int(*number),
            Self::Text(text) => ScalarValueRef::Str(text.as_str().into()),
            Self::Bytes(bytes) => ScalarValueRef::Bytes(bytes.as_slice().into()),
        })
    }
}
