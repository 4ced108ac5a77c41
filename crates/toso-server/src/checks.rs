//! Checks of tokens and signatures: on threads that may compute, a few at a time for all askers together.
//!
//! A proof by a token takes two Ed25519 checks and a signature of the root key, some 0.3 ms of a core together, and may
//! write to the store when the device tells of a move. On the threads that all sockets share, a crowd of strangers would
//! take that time from everybody's frames. A ticket is proved by a keyed hash within microseconds, which is less than a
//! thread takes to wake: that is done at once.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Checks at the same time, of REST requests and sessions together: as many as compute on 8 cores; more only take them from
/// sessions. What waits has a session's place or a request's, so the queue ends: 20,000 sessions of 0.3 ms wait 3 seconds
/// on two cores, and a HELLO has 20.
pub(crate) const CHECKS_CONCURRENT_MAX: usize = 8;

/// The places.
pub(crate) struct Checks {
    places: Arc<Semaphore>,
    /// Tracked, so that the server's end waits for a check that writes.
    tasks: TaskTracker,
}

impl Checks {
    /// Places for work whose end `tasks` awaits.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { places: Arc::new(Semaphore::new(CHECKS_CONCURRENT_MAX)), tasks }
    }

    /// Does the work on a thread that may compute; `None` when it panicked. The place belongs to the work, not to who waits
    /// for it: what was begun keeps it to its end, what was not is never begun once nobody waits.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let done = self.tasks.spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// As many as there are places are under way; one past them begins when one of them ends, also when its caller has gone.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_checks_are_under_way_than_there_are_places() {
        let checks = Arc::new(Checks::new(TaskTracker::new()));
        let begun = Arc::new(AtomicUsize::new(0));
        let mut held = Vec::new();
        let mut start = || {
            let (release, wait) = mpsc::channel::<()>();
            held.push(release);
            let (checks, begun) = (Arc::clone(&checks), Arc::clone(&begun));
            tokio::spawn(async move {
                let work = move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    // Err: let go.
                    let _ = wait.recv();
                };
                checks.run(work).await
            })
        };
        let mut callers: Vec<_> = (0..CHECKS_CONCURRENT_MAX).map(|_| start()).collect();
        while begun.load(Ordering::SeqCst) < CHECKS_CONCURRENT_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(checks.places.available_permits(), 0, "all places are taken");
        callers.push(start());
        // A caller that hangs up leaves the place with the work.
        callers.remove(0).abort();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), CHECKS_CONCURRENT_MAX, "one past them waits");
        held.clear();
        for caller in callers {
            assert_eq!(caller.await.expect("not aborted"), Some(()));
        }
        assert_eq!(begun.load(Ordering::SeqCst), CHECKS_CONCURRENT_MAX + 1);
    }

    #[tokio::test]
    async fn a_check_that_panics_gives_its_place_back() {
        let checks = Checks::new(TaskTracker::new());
        for _ in 0..=CHECKS_CONCURRENT_MAX {
            assert_eq!(checks.run(|| -> u32 { std::panic::panic_any("a damaged token") }).await, None);
        }
        assert_eq!(checks.run(|| 7).await, Some(7));
    }
}
