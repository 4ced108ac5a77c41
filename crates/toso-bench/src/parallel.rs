//! The same work for many items on a few threads; the first failure ends it.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::BenchError;

/// Does `work` for every item. Each thread makes its own state with `init`. After a failure no further item is begun.
pub(crate) fn each<T: Sync, S>(
    threads: usize,
    items: &[T],
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<(), BenchError> + Sync,
) -> Result<(), BenchError> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<BenchError>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                let mut state = init();
                while failed.lock().is_none() {
                    let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    if let Err(fail) = work(&mut state, item) {
                        failed.lock().get_or_insert(fail);
                    }
                }
            });
        }
    });
    failed.into_inner().map_or(Ok(()), Err)
}

/// Threads for work that computes.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<usize> = (0..1_000).collect();
        let seen: Vec<AtomicUsize> = items.iter().map(|_| AtomicUsize::new(0)).collect();
        each(
            4,
            &items,
            || (),
            |(), item| {
                seen[*item].fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
        )
        .unwrap();
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn a_failure_ends_it_and_is_told() {
        let items: Vec<usize> = (0..100_000).collect();
        let done = AtomicUsize::new(0);
        let result = each(
            2,
            &items,
            || (),
            |(), item| {
                done.fetch_add(1, Ordering::Relaxed);
                if *item == 10 { Err(BenchError::failed("item 10")) } else { Ok(()) }
            },
        );
        assert_eq!(result.unwrap_err().to_string(), "item 10");
        assert!(done.load(Ordering::Relaxed) < items.len());
    }
}
