//! The phone's part in comparing: it asks with fingerprints, then fetches what it lacks and pushes what the server lacks.
//!
//! Nothing of the new state counts before the end: epoch, cursor and the outbox's additions are committed together, so a
//! phone killed in between compares again.
//!
//! A unit of more chunks than are compared comes whole, by ordinary pages, when the epoch is another. What came then tells
//! what the server has, and the end is the same.

use std::collections::{HashSet, VecDeque};

use toso_core::chunk::ChangeHash;
use toso_core::document::Document;
use toso_core::id::{ChunkKey, DocId, Sequence};
use toso_core::unit::UnitRef;
use toso_wire::{Delta, DeltaItem, Frame, Reconcile, Want};

use super::live::Live;
use super::session::GoesOn;
use super::{ClientEffect, Commit, Query, ReadElements, SessionEnd};
use crate::reconcile::{Elements, Found, RECONCILE_ROUNDS_MAX, ReconcileError};

/// A unit being compared.
#[derive(Debug)]
pub(super) struct Reconciling {
    as_of: Sequence,
    elements: Option<Elements>,
    found: Found,
    rounds: u32,
    /// Keys still to be asked for.
    wanted: VecDeque<ChunkKey>,
    /// The last WANT is under way.
    asked_last: bool,
}

/// A unit of another epoch that comes whole.
#[derive(Debug, Default)]
pub(super) struct PullingAnew {
    /// What came: 32 bytes a chunk, 8 MB for as many chunks as are compared.
    keys: HashSet<ChunkKey>,
    pub(super) through: Sequence,
}

impl Live {
    /// The server opens a comparison, or answers in one.
    pub(super) fn on_reconcile(&mut self, reconcile: Reconcile, effects: &mut Vec<ClientEffect>) -> GoesOn {
        let Reconcile { unit, as_of, message } = reconcile;
        let keys_max = self.pacing.want_keys_max();
        let Some(follow) = self.follows.iter_mut().find(|follow| follow.unit == unit) else {
            return Err(SessionEnd::Protocol("a RECONCILE names a unit that was not asked for"));
        };
        match &mut follow.reconciling {
            None if message.is_empty() => {
                follow.caught_up = false;
                follow.pulling_anew = None;
                follow.reconciling = Some(Reconciling {
                    as_of,
                    elements: None,
                    found: Found::default(),
                    rounds: 0,
                    wanted: VecDeque::new(),
                    asked_last: false,
                });
                effects.push(ClientEffect::Query(Query::ReadElements(ReadElements { unit })));
            }
            Some(reconciling) if as_of == reconciling.as_of && !message.is_empty() => {
                match reconciling.absorb(&message) {
                    Ok(Some(message)) => {
                        effects.push(ClientEffect::Send(Frame::Reconcile(Reconcile { unit, as_of, message })));
                    }
                    Ok(None) => {
                        let want = reconciling.next_want(unit, keys_max);
                        effects.push(ClientEffect::Send(Frame::Want(want)));
                    }
                    Err(_) => return Err(SessionEnd::Protocol("a RECONCILE cannot be read")),
                }
            }
            // Each request opens the comparison anew, which goes on where it was.
            Some(_) if message.is_empty() && self.start.by_request => {}
            _ => return Err(SessionEnd::Protocol("a RECONCILE does not belong to the comparison")),
        }
        Ok(())
    }

    /// Answer to [`ReadElements`].
    pub(super) fn on_elements(
        &mut self,
        unit: UnitRef,
        chunks: Vec<(DocId, ChangeHash)>,
        effects: &mut Vec<ClientEffect>,
    ) -> GoesOn {
        let Some(follow) = self.follows.iter_mut().find(|follow| follow.unit == unit) else { return Ok(()) };
        if let Some(pulled) = follow.pulling_anew.take() {
            follow.caught_up = true;
            let is_lacking = |(doc, hash): &(DocId, ChangeHash)| !pulled.keys.contains(&ChunkKey::of(*doc, hash));
            let lacking = chunks.into_iter().filter(is_lacking).collect();
            self.commit_reconciled(unit, pulled.through, lacking, effects);
            return Ok(());
        }
        let Some(reconciling) = follow.reconciling.as_mut() else { return Ok(()) };
        let elements = Elements::new(chunks);
        let message = elements.open();
        reconciling.elements = Some(elements);
        let as_of = reconciling.as_of;
        let message = message.map_err(|_| SessionEnd::Protocol("the comparison cannot begin"))?;
        effects.push(ClientEffect::Send(Frame::Reconcile(Reconcile { unit, as_of, message })));
        Ok(())
    }

