//! What an app is told while it runs.
//!
//! An observer has one method that takes an event, so that it becomes a Kotlin `Flow` or a Swift `AsyncStream` in three
//! lines, and so that events come in their order. It is called on a thread of the library's, one event at a time, never
//! while a lock is held: it may call anything here. An observer that is slow is told less often, not later: what happens
//! meanwhile is told together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use toso_client::subscribe;
use toso_core::id::DocId;
use toso_replica::{ConflictWatch, Replica, ReplicaEvent, RightState};

use crate::callbacks::{Callbacks, call_app};
use crate::sync::SyncState;
use crate::words::SyncRight;

/// Something that happened. What it means in full is read from the object.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum TosoEvent {
    /// Documents changed, here or by sync.
    Documents {
        /// Their ids: `c…` communes, `t…` teams, `m…` members.
        ids: Vec<String>,
        /// True when more changed than could be told: read everything anew.
        all: bool,
    },
    /// Sync stands elsewhere.
    Sync {
        /// Where.
        state: SyncState,
    },
    /// Receipts moved on, or the centre's figures did.
    Receipts,
    /// These documents' conflicts are others than before (new, or settled).
    Conflicts {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The server refused changes or holds them for review, or officers have decided: read `held`.
    Held,
    /// The server had documents removed from this device: it was moved or revoked, or they were erased.
    Wiped {
        /// Their ids.
        ids: Vec<String>,
        /// True when nothing is left here.
        everything: bool,
    },
    /// This device's right to sync ends soon, has ended, or was renewed. Told at once when it ends soon or has ended already.
    SyncRight {
        /// How it stands now.
        state: SyncRight,
        /// When it ends, by the server's clock.
        ends_ms: i64,
    },
    /// Names of devices came: `who_is` tells more than before.
    Names,
}

/// How often the right to sync is looked at without news. The time to the next limit is waited for as well, but a phone that
/// sleeps does not count it.
const RIGHT_LOOKED_AT_EVERY: Duration = Duration::from_secs(60 * 60);

/// Told of events, given by the app. What it throws is ignored.
#[uniffi::export(foreign)]
pub trait TosoObserver: Send + Sync {
    /// Something happened. Return soon: what comes next waits.
    fn on_event(&self, event: TosoEvent);
}

/// Keeps an observer; dropping it ends that. A call that is under way just then still comes to its end.
#[derive(Debug, uniffi::Object)]
pub struct ObserverHandle {
    active: Arc<AtomicBool>,
    task: AbortHandle,
}

#[uniffi::export]
impl ObserverHandle {
    /// Ends it now.
    pub fn cancel(&self) {
        self.active.store(false, Ordering::Release);
        self.task.abort();
    }
}

impl Drop for ObserverHandle {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Begins to tell an observer.
pub(crate) fn observe(
    observer: Arc<dyn TosoObserver>,
    replica: Arc<Replica>,
    sync: watch::Receiver<SyncState>,
    callbacks: Callbacks,
) -> Arc<ObserverHandle> {
    let active = Arc::new(AtomicBool::new(true));
    let events = subscribe(&replica);
    let teller = Teller { observer, active: Arc::clone(&active), replica };
    let runtime = callbacks.runtime().clone();
    let task = runtime.spawn(tell(callbacks, teller, events, sync)).abort_handle();
    Arc::new(ObserverHandle { active, task })
}

/// Who calls the observer.
#[derive(Clone)]
struct Teller {
    observer: Arc<dyn TosoObserver>,
    active: Arc<AtomicBool>,
    replica: Arc<Replica>,
}

/// What has happened since the observer was last told.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that happened or did not")]
struct News {
    documents: BTreeSet<DocId>,
    removed: BTreeSet<DocId>,
    receipts: bool,
    held: bool,
    /// More than was kept.
    lagged: bool,
    sync: Option<SyncState>,
    names: bool,
    /// It came while conflicts were looked at for the first time, and that look may have seen it.
    during_first_look: bool,
}

async fn tell(
    callbacks: Callbacks,
    teller: Teller,
    mut events: broadcast::Receiver<ReplicaEvent>,
    mut sync: watch::Receiver<SyncState>,
) {
    let replica = Arc::clone(&teller.replica);
    let mut watch = callbacks.run(move || ConflictWatch::new(&replica).ok()).await.flatten();
    let mut during_first_look = true;
    let mut right = None;
    loop {
        let (teller_now, before) = (teller.clone(), right);
        let looked = callbacks.run(move || teller_now.tell_right(before)).await;
        let look_again;
        (right, look_again) = looked.unwrap_or((before, RIGHT_LOOKED_AT_EVERY));
        let mut news = News { during_first_look, ..News::default() };
        let waiting = news.take_all(&mut events);
        // From here on nothing is news of that time any more.
        news.during_first_look &= waiting;
        during_first_look = false;
        if !waiting {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => news.add(event),
                    Err(RecvError::Lagged(_)) => news.lagged = true,
                    Err(RecvError::Closed) => return,
                },
                changed = sync.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    news.sync = Some(sync.borrow_and_update().clone());
                }
                () = tokio::time::sleep(look_again) => continue,
            }
            news.take_all(&mut events);
        }
        let teller = teller.clone();
        // A panic costs this piece of news and what was known of conflicts, not the observer.
        watch = callbacks.run(move || teller.tell(news, watch)).await.flatten();
    }
}

