//! Walks a change's bytes before Automerge does: envelope, header, and every column, each count bounded.
//!
//! What it has walked it can also tell: [`Scanned::operations`] names every operation, so that a reader that needs no
//! more than the fields' values needs no op set. [`facts`] reads the header alone, in place.

use super::columns::{Reader, all_false, count_runs, runs, undelta};
use super::facts::Facts;
use super::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGE_KEY_BYTES_MAX, CHANGE_MESSAGE_BYTES_MAX,
    CHANGE_OPS_MAX, CHANGE_PREDS_MAX, ChunkError,
};
use crate::document::genesis::{GENESIS_ACTOR, GENESIS_OPS_MAX};
use crate::id::Actor;

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Automerge's checksum is the first bytes of the change hash.
pub(super) const CHECKSUM_BYTES: usize = 4;
const HASH_BYTES: usize = 32;
const TYPE_CHANGE: u8 = 1;
/// The most dependencies that are read: as many as a change has room for. What comes in has fewer (`in_limits`); what was written anew
/// without the changes that it built on (`document::without`) names what those had joined.
const DEPS_READ_MAX: usize = CHANGE_BYTES_MAX / HASH_BYTES;
/// The most other actors that are read, likewise.
const ACTORS_READ_MAX: usize = CHANGE_BYTES_MAX / ACTOR_BYTES;
const ACTOR_BYTES: usize = 16;
/// A change has at most the columns of [`Columns`]; twice as many may be listed, empty ones among them.
const COLUMNS_MAX: usize = 26;
/// Automerge keeps operation counters in 32 bits.
const OP_COUNTER_MAX: u64 = u32::MAX as u64;

/// What the scan learns.
pub(crate) struct Scanned<'a> {
    pub(super) checksum: [u8; CHECKSUM_BYTES],
    pub(crate) facts: Facts<'a>,
    other_actors: usize,
    rows: Rows<'a>,
}

/// What an operation does to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Set,
    Delete,
    Increment,
}

/// One operation: a key of the root or of one of genesis' maps.
#[derive(Debug)]
pub(crate) struct Operation<'a, 'p> {
    /// Its counter; with the change's actor its identity.
    pub(crate) counter: u64,
    /// 0 is the root, n the n-th map that genesis made.
    pub(crate) place: u64,
    pub(crate) key: &'a [u8],
    pub(crate) action: Action,
    /// The type of its value as Automerge numbers them, and its bytes.
    pub(crate) value_type: u64,
    pub(crate) value: &'a [u8],
    /// The operations that it replaces or adds to.
    pub(crate) preds: &'p [Pred],
}

/// An operation that another replaces or adds to, by counter and actor.
type Pred = (u64, Actor);

/// The columns, row by row: each has one entry for every operation.
struct Rows<'a> {
    places: Vec<u64>,
    keys: Vec<&'a [u8]>,
    actions: Vec<Action>,
    metas: Vec<u64>,
    values: &'a [u8],
    pred_counts: Vec<u64>,
    preds: Vec<Pred>,
}

impl<'a> Scanned<'a> {
    /// Hands every operation to `each`, in order, until it says no.
    pub(crate) fn operations<E>(&self, mut each: impl FnMut(Operation<'a, '_>) -> Result<(), E>) -> Result<(), E> {
        let Rows { places, keys, actions, metas, values, pred_counts, preds } = &self.rows;
        let (mut values, mut preds) = (*values, preds.as_slice());
        let rows = places.iter().zip(keys).zip(actions).zip(metas).zip(pred_counts);
        for (counter, ((((place, key), action), meta), count)) in (self.facts.start_op..).zip(rows) {
            // The scan has seen that the columns hold this much.
            let (value, rest) = values.split_at_checked(length_of(*meta)).unwrap_or_default();
            let (own, others) =
                preds.split_at_checked(usize::try_from(*count).unwrap_or(usize::MAX)).unwrap_or_default();
            (values, preds) = (rest, others);
            each(Operation {
                counter,
                place: *place,
                key,
                action: *action,
                value_type: meta & 0xf,
                value,
                preds: own,
            })?;
        }
        Ok(())
    }
}

/// The bytes of a value, by its entry in the column of types and lengths.
fn length_of(meta: u64) -> usize {
    usize::try_from(meta >> 4).unwrap_or(usize::MAX)
}

