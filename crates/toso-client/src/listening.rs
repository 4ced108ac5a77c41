//! What happens in a replica, for tasks of tokio: as a channel, or kept until a task asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use toso_core::id::DocId;
use toso_replica::{Listens, News, Observer, Replica, ReplicaEvent};

/// Events a slow listener may lag behind before it is told to read everything anew.
const EVENTS_BUFFERED: usize = 256;

/// Changes of a replica as they happen. Dropping the receiver ends it.
pub fn subscribe(replica: &Replica) -> broadcast::Receiver<ReplicaEvent> {
    let (sender, receiver) = broadcast::channel(EVENTS_BUFFERED);
    replica.observe(Box::new(Channel(sender)));
    receiver
}

struct Channel(broadcast::Sender<ReplicaEvent>);

impl Observer for Channel {
    fn hear(&self, news: News<'_>) -> Listens {
        let News::Event(event) = news else { return listens(self.0.receiver_count() > 0) };
        listens(self.0.send(event.clone()).is_ok())
    }
}

fn listens(on: bool) -> Listens {
    if on { Listens::On } else { Listens::NoMore }
}

/// What an exchange wants to know of its replica.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    outbox_grew: Notify,
    documents_changed: AtomicBool,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn of(replica: &Replica) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        replica.observe(Box::new(Watching(Arc::downgrade(&watch))));
        watch
    }

    /// Waits for an edit. One that came before the call counts.
    pub(crate) async fn outbox_grew(&self) {
        self.outbox_grew.notified().await;
    }

    /// Whether documents have changed since this was asked last.
    pub(crate) fn documents_changed(&self) -> bool {
        self.documents_changed.swap(false, Ordering::Relaxed)
    }
}

struct Watching(std::sync::Weak<Watch>);

impl Observer for Watching {
    fn hear(&self, news: News<'_>) -> Listens {
        let Some(watch) = self.0.upgrade() else { return Listens::NoMore };
        match news {
            News::OutboxGrew => watch.outbox_grew.notify_one(),
            News::Event(ReplicaEvent::Documents(_)) => watch.documents_changed.store(true, Ordering::Relaxed),
            News::Event(
                ReplicaEvent::Receipts
                | ReplicaEvent::Held
                | ReplicaEvent::Right
                | ReplicaEvent::Names
                | ReplicaEvent::Removed(_),
            ) => {}
        }
        Listens::On
    }
}

/// The documents that have changed or gone since it was made: for a caller that asks once, at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangedDocuments(Arc<Mutex<BTreeSet<DocId>>>);

impl ChangedDocuments {
    /// Begins to collect.
    pub(crate) fn of(replica: &Replica) -> Self {
        let changed = Self::default();
        replica.observe(Box::new(Collecting(Arc::downgrade(&changed.0))));
        changed
    }

    /// What has come together, sorted.
    pub(crate) fn take(self) -> Vec<DocId> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }
}

struct Collecting(std::sync::Weak<Mutex<BTreeSet<DocId>>>);

impl Observer for Collecting {
    fn hear(&self, news: News<'_>) -> Listens {
        let Some(changed) = self.0.upgrade() else { return Listens::NoMore };
        if let News::Event(ReplicaEvent::Documents(docs) | ReplicaEvent::Removed(docs)) = news {
            changed.lock().extend(docs);
        }
        Listens::On
    }
}