impl News {
    /// Takes what waits. True when there was something.
    fn take_all(&mut self, events: &mut broadcast::Receiver<ReplicaEvent>) -> bool {
        let mut some = false;
        loop {
            match events.try_recv() {
                Ok(event) => self.add(event),
                Err(TryRecvError::Lagged(_)) => self.lagged = true,
                Err(_) => return some,
            }
            some = true;
        }
    }

    fn add(&mut self, event: ReplicaEvent) {
        match event {
            ReplicaEvent::Documents(documents) => self.documents.extend(documents),
            ReplicaEvent::Removed(documents) => self.removed.extend(documents),
            ReplicaEvent::Receipts => self.receipts = true,
            ReplicaEvent::Held => self.held = true,
            ReplicaEvent::Names => self.names = true,
            // It is looked at after all news.
            ReplicaEvent::Right => {}
        }
    }
}

impl Teller {
    /// Tells it all, and returns what is now known of conflicts.
    fn tell(&self, news: News, watch: Option<ConflictWatch>) -> Option<ConflictWatch> {
        let (conflicts, watch) = self.conflicts(&news, watch);
        let ids = |documents: &BTreeSet<DocId>| documents.iter().map(ToString::to_string).collect::<Vec<_>>();
        if news.lagged || !news.documents.is_empty() {
            self.call(TosoEvent::Documents { ids: ids(&news.documents), all: news.lagged });
        }
        if !news.removed.is_empty() {
            let everything = self.replica.store().documents_len().is_ok_and(|documents| documents == 0);
            self.call(TosoEvent::Wiped { ids: ids(&news.removed), everything });
        }
        if !conflicts.is_empty() {
            self.call(TosoEvent::Conflicts { ids: ids(&conflicts) });
        }
        if news.receipts || news.lagged {
            self.call(TosoEvent::Receipts);
        }
        if news.held || news.lagged {
            self.call(TosoEvent::Held);
        }
        if news.names || news.lagged {
            self.call(TosoEvent::Names);
        }
        if let Some(state) = news.sync {
            self.call(TosoEvent::Sync { state });
        }
        watch
    }

    /// Tells how the right to sync stands, when it stands otherwise than was told; returns that, and when to look again.
    fn tell_right(&self, told: Option<toso_replica::SyncRight>) -> (Option<toso_replica::SyncRight>, Duration) {
        // What cannot be read now is looked at again.
        let Some(right) = self.replica.sync_right().unwrap_or_default() else { return (told, RIGHT_LOOKED_AT_EVERY) };
        let is_news = told.map_or(right.state != RightState::Good, |told| told != right);
        if is_news {
            let ends_ms = i64::try_from(right.ends.0).unwrap_or(i64::MAX);
            self.call(TosoEvent::SyncRight { state: right.state, ends_ms });
        }
        let changes = self.replica.sync_right_changes_in_ms().unwrap_or_default().map(Duration::from_millis);
        (Some(right), changes.map_or(RIGHT_LOOKED_AT_EVERY, |changes| changes.min(RIGHT_LOOKED_AT_EVERY)))
    }

    /// Documents whose conflicts changed. What cannot be read is told by the next read.
    fn conflicts(&self, news: &News, watch: Option<ConflictWatch>) -> (BTreeSet<DocId>, Option<ConflictWatch>) {
        let touched: Vec<DocId> = news.documents.union(&news.removed).copied().collect();
        let in_conflict = |doc: &DocId| self.replica.conflicts_of(*doc).is_ok_and(|found| !found.is_empty());
        let Some(mut watch) = watch else {
            let found = touched.into_iter().filter(in_conflict).collect();
            return (found, ConflictWatch::new(&self.replica).ok());
        };
        let looked =
            if news.lagged { watch.look_at_all(&self.replica) } else { watch.look_at(&self.replica, &touched) };
        let mut found: BTreeSet<DocId> = looked.unwrap_or_default().into_iter().collect();
        if news.during_first_look {
            found.extend(touched.into_iter().filter(in_conflict));
        }
        (found, Some(watch))
    }

    fn call(&self, event: TosoEvent) {
        if self.active.load(Ordering::Acquire) {
            call_app(|| self.observer.on_event(event));
        }
    }
}
