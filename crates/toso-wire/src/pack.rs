//! Fills DELTA pages up to a size *as encoded*, which only encoding tells: a guess from the ratio so far, then a check.

use std::iter::Peekable;

use toso_core::id::Sequence;
use toso_core::unit::{Scope, UnitRef};

use crate::codec::{encoded_len, predicted_len};
use crate::frame::{Delta, DeltaGroup, DeltaItem, Frame};
use crate::limits::{DELTA_ITEMS_MAX, FRAME_BYTES_MAX, FRAME_INFLATED_BYTES_MAX};

/// A chunk of the log on its way into a page: its sequence, its scope, the chunk.
pub type DeltaEntry = (Sequence, Scope, DeltaItem);

/// How many raw bytes the first guess takes for each encoded one; a page of real changes compresses about 3:1.
const RATIO_FIRST: usize = 3;
/// Encodings spent on one page. A page that could still be fuller after them is sent as it is.
const TRIES_MAX: usize = 4;
/// A page filled to this share is not worth another encoding.
const FULL_ENOUGH_PERCENT: usize = 90;
/// Taken off every corrected guess, since later entries may compress a little worse.
const CAUTION_PERCENT: usize = 2;
/// The most bytes that an item adds beside its chunk: its array, document id (13), binary header (5), kind and who brought
/// it back (10), and the arrays and scope of a group of its own (11).
const ITEM_ENVELOPE_BYTES_MAX: usize = 42;
/// The most bytes of the frame around the groups: form byte, array, type, unit, `next`, groups' array, `more`.
const FRAME_ENVELOPE_BYTES_MAX: usize = 24;
/// The most raw bytes in a page.
const RAW_BYTES_MAX: usize = FRAME_INFLATED_BYTES_MAX - FRAME_ENVELOPE_BYTES_MAX;

/// Packs entries, in log order, into one DELTA of at most `page_bytes_max` encoded bytes, and says how many went in.
///
/// At least one entry goes in, even when it alone is larger than a page. The count is 0 only when there is no entry, or
/// when the first cannot travel in any frame (a snapshot beyond [`FRAME_BYTES_MAX`]: send the document's changes).
/// `next` is the sequence of the last packed entry, and `more` says that entries were left over. A caller who knows more
/// about the log sets both anew; their room is reserved.
pub fn pack_delta(
    unit: UnitRef,
    entries: impl IntoIterator<Item = DeltaEntry>,
    page_bytes_max: usize,
) -> (Delta, usize) {
    let mut pool = Pool { unit, source: entries.into_iter().peekable(), taken: Vec::new(), raw_bytes: Vec::new() };
    let bytes_max = page_bytes_max.saturating_sub(FRAME_ENVELOPE_BYTES_MAX);

    // Compression never makes a frame longer, so what fits raw needs no encoding to know.
    let mut fits = pool.count_within(bytes_max);
    let mut over = None;
    let mut raw_target = bytes_max.saturating_mul(RATIO_FIRST);
    for _ in 0..TRIES_MAX {
        let ceiling = over.map_or(usize::MAX, |over: usize| over - 1);
        let candidate = pool.count_within(raw_target).max(pool.count_at_least(fits + 1)).min(ceiling);
        if candidate <= fits {
            break;
        }
        let encoded = pool.encoded_len(candidate);
        if encoded > bytes_max {
            over = Some(candidate);
        } else {
            fits = candidate;
            if encoded * 100 >= bytes_max * FULL_ENOUGH_PERCENT {
                break;
            }
        }
        raw_target = pool.raw_bytes(candidate) * bytes_max / encoded.max(1) * (100 - CAUTION_PERCENT) / 100;
    }
    // Prediction makes more room, where there is something to fill it with; each attempt costs as much as several of the
    // others, so there are two.
    let wants_room = pool.count_at_least(fits + 1) > fits;
    let predicted = if wants_room { pool.predicted_len(fits) } else { None };
    if let Some(predicted) = predicted.filter(|predicted| predicted * 100 < bytes_max * FULL_ENOUGH_PERCENT) {
        let raw_target = pool.raw_bytes(fits) * bytes_max / predicted.max(1) * (100 - CAUTION_PERCENT) / 100;
        let candidate = pool.count_within(raw_target);
        if candidate > fits && pool.predicted_len(candidate).is_some_and(|predicted| predicted <= bytes_max) {
            fits = candidate;
        }
    }
    if fits == 0 && pool.count_at_least(1) == 1 && pool.encoded_len(1) <= FRAME_BYTES_MAX - FRAME_ENVELOPE_BYTES_MAX {
        fits = 1;
    }
    (pool.into_delta(fits), fits)
}

