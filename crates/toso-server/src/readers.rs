//! A few threads that read the log for sessions.
//!
//! Most reads are answered from memory within microseconds. A runtime's pool for blocking work wakes another thread for
//! each, and in a rush waking threads and putting them to sleep took a quarter of the server's processor time. Here few
//! threads share one queue, so that under load they find the next job instead of sleeping; and not one alone, so that a
//! read that waits for the disk delays only itself.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::vital::{Part, Vitals};

/// What a thread does.
type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end once this is dropped and the queue is empty.
pub(crate) struct Readers(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job and have not been called.
    idle: usize,
    closed: bool,
}

impl Readers {
    /// Starts so many threads, at least one.
    pub(crate) fn start(count: usize, vitals: &Arc<Vitals>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        // Made first, so that the threads of a start that fails end, too.
        let readers = Self(Arc::clone(&queue));
        for number in 0..count.max(1) {
            let queue = Arc::clone(&queue);
            vitals.thread(Part::Reading, format!("toso-read-{number}"), move |_| queue.work())?;
        }
        Ok(readers)
    }

    /// Does the work on one of the threads; `None` when it panicked. Work that was begun is done to its end, also when
    /// nobody waits for it any more. Work that was not is left out then, unless it is `needed` all the same.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        needed: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.push(Box::new(move || {
            if needed || !reply.is_closed() {
                // The session may be gone.
                let _ = reply.send(work());
            }
        }));
        answer.await.ok()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.more.notify_all();
    }
}

impl Queue {
    fn push(&self, job: Job) {
        let mut state = self.state.lock();
        state.jobs.push_back(job);
        let call = state.idle > 0;
        if call {
            state.idle -= 1;
        }
        drop(state);
        if call {
            self.more.notify_one();
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                tracing::error!("a session's read panicked");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            self.more.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_ends_nothing_but_itself() {
        let readers = Readers::start(2, &Arc::default()).unwrap();
        assert_eq!(readers.run(false, || 7).await, Some(7));
        for _ in 0..3 {
            assert_eq!(readers.run(false, || -> u32 { std::panic::panic_any("a damaged page") }).await, None);
        }
        assert_eq!(readers.run(false, || 8).await, Some(8));
    }

    /// One that waits for the disk delays only itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_read_leaves_the_other_threads_to_others() {
        let readers = Arc::new(Readers::start(2, &Arc::default()).unwrap());
        let (release, held) = mpsc::channel::<()>();
        let slow = tokio::spawn({
            let readers = Arc::clone(&readers);
            async move { readers.run(false, move || held.recv().is_ok()).await }
        });
        for number in 0..100 {
            assert_eq!(readers.run(false, move || number).await, Some(number));
        }
        assert!(!slow.is_finished());
        release.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Some(true));
    }

    /// What nobody waits for any more is not begun, unless it is needed.
    #[tokio::test]
    async fn abandoned_work_is_left_out() {
        use futures_util::FutureExt as _;

        let readers = Readers::start(1, &Arc::default()).unwrap();
        let (release, held) = mpsc::channel::<()>();
        readers.0.push(Box::new(move || held.recv().unwrap()));
        let done = Arc::new(Mutex::new(Vec::new()));
        for (needed, name) in [(false, "abandoned"), (true, "needed")] {
            let done = Arc::clone(&done);
            assert!(readers.run(needed, move || done.lock().push(name)).now_or_never().is_none());
        }
        release.send(()).unwrap();
        readers.run(false, || ()).await.unwrap();
        assert_eq!(*done.lock(), ["needed"]);
    }

    #[tokio::test]
    async fn what_has_queued_up_is_done_when_the_readers_go() {
        let done = Arc::new(AtomicUsize::new(0));
        let readers = Readers::start(1, &Arc::default()).unwrap();
        let (release, held) = mpsc::channel::<()>();
        readers.0.push(Box::new(move || held.recv().unwrap()));
        for _ in 0..10 {
            let done = Arc::clone(&done);
            readers.0.push(Box::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
            }));
        }
        let (last, ended) = oneshot::channel();
        readers.0.push(Box::new(move || last.send(()).unwrap()));
        drop(readers);
        release.send(()).unwrap();
        ended.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }
}
