//! How one device takes failures: it waits longer each time, as phones do, and in the end says so instead of giving up
//! silently.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The first upper bound of the wait. Shorter than a phone's, since the simulated day is short.
const FIRST: Duration = Duration::from_millis(250);
/// The longest upper bound.
const LONGEST: Duration = Duration::from_secs(15);
/// Failing for this long without one success is a failure of the simulation.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// The failures of one device in one phase.
#[derive(Debug)]
pub(crate) struct Patience {
    rng: SmallRng,
    failures: u32,
    since: Option<Instant>,
}

impl Patience {
    /// A fresh one; its jitter follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), failures: 0, since: None }
    }

    /// Failures so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after one more failure, with full jitter on top of what the server asked for; `None` when it has lasted
    /// too long.
    pub(crate) fn next_wait(&mut self, at_least: Duration, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= GIVE_UP_AFTER {
            return None;
        }
        let bound = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(at_least.min(GIVE_UP_AFTER) + bound.mul_f64(self.rng.random::<f64>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_bound_above_what_the_server_asks() {
        let now = Instant::now();
        let mut patience = Patience::new(1);
        let first = patience.next_wait(Duration::ZERO, now).unwrap();
        assert!(first <= FIRST);
        let asked = Duration::from_secs(7);
        for _ in 0..50 {
            let wait = patience.next_wait(asked, now).unwrap();
            assert!((asked..=asked + LONGEST).contains(&wait));
        }
        assert_eq!(patience.failures(), 51);
    }

    #[test]
    fn it_ends_after_the_limit_and_not_before() {
        let now = Instant::now();
        let mut patience = Patience::new(1);
        assert!(patience.next_wait(Duration::ZERO, now).is_some());
        let almost = now + GIVE_UP_AFTER.saturating_sub(Duration::from_millis(1));
        assert!(patience.next_wait(Duration::ZERO, almost).is_some());
        assert!(patience.next_wait(Duration::ZERO, now + GIVE_UP_AFTER).is_none());
    }
}