/// Walks all of a change.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scanned<'_>, ChunkError> {
    #[cfg(any(test, feature = "counted"))]
    super::counted::scanned();
    let (checksum, body) = envelope(bytes)?;
    let (head, mut others) = head(body)?;
    let other_actors = others.count(ACTORS_READ_MAX)?;
    let mut actors = vec![head.actor];
    for _ in 0..other_actors {
        actors.push(actor(&mut others)?);
    }
    let rows = Columns::read(others.named("columns"))?.rows(&actors, head.start_op)?;
    let facts = Facts { ops: rows.actions.len() as u64, ..head };
    Ok(Scanned { checksum, facts, other_actors, rows })
}

/// Refuses more dependencies or other actors than a change has when it is made.
pub(super) fn in_limits(scanned: &Scanned<'_>) -> Result<(), ChunkError> {
    if scanned.facts.deps().len() > CHANGE_DEPS_MAX {
        return Err(ChunkError::TooMany { what: "dependencies", max: CHANGE_DEPS_MAX });
    }
    if scanned.other_actors > CHANGE_ACTORS_MAX {
        return Err(ChunkError::TooMany { what: "other actors", max: CHANGE_ACTORS_MAX });
    }
    Ok(())
}

/// Reads what a change says of itself, and looks at its operations only to count them.
pub(super) fn facts(bytes: &[u8]) -> Result<Facts<'_>, ChunkError> {
    let (_, body) = envelope(bytes)?;
    let (head, mut others) = head(body)?;
    for _ in 0..others.count(ACTORS_READ_MAX)? {
        actor(&mut others)?;
    }
    let columns = Columns::read(others.named("columns"))?;
    let ops = count_runs(columns.action, "operations", CHANGE_OPS_MAX, Reader::u64)? as u64;
    ops_fit(head.start_op, ops)?;
    Ok(Facts { ops, ..head })
}

/// The checksum and the body of one change chunk.
fn envelope(bytes: &[u8]) -> Result<([u8; CHECKSUM_BYTES], &[u8]), ChunkError> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(ChunkError::TooLarge { bytes: bytes.len() });
    }
    let mut reader = Reader::new(bytes, "envelope");
    if reader.array()? != MAGIC {
        return Err(ChunkError::Malformed { what: "magic bytes" });
    }
    let checksum = reader.array()?;
    let [chunk_type] = reader.array()?;
    if chunk_type != TYPE_CHANGE {
        return Err(ChunkError::WrongType { found: chunk_type });
    }
    let length = reader.u64()?;
    let length = usize::try_from(length).map_err(|_| reader.malformed())?;
    let body = reader.take(length)?;
    if !reader.is_empty() {
        return Err(ChunkError::Malformed { what: "length: bytes follow the change" });
    }
    Ok((checksum, body))
}

/// The header, as yet without a count of operations, and what follows it: the list of other actors.
fn head(body: &[u8]) -> Result<(Facts<'_>, Reader<'_>), ChunkError> {
    let mut reader = Reader::new(body, "dependencies");
    let count = reader.count(DEPS_READ_MAX)?;
    if count == 0 {
        return Err(ChunkError::Malformed { what: "dependencies: it does not build on a genesis change" });
    }
    let deps = reader.take(count * HASH_BYTES)?;

    let mut header = reader.named("header");
    let actor = actor(&mut header)?;
    if actor == GENESIS_ACTOR {
        return Err(ChunkError::Foreign { what: "the actor of genesis changes" });
    }
    let (seq, start_op, time_s) = (header.u64()?, header.u64()?, header.i64()?);
    if seq == 0 || seq > OP_COUNTER_MAX || start_op == 0 || start_op > OP_COUNTER_MAX {
        return Err(header.malformed());
    }
    let mut message = header.named("bytes in the message");
    let message_len = message.count(CHANGE_MESSAGE_BYTES_MAX)?;
    message.take(message_len)?;
    Ok((Facts { deps, actor, seq, time_s, start_op, ops: 0 }, message.named("other actors")))
}

/// A change has operations, and their counters fit.
fn ops_fit(start_op: u64, ops: u64) -> Result<(), ChunkError> {
    if ops == 0 {
        return Err(ChunkError::Malformed { what: "operations: there are none" });
    }
    if start_op + ops > OP_COUNTER_MAX {
        return Err(ChunkError::Malformed { what: "operation counter" });
    }
    Ok(())
}

fn actor(reader: &mut Reader<'_>) -> Result<Actor, ChunkError> {
    let length = reader.u64()?;
    if length != 16 {
        return Err(ChunkError::Malformed { what: "actor: it must have 16 bytes" });
    }
    reader.array().map(Actor)
}

