//! One unit that a session's device follows, and how far the device is in it.

use toso_core::id::Sequence;
use toso_core::unit::UnitRef;
use toso_wire::Interest;

use super::reconciling::Reconciling;

/// A unit the device follows.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) unit: UnitRef,
    /// The device has been sent everything at or below it.
    pub(super) cursor: Sequence,
    /// Set until both sides know what the other holds; no pages are sent meanwhile.
    pub(super) reconciling: Option<Reconciling>,
    /// The unit has chunks up to here.
    pub(super) grown: Sequence,
    /// The device waits for a page that says "no more", even an empty one.
    pub(super) owed: bool,
}

impl Subscription {
    /// Nothing is known of the unit but what the device says.
    pub(super) fn new(interest: &Interest) -> Self {
        let Interest { unit, cursor, .. } = *interest;
        Self { unit, cursor, reconciling: None, grown: Sequence::ZERO, owed: false }
    }

    /// The unit has chunks up to here.
    pub(super) fn grow(&mut self, through: Sequence) {
        self.grown = self.grown.max(through);
    }

    pub(super) fn wants_page(&self) -> bool {
        self.reconciling.is_none() && (self.owed || self.grown > self.cursor)
    }
}