/// Entries taken from the source so far, with their running raw size.
struct Pool<I: Iterator<Item = DeltaEntry>> {
    unit: UnitRef,
    source: Peekable<I>,
    taken: Vec<DeltaEntry>,
    raw_bytes: Vec<usize>,
}

impl<I: Iterator<Item = DeltaEntry>> Pool<I> {
    /// How many entries have together at most `raw_bytes_max`.
    fn count_within(&mut self, raw_bytes_max: usize) -> usize {
        while self.raw_bytes(self.taken.len()) <= raw_bytes_max && self.take() {}
        self.raw_bytes.partition_point(|raw_bytes| *raw_bytes <= raw_bytes_max)
    }

    /// `count`, or fewer when there are no more entries.
    fn count_at_least(&mut self, count: usize) -> usize {
        while self.taken.len() < count && self.take() {}
        count.min(self.taken.len())
    }

    /// Takes one more entry, when a frame has room for it at all.
    fn take(&mut self) -> bool {
        if self.taken.len() == DELTA_ITEMS_MAX {
            return false;
        }
        let before = self.raw_bytes(self.taken.len());
        let fits = |(_, _, item): &DeltaEntry| before + raw_bytes(item) <= RAW_BYTES_MAX;
        match self.source.next_if(fits) {
            Some(entry) => {
                self.raw_bytes.push(before + raw_bytes(&entry.2));
                self.taken.push(entry);
                true
            }
            None => false,
        }
    }

    /// Raw bytes of the first `count` entries.
    fn raw_bytes(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.raw_bytes.get(last)).copied().unwrap_or_default()
    }

    fn encoded_len(&self, count: usize) -> usize {
        encoded_len(&self.frame(count))
    }

    /// What prediction makes of the first `count` entries, when it is tried and shorter.
    fn predicted_len(&self, count: usize) -> Option<usize> {
        predicted_len(&self.frame(count))
    }

    fn frame(&self, count: usize) -> Frame {
        let groups = group(self.taken.iter().take(count).cloned());
        Frame::Delta(Delta { unit: self.unit, groups, next: Sequence::ZERO, more: false })
    }

    fn into_delta(mut self, count: usize) -> Delta {
        let more = self.taken.len() > count || self.source.peek().is_some();
        self.taken.truncate(count);
        let next = self.taken.last().map_or(Sequence::ZERO, |(sequence, _, _)| *sequence);
        Delta { unit: self.unit, groups: group(self.taken.into_iter()), next, more }
    }
}

/// An upper bound of an item's bytes before compression.
fn raw_bytes(item: &DeltaItem) -> usize {
    let bytes = match item {
        DeltaItem::Change(change) | DeltaItem::Returned(change, _) => change.bytes().len(),
        DeltaItem::Snapshot(_, bytes) => bytes.len(),
        DeltaItem::Erased(_, hash) => hash.0.len(),
    };
    bytes + ITEM_ENVELOPE_BYTES_MAX
}

/// Joins consecutive entries of one scope.
fn group(entries: impl Iterator<Item = DeltaEntry>) -> Vec<DeltaGroup> {
    let mut groups: Vec<DeltaGroup> = Vec::new();
    for (_, scope, item) in entries {
        match groups.last_mut() {
            Some(group) if group.scope == scope => group.items.push(item),
            _ => groups.push(DeltaGroup { scope, items: vec![item] }),
        }
    }
    groups
}