    /// A page that answers a WANT; gives it back when it is an ordinary one.
    pub(super) fn on_wanted(&mut self, delta: Delta, effects: &mut Vec<ClientEffect>) -> Option<Delta> {
        let follow = self.follows.iter().find(|follow| follow.unit == delta.unit);
        if follow.is_none_or(|follow| follow.reconciling.is_none()) {
            return Some(delta);
        }
        let (unit, more) = (delta.unit, delta.more);
        self.pulled += delta.groups.iter().map(|group| group.items.len() as u64).sum::<u64>();
        effects.push(ClientEffect::Commit(Commit::Chunks(delta)));
        self.progress(effects);
        self.ask_for_page(effects);
        if more {
            return None;
        }
        let keys_max = self.pacing.want_keys_max();
        let follow = self.follows.iter_mut().find(|follow| follow.unit == unit);
        match follow.and_then(|follow| follow.reconciling.as_mut()) {
            Some(reconciling) if !reconciling.asked_last => {
                let want = reconciling.next_want(unit, keys_max);
                effects.push(ClientEffect::Send(Frame::Want(want)));
            }
            _ => self.finish_reconciling(unit, effects),
        }
        None
    }

    fn finish_reconciling(&mut self, unit: UnitRef, effects: &mut Vec<ClientEffect>) {
        let follow = self.follows.iter_mut().find(|follow| follow.unit == unit);
        let Some((follow, done)) = follow.and_then(|follow| follow.reconciling.take().map(|done| (follow, done)))
        else {
            return;
        };
        follow.caught_up = true;
        let lacking = done.elements.map(|elements| elements.chunks(&done.found.have)).unwrap_or_default();
        self.commit_reconciled(unit, done.as_of, lacking, effects);
    }

    fn commit_reconciled(
        &mut self,
        unit: UnitRef,
        as_of: Sequence,
        mut lacking: Vec<(DocId, ChangeHash)>,
        effects: &mut Vec<ClientEffect>,
    ) {
        // The push in HELLO came after what was compared, and need not go again.
        lacking.retain(|chunk| !self.acked_meanwhile.contains(chunk));
        let all_done = !self.is_reconciling() && !self.is_pulling_anew();
        if all_done {
            self.acked_meanwhile.clear();
        }
        effects.push(ClientEffect::Commit(Commit::Reconciled {
            unit,
            as_of,
            // Cursors of one epoch only: while another unit is still being compared, the old one stays.
            epoch: all_done.then_some(self.epoch),
            acknowledged: as_of.max(self.acked_through),
            lacking,
        }));
        self.outbox_dirty = true;
        self.reported = None;
        if all_done {
            self.leave_after_all(effects);
        }
    }

    /// True while pushes wait for a comparison: sequences of the new epoch must not meet cursors of the old one.
    pub(super) fn is_reconciling(&self) -> bool {
        self.follows.iter().any(|follow| follow.reconciling.is_some())
    }

    /// True while a unit of another epoch comes whole.
    pub(super) fn is_pulling_anew(&self) -> bool {
        self.follows.iter().any(|follow| follow.pulling_anew.is_some())
    }
}

impl PullingAnew {
    pub(super) fn absorb(&mut self, delta: &Delta) {
        self.through = delta.next;
        for item in delta.groups.iter().flat_map(|group| &group.items) {
            match item {
                DeltaItem::Change(change) | DeltaItem::Returned(change, _) => {
                    self.keys.extend(change.check().map(|change| ChunkKey::of(change.doc, &change.hash())));
                }
                DeltaItem::Snapshot(doc, bytes) => {
                    let chunks = Document::snapshot_chunks(*doc, bytes).unwrap_or_default();
                    self.keys.extend(chunks.iter().map(|chunk| ChunkKey::of(*doc, &chunk.hash())));
                }
                DeltaItem::Erased(doc, hash) => _ = self.keys.insert(ChunkKey::of(*doc, hash)),
            }
        }
    }
}

impl Reconciling {
    fn absorb(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, ReconcileError> {
        self.rounds += 1;
        let Some(elements) = &self.elements else { return Ok(None) };
        let next = elements.absorb(message, &mut self.found)?.filter(|_| self.rounds < RECONCILE_ROUNDS_MAX);
        if next.is_none() {
            // A range that was compared twice names its keys twice.
            self.found.need.sort_unstable();
            self.found.need.dedup();
            self.wanted = self.found.need.iter().copied().collect();
        }
        Ok(next)
    }

    fn next_want(&mut self, unit: UnitRef, keys_max: usize) -> Want {
        let count = self.wanted.len().min(keys_max);
        let keys = self.wanted.drain(..count).collect();
        self.asked_last = self.wanted.is_empty();
        Want { unit, as_of: self.as_of, keys, last: self.asked_last }
    }
}