/// The columns of a change's operations, each empty when absent.
#[derive(Default)]
struct Columns<'a> {
    obj_actor: &'a [u8],
    obj_counter: &'a [u8],
    key_actor: &'a [u8],
    key_counter: &'a [u8],
    key: &'a [u8],
    insert: &'a [u8],
    action: &'a [u8],
    value_meta: &'a [u8],
    value: &'a [u8],
    pred_count: &'a [u8],
    pred_actor: &'a [u8],
    pred_counter: &'a [u8],
    expand: &'a [u8],
}

impl<'a> Columns<'a> {
    /// The columns that are listed, and nothing after them.
    fn read(mut listed: Reader<'a>) -> Result<Self, ChunkError> {
        let mut columns = Self::default();
        let mut specs = [(0, 0); COLUMNS_MAX];
        let count = listed.count(COLUMNS_MAX)?;
        for spec in specs.iter_mut().take(count) {
            *spec = (listed.u64()?, listed.u64()?);
        }
        for (spec, length) in specs.into_iter().take(count) {
            let length = usize::try_from(length).map_err(|_| listed.malformed())?;
            let data = listed.take(length)?;
            if !data.is_empty() {
                let column = columns.of(spec).ok_or(ChunkError::Foreign { what: "an unknown or compressed column" })?;
                if !column.is_empty() {
                    return Err(listed.malformed());
                }
                *column = data;
            }
        }
        if listed.is_empty() { Ok(columns) } else { Err(ChunkError::Foreign { what: "bytes after its operations" }) }
    }

