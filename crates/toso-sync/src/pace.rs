//! How much goes through a link at a time.
//!
//! A good link gets pages back to back and pushes by the window. A link that breaks every few kilobytes throws away
//! everything that is under way when it breaks, so that nothing might ever arrive. After such a cut the phone asks for one
//! small page at a time and sends one small push at a time; each further cut halves that, down to one change, and what
//! gets through doubles it again. The phone keeps the pace, so that an app that is started anew does not begin anew.

use toso_wire::limits::PAGE_BYTES_MAX;

/// The first pace after a cut: a session's first page has as much on a good link.
pub const PACE_FIRST_BYTES: u32 = 1_024;
/// The slowest pace. A change alone has more (115 bytes and up), and one always goes, so this is one change at a time:
/// four cuts away from [`PACE_FIRST_BYTES`].
pub const PACE_MIN_BYTES: u32 = 64;
/// From here on nothing is gained by waiting for each page: it is a full one.
const PACE_GOOD_BYTES: u32 = 16 * 1_024;

/// A link's pace: bytes of a page or push, or none when the link is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace(Option<u32>);

impl Pace {
    /// A pace that was kept.
    pub fn of_bytes(bytes: Option<u32>) -> Self {
        Self(bytes.map(|bytes| bytes.max(PACE_MIN_BYTES)).filter(|bytes| *bytes < PACE_GOOD_BYTES))
    }

    /// Bytes of a page or push; `None` on a good link.
    pub const fn bytes(self) -> Option<u32> {
        self.0
    }

    /// The link broke while this was awaited.
    pub fn after_cut(self) -> Self {
        Self(Some(self.0.map_or(PACE_FIRST_BYTES, |bytes| (bytes / 2).clamp(PACE_MIN_BYTES, PACE_FIRST_BYTES))))
    }

    /// So much got through.
    pub fn after_success(self) -> Self {
        Self::of_bytes(self.0.map(|bytes| bytes.saturating_mul(2)))
    }

    /// The slower of two.
    pub fn slower(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Self(Some(one.min(other))),
            (one, other) => Self(one.or(other)),
        }
    }
}

const _: () = assert!(PACE_GOOD_BYTES as usize == PAGE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_halve_it_down_to_one_change_and_what_gets_through_doubles_it_until_it_is_good() {
        let mut pace = Pace::default();
        let mut cut = || {
            pace = pace.after_cut();
            pace.bytes()
        };
        let slower: Vec<_> = (0..6).map(|_| cut()).collect();
        assert_eq!(slower, [1_024, 512, 256, 128, 64, 64].map(Some));
        let faster: Vec<_> = std::iter::from_fn(|| {
            pace = pace.after_success();
            pace.bytes()
        })
        .collect();
        assert_eq!(faster, [128, 256, 512, 1_024, 2_048, 4_096, 8_192]);
        assert_eq!(pace, Pace::default(), "good again");
        assert_eq!(Pace::default().after_success(), Pace::default());
    }

    #[test]
    fn a_cut_of_a_large_page_begins_with_a_first_one() {
        assert_eq!(Pace::of_bytes(Some(8_192)).after_cut().bytes(), Some(PACE_FIRST_BYTES));
    }

    #[test]
    fn what_was_kept_is_kept_within_bounds() {
        assert_eq!(Pace::of_bytes(Some(0)).bytes(), Some(PACE_MIN_BYTES));
        assert_eq!(Pace::of_bytes(Some(u32::MAX)), Pace::default());
        assert_eq!(Pace::of_bytes(Some(256)).slower(Pace::default()).bytes(), Some(256));
        assert_eq!(Pace::of_bytes(Some(256)).slower(Pace::of_bytes(Some(128))).bytes(), Some(128));
    }
}
