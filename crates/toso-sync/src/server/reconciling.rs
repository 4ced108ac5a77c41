//! The server's part in comparing: it opens the comparison, answers each message from the log as it stood then, and
//! sends what the device asks for. It keeps a position and no chunks.

use std::collections::HashSet;

use toso_core::chunk::ChangeHash;
use toso_core::id::{ChunkKey, DocId, Sequence};
use toso_core::unit::UnitRef;
use toso_wire::{Frame, Reconcile, Want, pack_delta};

use super::ending::{Ending, GoesOn};
use super::live::Live;
use super::{PageEntry, Query, ReadElements, ReadWanted, ServerEffect};
use crate::reconcile::{Elements, RECONCILE_ROUNDS_MAX, want_frames_max};

/// A unit being compared.
#[derive(Debug)]
pub(super) struct Reconciling {
    as_of: Sequence,
    rounds: u32,
    /// How many chunks the unit has, once a message was answered from them.
    chunks: Option<u64>,
    /// WANT frames so far, and the keys in them.
    wants: u64,
    wanted: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The device's turn.
    Theirs,
    /// Its message waits for the log.
    Answering(Vec<u8>),
    /// It is being sent what it wants; set once it has a page and has to ask for the next: after which sequence.
    Sending { keys: HashSet<ChunkKey>, last: bool, waits: Option<Sequence> },
}

/// Answer to [`super::ReadWanted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRead {
    /// The interest.
    pub unit: UnitRef,
    /// The wanted chunks found after the position asked from, by rising sequence.
    pub entries: Vec<PageEntry>,
    /// Everything at or below this was looked at.
    pub through: Sequence,
    /// True when there may be more.
    pub more: bool,
}

impl Live {
    /// Opens the comparison of a unit, in the first flight.
    pub(super) fn open_reconciling(unit: UnitRef, as_of: Sequence, effects: &mut Vec<ServerEffect>) -> Reconciling {
        effects.push(ServerEffect::Send(Frame::Reconcile(Reconcile { unit, as_of, message: Vec::new() })));
        Reconciling { as_of, rounds: 0, chunks: None, wants: 0, wanted: 0, step: Step::Theirs }
    }

    pub(super) fn on_reconcile(&mut self, reconcile: Reconcile, effects: &mut Vec<ServerEffect>) -> GoesOn {
        let device = self.device.principal.device;
        let Reconcile { unit, as_of, message } = reconcile;
        let Some(reconciling) = self.reconciling(unit, as_of).filter(|_| !message.is_empty()) else {
            return Err(Ending::protocol("a RECONCILE came that belongs to no comparison"));
        };
        reconciling.rounds += 1;
        if reconciling.rounds > RECONCILE_ROUNDS_MAX {
            let detail = format!("a comparison has at most {RECONCILE_ROUNDS_MAX} rounds");
            return Err(Ending::protocol(detail));
        }
        reconciling.step = Step::Answering(message);
        effects.push(ServerEffect::Query(Query::ReadElements(ReadElements { device, unit, at: as_of })));
        Ok(())
    }

    /// Answer to [`super::ReadElements`].
    pub(super) fn on_elements(
        &mut self,
        unit: UnitRef,
        chunks: Vec<(DocId, ChangeHash)>,
        effects: &mut Vec<ServerEffect>,
    ) -> GoesOn {
        let subscription = self.subscriptions.iter_mut().find(|subscription| subscription.unit == unit);
        let Some(reconciling) = subscription.and_then(|subscription| subscription.reconciling.as_mut()) else {
            return Ok(());
        };
        let Step::Answering(message) = std::mem::replace(&mut reconciling.step, Step::Theirs) else { return Ok(()) };
        let as_of = reconciling.as_of;
        reconciling.chunks = Some(chunks.len() as u64);
        let answer = Elements::new(chunks).answer(&message);
        let message = answer.map_err(|error| Ending::protocol(error.to_string()))?;
        effects.push(ServerEffect::Send(Frame::Reconcile(Reconcile { unit, as_of, message })));
        Ok(())
    }

    pub(super) fn on_want(&mut self, want: Want, effects: &mut Vec<ServerEffect>) -> GoesOn {
        let device = self.device.principal.device;
        let Some(reconciling) = self.reconciling(want.unit, want.as_of) else {
            return Err(Ending::protocol("a WANT came that belongs to no comparison"));
        };
        if want.keys.is_empty() && !want.last {
            return Err(Ending::protocol("a WANT wants nothing and is not the last"));
        }
        reconciling.count_want(want.keys.len()).map_err(Ending::protocol)?;
        let keys: HashSet<ChunkKey> = want.keys.into_iter().collect();
        reconciling.step = Step::Sending { keys: keys.clone(), last: want.last, waits: None };
        let read = ReadWanted { device, unit: want.unit, keys, after: Sequence::ZERO, at: want.as_of };
        effects.push(ServerEffect::Query(Query::ReadWanted(read)));
        Ok(())
    }

