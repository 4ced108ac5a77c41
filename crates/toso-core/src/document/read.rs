//! A document as plain values. Whatever a hostile or a newer client wrote, this reads what it understands.

use automerge::{Automerge, ReadDoc, ValueRef};

use super::{genesis, guarded};
use crate::id::DocKind;
use crate::kind::{Kind, of_kind};
use crate::record::Record;

pub(super) fn read(kind: DocKind, doc: &Automerge) -> Record {
    // Every change was probed when it came, so nothing is known that panics here.
    guarded(|| probe(kind, doc)).unwrap_or_else(|_| empty(kind))
}

fn empty(kind: DocKind) -> Record {
    of_kind!(kind, Of => Record::from(<Of as Kind>::Record::default()))
}

/// Reads; panics when a hostile change has broken the document.
pub(super) fn probe(kind: DocKind, doc: &Automerge) -> Record {
    let mut reading = Reading::new(kind);
    for (map, id) in genesis::places(kind) {
        for item in doc.map_range(&id, ..) {
            reading.item(map, &item.key, &item.value);
        }
    }
    reading.finish()
}

/// A record that is being read, wherever its values come from: map by map in the order of genesis, each by rising key.
pub(super) struct Reading(Record);

impl Reading {
    /// Nothing read.
    pub(super) fn new(kind: DocKind) -> Self {
        Self(empty(kind))
    }

    /// The value that a key shows.
    pub(super) fn item(&mut self, map: Option<&str>, key: &str, value: &ValueRef<'_>) {
        self.0.show(map, key, value);
    }

    /// The record, once all is read.
    pub(super) fn finish(mut self) -> Record {
        self.0.finish();
        self.0
    }
}
