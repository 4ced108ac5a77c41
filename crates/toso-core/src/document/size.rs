//! How large one document may become: its changes are kept for ever, so their number and bytes need a bound that a
//! phone, a server and every log agree on.

/// The most changes of one document. A team whose sheet three devices save every day has 4,096 after almost four years;
/// the busiest seen in practice have some hundreds. Applying so many takes 0.2 s at 50 µs each.
pub const DOCUMENT_CHANGES_MAX: u64 = 4_096;
/// Change bytes after which a document takes no more: 4,096 changes of 512 B, three times what a save has, or a commune's
/// hamlet list of 40 KiB imported fifty times. The change that reaches it still goes in, so a document ends below this and
/// one change of at most 60 KiB.
pub const DOCUMENT_BYTES_MAX: u64 = 2 << 20;

/// What a document's changes come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentSize {
    /// How many.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl DocumentSize {
    /// True when the document takes no further change. Once true it stays so, whatever size the next change has: so of
    /// changes that build upon each other none goes in after one that did not.
    pub const fn is_full(self) -> bool {
        self.changes >= DOCUMENT_CHANGES_MAX || self.bytes >= DOCUMENT_BYTES_MAX
    }

    /// The size of changes of these lengths.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut size = Self::default();
        for bytes in lengths {
            size.add(bytes);
        }
        size
    }

    /// Adds a change.
    pub fn add(&mut self, bytes: usize) {
        self.changes += 1;
        self.bytes += bytes as u64;
    }
}

/// What a full document means to whoever wanted to write it; phone and server say the same.
pub fn full_document_text() -> String {
    format!(
        "the record is full: it takes at most {DOCUMENT_CHANGES_MAX} changes, and none past {} KiB; make a new record, and \
         ask your officer about this one",
        DOCUMENT_BYTES_MAX / 1024
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_full_at_either_limit() {
        let size = |changes, bytes| DocumentSize { changes, bytes };
        assert!(!size(DOCUMENT_CHANGES_MAX - 1, DOCUMENT_BYTES_MAX - 1).is_full());
        assert!(size(DOCUMENT_CHANGES_MAX, 0).is_full());
        assert!(size(1, DOCUMENT_BYTES_MAX).is_full());
        let mut size = size(DOCUMENT_CHANGES_MAX - 1, 0);
        size.add(7);
        assert_eq!((size.changes, size.bytes, size.is_full()), (DOCUMENT_CHANGES_MAX, 7, true));
    }
}
