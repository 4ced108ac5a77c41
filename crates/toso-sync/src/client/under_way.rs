//! A push, from when it is sent to when all of it is answered.

use std::collections::{BTreeMap, BTreeSet};

use toso_wire::{NackCode, Push};

use super::{OutboxBatch, OutboxItem};

/// A push that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) items: Vec<OutboxItem>,
    /// True when it is pushed in another's name: then the server judges that other's rights, too.
    pub(super) carried: bool,
    pub(super) refused: BTreeMap<u32, (NackCode, String)>,
    /// Items that the server cannot take now: they stay in the outbox for another session.
    pub(super) postponed: BTreeSet<u32>,
}

impl UnderWay {
    pub(super) fn new(items: Vec<OutboxItem>, carried: bool) -> Self {
        Self { items, carried, refused: BTreeMap::new(), postponed: BTreeSet::new() }
    }

    /// The greatest outbox number in it.
    pub(super) fn last_number(&self) -> u64 {
        self.items.iter().map(|item| item.number).max().unwrap_or_default()
    }

    pub(super) fn split(mut self) -> (Vec<OutboxItem>, Vec<(OutboxItem, NackCode, String)>) {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for (index, item) in (0..).zip(self.items) {
            match self.refused.remove(&index) {
                Some((code, detail)) => refused.push((item, code, detail)),
                None if self.postponed.contains(&index) => {}
                None => accepted.push(item),
            }
        }
        (accepted, refused)
    }
}

/// A batch as it is sent.
pub(super) fn push_frame(number: u64, batch: &OutboxBatch) -> Push {
    let items = batch.items.iter().map(|item| item.change.raw()).collect();
    Push { number, scope: batch.scope, items, carried: None }
}
