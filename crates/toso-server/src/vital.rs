//! The parts that the server cannot live without: threads, the accept loop, the store.
//!
//! A server whose log thread is gone answers every push with "busy", for ever, and looks well from outside. So each
//! such part is started here, under a name, and its end is noticed whatever ended it: a panic, a return, a store that
//! refuses all further writes. The first that ends before the server was told to stop is kept: `/healthz` answers 503
//! with its word, and [`Vitals::first_lost`] wakes the owner of the server, who stops it, so that its supervisor starts
//! it again. Nothing acknowledged is lost by that, and what was being counted is counted again.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

/// A part that the server cannot live without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The thread that appends to the log.
    Log,
    /// The thread that counts what the log has.
    Folding,
    /// A thread that merges documents for it.
    Merging,
    /// A thread that reads the log for sessions.
    Reading,
    /// The loop that accepts connections.
    Accepting,
    /// The task that renews the admin token.
    AdminToken,
    /// The store: after a failed write it refuses all others until it is opened again.
    Storage,
}

impl Part {
    /// Its word, as `/healthz` tells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Folding => "folding",
            Self::Merging => "merging",
            Self::Reading => "reading",
            Self::Accepting => "accepting",
            Self::AdminToken => "admin-token",
            Self::Storage => "storage",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which parts live.
#[derive(Debug)]
pub struct Vitals {
    /// The server was told to stop: parts may end.
    stopping: AtomicBool,
    lost: watch::Sender<Option<Part>>,
}

impl Default for Vitals {
    fn default() -> Self {
        Self { stopping: AtomicBool::new(false), lost: watch::Sender::new(None) }
    }
}

impl Vitals {
    /// From now on parts end because they are told to.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The first part that ended without being told to.
    pub fn lost(&self) -> Option<Part> {
        *self.lost.borrow()
    }

    /// Waits until a part has ended without being told to.
    pub async fn first_lost(&self) -> Part {
        let mut lost = self.lost.subscribe();
        loop {
            if let Some(part) = *lost.borrow_and_update() {
                return part;
            }
            // The sender is this room's own.
            if lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes note that a part is gone.
    pub fn lose(&self, part: Part) {
        if self.stopping.load(Ordering::Acquire) {
            return;
        }
        // Before the word about it, which may fail.
        let first = self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert(part);
            first
        });
        if first {
            tracing::error!(%part, "a part of the server has ended; restart the server");
        }
    }

    /// Starts a thread that the server cannot live without.
    pub(crate) fn thread(
        self: &Arc<Self>,
        part: Part,
        name: String,
        work: impl FnOnce(&mut Watch) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let mut watch = self.watch(part);
        Builder::new().name(name).spawn(move || work(&mut watch))
    }

    /// A task that the server cannot live without.
    pub(crate) fn task<W: Future<Output = ()>>(
        self: &Arc<Self>,
        part: Part,
        work: W,
    ) -> impl Future<Output = ()> + use<W> {
        let watch = self.watch(part);
        async move {
            let _watch = watch;
            work.await;
        }
    }

    fn watch(self: &Arc<Self>, part: Part) -> Watch {
        Watch { vitals: Arc::clone(self), part, told: false }
    }
}

/// Dropped when its part ends.
pub(crate) struct Watch {
    vitals: Arc<Vitals>,
    part: Part,
    told: bool,
}

impl Watch {
    /// The part ends because the part that it works for has ended, and is to be named instead.
    pub(crate) fn was_told(&mut self) {
        self.told = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.told {
            self.vitals.lose(self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 7] =
        [Part::Log, Part::Folding, Part::Merging, Part::Reading, Part::Accepting, Part::AdminToken, Part::Storage];

    /// Ends the thread as a bug would, without a word on stderr.
    fn planted(_: &mut Watch) {
        std::panic::resume_unwind(Box::new("a planted bug"));
    }

    fn returns(_: &mut Watch) {}

    #[tokio::test]
    async fn a_thread_that_ends_is_noticed_whatever_ended_it() {
        for (part, work) in PARTS.into_iter().zip([planted, returns, planted, returns, planted, returns, planted]) {
            let vitals = Arc::new(Vitals::default());
            assert_eq!(vitals.lost(), None);
            let thread = vitals.thread(part, "toso-test".to_owned(), work).unwrap();
            assert_eq!(vitals.first_lost().await, part);
            assert_eq!(vitals.lost(), Some(part));
            let _ = thread.join();
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_is_noticed_whatever_ended_it() {
        let vitals = Arc::new(Vitals::default());
        let task =
            tokio::spawn(vitals.task(Part::Accepting, async { std::panic::resume_unwind(Box::new("a planted bug")) }));
        assert_eq!(vitals.first_lost().await, Part::Accepting);
        assert!(task.await.is_err());
        let vitals = Arc::new(Vitals::default());
        vitals.task(Part::Accepting, async {}).await;
        assert_eq!(vitals.lost(), Some(Part::Accepting));
        let vitals = Arc::new(Vitals::default());
        drop(vitals.task(Part::Accepting, async {}));
        assert_eq!(vitals.lost(), Some(Part::Accepting), "also one that never ran");
    }

    #[test]
    fn the_first_is_kept_and_a_server_that_stops_loses_nothing() {
        let vitals = Arc::new(Vitals::default());
        let told = vitals.thread(Part::Merging, "toso-test".to_owned(), Watch::was_told).unwrap();
        told.join().unwrap();
        assert_eq!(vitals.lost(), None);
        let vitals = Vitals::default();
        vitals.lose(Part::Log);
        vitals.lose(Part::Folding);
        assert_eq!(vitals.lost(), Some(Part::Log));
        let vitals = Vitals::default();
        vitals.stopping();
        vitals.lose(Part::Log);
        assert_eq!(vitals.lost(), None);
    }
}
