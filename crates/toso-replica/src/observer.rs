//! Who is told what happens in a replica. No runtime is needed for it: an observer is called, at once and where it happens.

use parking_lot::Mutex;
use toso_core::id::DocId;

/// What observers are told. The content is read from the replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaEvent {
    /// These documents changed, here or by sync.
    Documents(Vec<DocId>),
    /// Receipts moved on, or the centre's totals did.
    Receipts,
    /// The server refused entries or holds them for review, or officers have decided; see [`crate::Replica::held`].
    Held,
    /// The right to sync was renewed; see [`crate::Replica::sync_right`].
    Right,
    /// Names of devices came; see [`crate::Replica::device_names`].
    Names,
    /// The server had these documents removed from this device: it was moved or revoked, or they were erased.
    Removed(Vec<DocId>),
}

/// A piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// For those who show what is here.
    Event(&'a ReplicaEvent),
    /// Something more waits to be sent: for who keeps a session.
    OutboxGrew,
}

/// Whether an observer wants to hear more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens {
    /// It does.
    On,
    /// It has gone: the replica forgets it.
    NoMore,
}

/// Hears of a replica.
///
/// # Contract
/// It is called by whichever thread changed something, while others wait. So it returns at once, and calls nothing of the
/// replica: it keeps what it heard for its own thread or task.
pub trait Observer: Send + Sync {
    /// Hears one piece of news.
    fn hear(&self, news: News<'_>) -> Listens;
}

/// The observers of one replica.
#[derive(Default)]
pub(crate) struct Observers(Mutex<Vec<Box<dyn Observer>>>);

impl Observers {
    pub(crate) fn add(&self, observer: Box<dyn Observer>) {
        self.0.lock().push(observer);
    }

    pub(crate) fn tell(&self, news: News<'_>) {
        self.0.lock().retain(|observer| observer.hear(news) == Listens::On);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Hears so many pieces of news and goes.
    struct Patience {
        heard: Arc<AtomicUsize>,
        most: usize,
    }

    impl Observer for Patience {
        fn hear(&self, _: News<'_>) -> Listens {
            if self.heard.fetch_add(1, Ordering::Relaxed) + 1 < self.most { Listens::On } else { Listens::NoMore }
        }
    }

    #[test]
    fn each_observer_hears_everything_until_it_goes() {
        let observers = Observers::default();
        let heard: Vec<Arc<AtomicUsize>> = (0..2).map(|_| Arc::default()).collect();
        for (most, heard) in [(2, &heard[0]), (9, &heard[1])] {
            observers.add(Box::new(Patience { heard: Arc::clone(heard), most }));
        }
        for _ in 0..3 {
            observers.tell(News::OutboxGrew);
            observers.tell(News::Event(&ReplicaEvent::Held));
        }
        let heard: Vec<usize> = heard.iter().map(|heard| heard.load(Ordering::Relaxed)).collect();
        assert_eq!(heard, [2, 6]);
    }
}
