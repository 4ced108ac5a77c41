//! How often changes are walked and decoded, so that a test can say what one change costs on its way.
//!
//! For tests only, behind the feature `counted`. Each thread counts its own.

use std::cell::Cell;

/// What a thread did with changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Walks through all bytes of a change, each column expanded.
    pub scans: usize,
    /// Decodings by Automerge, which hash the change, too.
    pub decodes: usize,
}

thread_local! {
    static WORK: Cell<Work> = const { Cell::new(Work { scans: 0, decodes: 0 }) };
}

pub(super) fn scanned() {
    WORK.with(|work| work.set(Work { scans: work.get().scans + 1, ..work.get() }));
}

pub(super) fn decoded() {
    WORK.with(|work| work.set(Work { decodes: work.get().decodes + 1, ..work.get() }));
}

/// What this thread has done since it last asked.
pub fn take() -> Work {
    WORK.take()
}
