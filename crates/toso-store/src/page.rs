//! Collects a [`Page`] of log entries within limits: one place for the rules that every log must share.

use toso_core::change::Entry;
use toso_core::id::Sequence;

use crate::change_log::Page;

/// Collects entries until a limit is reached.
///
/// The first entry always fits, so that a reader makes progress whatever its limits.
#[derive(Debug)]
pub struct PageBuilder {
    entries: Vec<Entry>,
    bytes: usize,
    items_max: usize,
    bytes_max: usize,
}

impl PageBuilder {
    /// An empty page with limits on entries and change bytes.
    pub fn new(items_max: usize, bytes_max: usize) -> Self {
        Self { entries: Vec::new(), bytes: 0, items_max, bytes_max }
    }

    /// True when an entry with a change of this many bytes fits.
    pub fn fits(&self, change_bytes: usize) -> bool {
        self.entries.is_empty()
            || (self.entries.len() < self.items_max && self.bytes.saturating_add(change_bytes) <= self.bytes_max)
    }

    /// Adds an entry, which must be the next by sequence, if it fits. False when it does not: the page is full.
    pub fn push(&mut self, entry: Entry) -> bool {
        let bytes = entry.change.bytes().len();
        let fits = self.fits(bytes);
        if fits {
            self.bytes = self.bytes.saturating_add(bytes);
            self.entries.push(entry);
        }
        fits
    }

    /// The page, when a further entry matched but did not fit.
    pub fn full(self) -> Page {
        let through = self.entries.last().map_or(Sequence::ZERO, |entry| entry.sequence);
        Page { entries: self.entries, through, more: true }
    }

    /// The page, when nothing else matched up to `last`, the log's last sequence. A reader from the future keeps its
    /// position.
    pub fn complete(self, after: Sequence, last: Sequence) -> Page {
        Page { entries: self.entries, through: last.max(after), more: false }
    }
}
