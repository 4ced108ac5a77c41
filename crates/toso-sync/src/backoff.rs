//! When to dial again: exponential, full jitter, capped; at once when the platform says that the network is back.

/// The first upper bound of the wait.
pub const BACKOFF_FIRST_MS: u64 = 1_000;
/// The cap: 5 minutes, so that a phone in a valley notices a returning network by itself within one tea.
pub const BACKOFF_MAX_MS: u64 = 5 * 60 * 1_000;

/// The state of the waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session has worked, or the platform says that the network is back: the next failure starts from the bottom.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait before the next try, after one more failure. Uniform in [0, bound], so that phones cut off together do
    /// not come back together. `at_least_ms` is a server's RETRY_AFTER; the jitter is added to it.
    pub fn next_delay_ms(&mut self, entropy: u64, at_least_ms: u64) -> u64 {
        let bound = BACKOFF_FIRST_MS.checked_shl(self.failures.min(16)).unwrap_or(BACKOFF_MAX_MS).min(BACKOFF_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        at_least_ms.min(BACKOFF_MAX_MS).saturating_add(entropy % (bound + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_five_minutes_and_starts_again_after_a_reset() {
        let mut backoff = Backoff::default();
        let bounds: Vec<u64> = (0..20)
            .map(|_| {
                let failures = backoff.failures;
                let bound = (0..=failures.min(16)).fold(BACKOFF_FIRST_MS / 2, |b, _| b * 2).min(BACKOFF_MAX_MS);
                // Entropy equal to the bound gives the bound itself: the largest wait there is.
                assert_eq!(backoff.clone().next_delay_ms(bound, 0), bound);
                assert_eq!(backoff.next_delay_ms(bound + 1, 0), 0);
                bound
            })
            .collect();
        assert_eq!(&bounds[..4], &[1_000, 2_000, 4_000, 8_000]);
        assert_eq!(bounds[19], BACKOFF_MAX_MS);
        backoff.reset();
        assert_eq!(backoff.next_delay_ms(1_000, 0), 1_000);
    }

    #[test]
    fn a_servers_wish_is_a_floor_under_the_jitter() {
        assert_eq!(Backoff::default().next_delay_ms(7, 30_000), 30_007);
        assert_eq!(Backoff::default().next_delay_ms(0, u64::MAX), BACKOFF_MAX_MS, "a server cannot silence a phone");
    }
}
