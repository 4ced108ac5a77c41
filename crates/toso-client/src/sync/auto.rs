//! The task that keeps a device in touch: dials, stays for live changes, and comes back by itself. When, its machine says
//! ([`toso_replica::exchange::Touch`]).

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use toso_replica::exchange::{ExchangeNews, Moment, Touch, TouchEffect, TouchEvent};
use toso_replica::{Replica, SyncError, SyncOptions, SyncState};

use super::io_loop::{IoLoop, Until};
use super::once::missing_names;
use crate::listening::Watch;
use crate::system::random;

/// Starts automatic sync.
#[derive(Debug)]
pub struct AutoSync;

/// Keeps automatic sync running; dropping it stops it.
#[derive(Debug)]
pub struct AutoSyncHandle {
    state: watch::Receiver<SyncState>,
    wishes: mpsc::UnboundedSender<TouchEvent>,
    task: JoinHandle<()>,
}

impl AutoSync {
    /// Starts syncing a replica, until the handle is dropped. Must be called within a tokio runtime.
    pub fn start(replica: Arc<Replica>, options: SyncOptions) -> AutoSyncHandle {
        Self::start_knowing(replica, options, true)
    }

    /// The same for a caller that knows whether there is a network: without one nothing is dialled until
    /// [`AutoSyncHandle::network_changed`] says that there is.
    pub fn start_knowing(replica: Arc<Replica>, options: SyncOptions, online: bool) -> AutoSyncHandle {
        let (sender, state) = watch::channel(SyncState::Offline);
        let (wishes, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep_in_touch(replica, options, sender, heard, online));
        AutoSyncHandle { state, wishes, task }
    }
}

impl AutoSyncHandle {
    /// The state now, and as it changes.
    pub fn state(&self) -> watch::Receiver<SyncState> {
        self.state.clone()
    }

    /// The platform says that the network went, came, or is another one: see [`TouchEvent::Network`].
    pub fn network_changed(&self, online: bool) {
        self.wish(TouchEvent::Network { online });
    }

    /// A person wants it now: see [`TouchEvent::DialNow`].
    pub fn sync_now(&self) {
        self.wish(TouchEvent::DialNow);
    }

    fn wish(&self, wish: TouchEvent) {
        // The task hears as long as this handle is there.
        let _ = self.wishes.send(wish);
    }
}

impl Drop for AutoSyncHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An exchange under way, and what it tells.
struct Running {
    ends: Pin<Box<dyn Future<Output = Option<SyncError>> + Send>>,
    news: mpsc::UnboundedReceiver<ExchangeNews>,
    /// How it ended, until that is told.
    ended: Option<Result<(), SyncError>>,
}

impl Running {
    fn begin(replica: &Arc<Replica>, watch: &Arc<Watch>, options: SyncOptions) -> Self {
        let (teller, news) = mpsc::unbounded_channel();
        // What changed before the session is no news of it.
        watch.documents_changed();
        let session = one_session(Arc::clone(replica), Arc::clone(watch), options, teller);
        // What the session shares is committed whole or not at all, and its locks do not poison.
        let session = AssertUnwindSafe(session).catch_unwind();
        Self { ends: Box::pin(session.map(|ended| ended.unwrap_or(Some(SyncError::Panicked)))), news, ended: None }
    }

    /// What it tells, and at last its end.
    async fn next(&mut self) -> TouchEvent {
        if self.ended.is_none() {
            tokio::select! {
                biased;
                Some(news) = self.news.recv() => return TouchEvent::News(news),
                error = &mut self.ends => self.ended = Some(error.map_or(Ok(()), Err)),
            }
        }
        // What it told just before its end comes first.
        match self.news.try_recv() {
            Ok(news) => TouchEvent::News(news),
            Err(_) => TouchEvent::Ended {
                error: self.ended.take().and_then(Result::err),
                entropy: u64::from_le_bytes(random()),
            },
        }
    }
}

async fn keep_in_touch(
    replica: Arc<Replica>,
    options: SyncOptions,
    state: watch::Sender<SyncState>,
    mut wishes: mpsc::UnboundedReceiver<TouchEvent>,
    online: bool,
) {
    let watch = Watch::of(&replica);
    let begun = Instant::now();
    let (mut touch, mut effects) = Touch::start(online);
    let mut running: Option<Running> = None;
    loop {
        for effect in effects {
            match effect {
                TouchEffect::Show(shown) => drop(state.send_replace(shown)),
                // Where it cannot be forgotten, requests work as well.
                TouchEffect::ForgetNetwork => drop(replica.network_is_another()),
                TouchEffect::Begin => running = Some(Running::begin(&replica, &watch, options)),
                TouchEffect::Leave => running = None,
            }
        }
        let exchanged = async {
            match &mut running {
                Some(running) => running.next().await,
                None => std::future::pending().await,
            }
        };
        let time = async {
            match touch.deadline() {
                Some(at) => sleep_until(begun + at.since(Moment::default())).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            wish = wishes.recv() => match wish {
                Some(wish) => wish,
                None => return,
            },
            event = exchanged => event,
            () = time => TouchEvent::Time,
        };
        match event {
            TouchEvent::Ended { .. } => running = None,
            TouchEvent::News(ExchangeNews::UpToDate { .. }) if watch.documents_changed() => {
                let replica = Arc::clone(&replica);
                tokio::spawn(async move { missing_names(&replica).await });
            }
            TouchEvent::News(_) | TouchEvent::Network { .. } | TouchEvent::DialNow | TouchEvent::Time => {}
        }
        effects = touch.handle(Moment::default().plus(begun.elapsed()), event);
    }
}

/// One live session, and why it ended.
async fn one_session(
    replica: Arc<Replica>,
    watch: Arc<Watch>,
    options: SyncOptions,
    news: mpsc::UnboundedSender<ExchangeNews>,
) -> Option<SyncError> {
    let credential = match replica.credential() {
        Ok(credential) => credential,
        Err(error) => return Some(error.into()),
    };
    let mut io_loop = IoLoop::new(replica, &credential, options, Until::Stopped(watch), Some(news));
    io_loop.run().await.err()
}

#[cfg(test)]
mod tests;
