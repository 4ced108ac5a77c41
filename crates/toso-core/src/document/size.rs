//! How large one document may become: its changes are kept for ever, so their number and bytes need a bound that a
//! phone, a server and every log agree on.

/// The most changes of one document. A team whose sheet three devices save every day has 4,096 after almost four years;
/// the busiest seen in practice have some hundreds. Applying so many takes 0.2 s at 50 µs each.
pub const DOCUMENT_CHANGES_MAX: u64 = 4_096;
/// Change bytes after which a document takes no more: 4,096 changes of 512 B, three times what a save has, or a commune's
/// hamlet list of 40 KiB imported fifty times. The change that reaches it still goes in, so a document ends below this and
/// one change of at most 60 KiB.
pub const DOCUMENT_BYTES_MAX: u64 = 2 << 20;

/// The last changes of a document are for officers of its unit alone, so that a device that fills it keeps nobody from signing
/// off: at four sign-offs and corrections a month 256 last five years.
pub const DOCUMENT_RESERVE_CHANGES: u64 = 256;
/// The bytes of that reserve: 256 changes of 512 B.
pub const DOCUMENT_RESERVE_BYTES: u64 = 128 << 10;
/// The most changes of one device in one document, a quarter of its room: a save a day for almost three years. An
/// officer's device may write the reserve besides.
pub const DOCUMENT_SHARE_CHANGES: u64 = DOCUMENT_CHANGES_MAX / 4;
/// The bytes of that share: a commune's hamlet list of 40 KiB imported twelve times.
pub const DOCUMENT_SHARE_BYTES: u64 = DOCUMENT_BYTES_MAX / 4;

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

    /// Why a document of this size takes no further change of a device, if so. `own` is what the device itself has written
    /// of it, and is asked for only where the document is larger than one device's share.
    ///
    /// As with [`Self::is_full`], once a device is refused it stays so, whatever its next change has: the change that
    /// reaches a limit still goes in.
    pub fn no_room<E>(self, is_officer: bool, own: impl FnOnce() -> Result<Self, E>) -> Result<Option<NoRoom>, E> {
        if self.is_full() {
            return Ok(Some(NoRoom::Full));
        }
        let common = Self {
            changes: DOCUMENT_CHANGES_MAX - DOCUMENT_RESERVE_CHANGES,
            bytes: DOCUMENT_BYTES_MAX - DOCUMENT_RESERVE_BYTES,
        };
        if !is_officer && self.reaches(common) {
            return Ok(Some(NoRoom::Reserved));
        }
        let reserve = if is_officer {
            Self { changes: DOCUMENT_RESERVE_CHANGES, bytes: DOCUMENT_RESERVE_BYTES }
        } else {
            Self::default()
        };
        let share =
            Self { changes: DOCUMENT_SHARE_CHANGES + reserve.changes, bytes: DOCUMENT_SHARE_BYTES + reserve.bytes };
        Ok((self.reaches(share) && own()?.reaches(share)).then_some(NoRoom::Share))
    }

    const fn reaches(self, limit: Self) -> bool {
        self.changes >= limit.changes || self.bytes >= limit.bytes
    }

    /// The size of changes of these lengths.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut size = Self::default();
        for bytes in lengths {
            size.add(bytes);
        }
        size
    }

    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self { changes: self.changes + other.changes, bytes: self.bytes + other.bytes }
    }

    /// Adds a change.
    pub fn add(&mut self, bytes: usize) {
        self.changes += 1;
        self.bytes += bytes as u64;
    }
}

/// Why a document takes no further change of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// It is full, for everybody.
    Full,
    /// What is left of it is for officers of its unit.
    Reserved,
    /// The device has written its share.
    Share,
}

impl NoRoom {
    /// What it means to the device that wanted to write; phone and server say the same.
    pub fn text(self) -> String {
        match self {
            Self::Full => format!(
                "the record is full: it takes at most {DOCUMENT_CHANGES_MAX} changes, and none past {} KiB; make a new \
                 record, and ask your officer about this one",
                DOCUMENT_BYTES_MAX / 1024
            ),
            Self::Reserved => format!(
                "the record is nearly full: its last {DOCUMENT_RESERVE_CHANGES} changes, or {} KiB, are for officers of \
                 its unit; make a new record, and ask your officer about this one",
                DOCUMENT_RESERVE_BYTES / 1024
            ),
            Self::Share => format!(
                "this device has written its share of the record, {DOCUMENT_SHARE_CHANGES} changes or {} KiB; let \
                 another device go on with it, and ask your officer",
                DOCUMENT_SHARE_BYTES / 1024
            ),
        }
    }
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

    /// At each limit and one before it, by changes and by bytes. What the device itself wrote is not asked for while the
    /// document is smaller than a share.
    #[test]
    fn the_last_of_a_document_is_for_officers_and_no_device_has_more_than_its_share() {
        let asked = |size: DocumentSize, is_officer, own: DocumentSize| {
            size.no_room(is_officer, || Ok::<_, std::convert::Infallible>(own)).unwrap()
        };
        let size = |changes, bytes| DocumentSize { changes, bytes };
        let common = size(DOCUMENT_CHANGES_MAX - DOCUMENT_RESERVE_CHANGES, DOCUMENT_BYTES_MAX - DOCUMENT_RESERVE_BYTES);
        let nothing = DocumentSize::default();
        for (reserved, before) in
            [(size(common.changes, 0), size(common.changes - 1, 0)), (size(0, common.bytes), size(0, common.bytes - 1))]
        {
            assert_eq!(asked(reserved, false, nothing), Some(NoRoom::Reserved));
            assert_eq!(asked(before, false, nothing), None);
            assert_eq!(asked(reserved, true, nothing), None, "an officer goes on");
        }
        for full in [size(DOCUMENT_CHANGES_MAX, 0), size(0, DOCUMENT_BYTES_MAX)] {
            assert_eq!([false, true].map(|is_officer| asked(full, is_officer, nothing)), [Some(NoRoom::Full); 2]);
        }
        let large = size(common.changes - 1, common.bytes - 1);
        for (is_officer, more, more_bytes) in [(false, 0, 0), (true, DOCUMENT_RESERVE_CHANGES, DOCUMENT_RESERVE_BYTES)]
        {
            let share = size(DOCUMENT_SHARE_CHANGES + more, DOCUMENT_SHARE_BYTES + more_bytes);
            assert_eq!(asked(large, is_officer, size(share.changes, 0)), Some(NoRoom::Share));
            assert_eq!(asked(large, is_officer, size(0, share.bytes)), Some(NoRoom::Share));
            assert_eq!(asked(large, is_officer, size(share.changes - 1, share.bytes - 1)), None);
        }
        let small = size(DOCUMENT_SHARE_CHANGES - 1, DOCUMENT_SHARE_BYTES - 1);
        assert_eq!(small.no_room(false, || Err(())), Ok(None), "nobody looks");
        assert_eq!(size(DOCUMENT_SHARE_CHANGES, 0).no_room(false, || Err(())), Err(()));
    }
}