    /// Answer to [`super::ReadWanted`].
    pub(super) fn on_wanted(&mut self, read: WantedRead, effects: &mut Vec<ServerEffect>) {
        let Some(subscription) = self.subscriptions.iter_mut().find(|subscription| subscription.unit == read.unit)
        else {
            return;
        };
        let Some(reconciling) = subscription.reconciling.as_mut() else { return };
        let Step::Sending { keys, last, waits } = &mut reconciling.step else { return };
        let (as_of, last) = (reconciling.as_of, *last);
        let count = read.entries.len();
        let entries = read.entries.into_iter().map(PageEntry::into_delta);
        let (mut delta, packed) = pack_delta(read.unit, entries, self.page_bytes_max);
        let through = if packed == count { read.through } else { delta.next };
        let more = packed < count || (read.more && through < as_of);
        // No cursor moves before the end.
        (delta.next, delta.more) = (Sequence::ZERO, more);
        if more {
            let keys = keys.clone();
            *waits = (self.demand.is_some() && !delta.groups.is_empty()).then_some(through);
            let goes_on = waits.is_none();
            if !delta.groups.is_empty() {
                self.page_sent(false);
                effects.push(ServerEffect::Send(Frame::Delta(delta)));
            }
            if goes_on {
                let device = self.device.principal.device;
                let read = ReadWanted { device, unit: read.unit, keys, after: through, at: as_of };
                effects.push(ServerEffect::Query(Query::ReadWanted(read)));
            }
            return;
        }
        if last {
            delta.next = as_of;
            subscription.cursor = as_of;
            subscription.reconciling = None;
        } else {
            reconciling.step = Step::Theirs;
        }
        self.page_sent(false);
        effects.push(ServerEffect::Send(Frame::Delta(delta)));
    }

    /// Goes on with what the device wanted, now that it asks for the next page.
    pub(super) fn send_more_wanted(&mut self, effects: &mut Vec<ServerEffect>) {
        let device = self.device.principal.device;
        for subscription in &mut self.subscriptions {
            let Some(Reconciling { as_of, step: Step::Sending { keys, waits, .. }, .. }) =
                &mut subscription.reconciling
            else {
                continue;
            };
            if let Some(after) = waits.take() {
                self.answers = self.answers.saturating_add(1);
                let (keys, at) = (keys.clone(), *as_of);
                let read = ReadWanted { device, unit: subscription.unit, keys, after, at };
                effects.push(ServerEffect::Query(Query::ReadWanted(read)));
            }
        }
    }

    /// The comparison of a unit, when it is the device's turn. By requests, each opens one anew, and the device goes on with
    /// the position that it began with: the log at or below it is what it was.
    fn reconciling(&mut self, unit: UnitRef, as_of: Sequence) -> Option<&mut Reconciling> {
        let subscription = self.subscriptions.iter_mut().find(|subscription| subscription.unit == unit)?;
        let reconciling = subscription.reconciling.as_mut()?;
        if reconciling.rounds == 0 {
            reconciling.as_of = reconciling.as_of.min(as_of);
        }
        let expected = reconciling.as_of == as_of && matches!(reconciling.step, Step::Theirs);
        self.answers = self.answers.saturating_add(1);
        expected.then_some(reconciling)
    }
}

impl Reconciling {
    /// Counts a WANT of so many keys. A device learns keys from the server's answers, each of a chunk that the unit has, and
    /// wants each once: what is beyond that is no comparison, and every frame costs a walk through the unit.
    fn count_want(&mut self, keys: usize) -> Result<(), String> {
        self.wants += 1;
        let Some(chunks) = self.chunks else {
            // By requests, the one that compared was another.
            let detail = "WANT frames came before a RECONCILE was answered; compare first";
            return if self.wants == 1 { Ok(()) } else { Err(detail.to_owned()) };
        };
        self.wanted += keys as u64;
        if self.wanted > chunks {
            return Err(format!("{} chunks were wanted of a unit that has {chunks}; want each once", self.wanted));
        }
        let max = want_frames_max(chunks);
        if self.wants > max {
            return Err(format!("a comparison of {chunks} chunks takes at most {max} WANT frames; fill them"));
        }
        Ok(())
    }

    /// True while the device is to speak.
    pub(super) fn is_theirs(&self) -> bool {
        matches!(self.step, Step::Theirs | Step::Sending { waits: Some(_), .. })
    }
}