    /// The column of a specification: (column id << 4) | type, bit 3 set when compressed.
    fn of(&mut self, spec: u64) -> Option<&mut &'a [u8]> {
        Some(match spec {
            0x01 => &mut self.obj_actor,
            0x02 => &mut self.obj_counter,
            0x11 => &mut self.key_actor,
            0x13 => &mut self.key_counter,
            0x15 => &mut self.key,
            0x34 => &mut self.insert,
            0x42 => &mut self.action,
            0x56 => &mut self.value_meta,
            0x57 => &mut self.value,
            0x70 => &mut self.pred_count,
            0x71 => &mut self.pred_actor,
            0x73 => &mut self.pred_counter,
            0x94 => &mut self.expand,
            _ => return None,
        })
    }

    /// Checks every operation.
    fn rows(&self, actors: &[Actor], start_op: u64) -> Result<Rows<'a>, ChunkError> {
        let what = "operations";
        let actions = runs(self.action, what, CHANGE_OPS_MAX, Reader::u64)?;
        let ops = actions.len();
        ops_fit(start_op, ops as u64)?;
        if !all_false(self.insert, what, ops)? || !all_false(self.expand, what, ops)? {
            return Err(ChunkError::Foreign { what: "a list or a mark" });
        }
        let list_keys = runs(self.key_actor, what, ops, Reader::u64)?.into_iter().any(|row| row.is_some())
            || runs(self.key_counter, what, ops, Reader::i64)?.into_iter().any(|row| row.is_some());
        if list_keys {
            return Err(ChunkError::Foreign { what: "a list" });
        }
        let keys = self.keys(ops)?;
        let places = self.places(ops, actors)?;
        let (actions, metas) = self.values(&actions)?;
        let (pred_counts, preds) = self.preds(ops, actors, start_op)?;
        Ok(Rows { places, keys, actions, metas, values: self.value, pred_counts, preds })
    }

    fn keys(&self, ops: usize) -> Result<Vec<&'a [u8]>, ChunkError> {
        let what = "keys";
        let keys = runs(self.key, what, ops, |reader| {
            let length = reader.u64()?;
            let length = usize::try_from(length).map_err(|_| ChunkError::Malformed { what })?;
            reader.take(length)
        })?;
        let keys: Option<Vec<&[u8]>> = keys.into_iter().collect();
        let keys = keys.filter(|keys| keys.len() == ops).ok_or(ChunkError::Malformed { what })?;
        if keys.iter().any(|key| key.len() > CHANGE_KEY_BYTES_MAX) {
            return Err(ChunkError::TooMany { what: "bytes in a key", max: CHANGE_KEY_BYTES_MAX });
        }
        Ok(keys)
    }

    /// Each operation must name the root or an object that genesis may have made.
    fn places(&self, ops: usize, actors: &[Actor]) -> Result<Vec<u64>, ChunkError> {
        let what = "objects";
        let counters = column(runs(self.obj_counter, what, ops, Reader::u64)?, ops, what)?;
        let owners = column(runs(self.obj_actor, what, ops, Reader::u64)?, ops, what)?;
        let places = counters.into_iter().zip(owners).map(|place| match place {
            (None, None) => Ok(0),
            (Some(counter), Some(owner))
                if (1..=GENESIS_OPS_MAX).contains(&counter) && indexed(actors, owner) == Some(&GENESIS_ACTOR) =>
            {
                Ok(counter)
            }
            _ => Err(ChunkError::Foreign { what: "an object that genesis did not make" }),
        });
        places.collect()
    }

    /// What every operation does, and the type and length of its value.
    fn values(&self, actions: &[Option<u64>]) -> Result<(Vec<Action>, Vec<u64>), ChunkError> {
        const SET: u64 = 1;
        const DELETE: u64 = 3;
        const INCREMENT: u64 = 5;
        let what = "values";
        let metas = column(runs(self.value_meta, what, actions.len(), Reader::u64)?, actions.len(), what)?;
        let metas: Vec<u64> = metas.into_iter().map(Option::unwrap_or_default).collect();
        let mut value_bytes = 0_u64;
        let mut known = Vec::with_capacity(actions.len());
        for (action, meta) in actions.iter().zip(&metas) {
            let (value_type, length) = (meta & 0xf, meta >> 4);
            value_bytes = value_bytes.checked_add(length).ok_or(ChunkError::Malformed { what })?;
            known.push(match (action, value_type) {
                (Some(SET), ..=value_type::LAST_KNOWN) => Action::Set,
                (Some(DELETE), value_type::NULL) => Action::Delete,
                (Some(INCREMENT), value_type::UINT | value_type::INT) => Action::Increment,
                _ => return Err(ChunkError::Foreign { what: "an operation other than set, delete and increment" }),
            });
        }
        if value_bytes == self.value.len() as u64 { Ok((known, metas)) } else { Err(ChunkError::Malformed { what }) }
    }

    /// What an operation replaces must be older than it: their numbers, and all of them in one list.
    fn preds(&self, ops: usize, actors: &[Actor], start_op: u64) -> Result<(Vec<u64>, Vec<Pred>), ChunkError> {
        let what = "replaced values";
        let counts = column(runs(self.pred_count, what, ops, Reader::u64)?, ops, what)?;
        let counts: Vec<u64> = counts.into_iter().map(Option::unwrap_or_default).collect();
        let mut counters = runs(self.pred_counter, what, CHANGE_PREDS_MAX, Reader::i64)?;
        undelta(&mut counters, what)?;
        let owners = runs(self.pred_actor, what, CHANGE_PREDS_MAX, Reader::u64)?;
        if counters.len() != owners.len() {
            return Err(ChunkError::Malformed { what });
        }
        let mut preds = Vec::with_capacity(counters.len());
        let mut rows = counters.into_iter().zip(owners);
        for (op, count) in (start_op..).zip(&counts) {
            for _ in 0..*count {
                let Some((Some(counter), Some(owner))) = rows.next() else {
                    return Err(ChunkError::Malformed { what });
                };
                match (u64::try_from(counter), indexed(actors, owner)) {
                    (Ok(counter @ 1..), Some(owner)) if counter < op => preds.push((counter, *owner)),
                    _ => return Err(ChunkError::Malformed { what }),
                }
            }
        }
        if rows.next().is_none() { Ok((counts, preds)) } else { Err(ChunkError::Malformed { what }) }
    }
}

/// The types of values, as Automerge numbers them.
pub(crate) mod value_type {
    pub(crate) const NULL: u64 = 0;
    pub(crate) const FALSE: u64 = 1;
    pub(crate) const TRUE: u64 = 2;
    pub(crate) const UINT: u64 = 3;
    pub(crate) const INT: u64 = 4;
    pub(crate) const TEXT: u64 = 6;
    pub(crate) const BYTES: u64 = 7;
    pub(crate) const LAST_KNOWN: u64 = 9;
}

/// A column has as many rows as there are operations, or none when all are null.
fn column<T: Copy>(rows: Vec<Option<T>>, ops: usize, what: &'static str) -> Result<Vec<Option<T>>, ChunkError> {
    match rows.len() {
        0 => Ok(vec![None; ops]),
        len if len == ops => Ok(rows),
        _ => Err(ChunkError::Malformed { what }),
    }
}

fn indexed(actors: &[Actor], index: u64) -> Option<&Actor> {
    actors.get(usize::try_from(index).ok()?)
}
