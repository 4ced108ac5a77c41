//! The task that keeps a device in touch: dials, stays for live changes, and comes back by itself. When, its machine says
//! ([`toso_replica::exchange::Touch`]).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use toso_replica::exchange::{ExchangeNews, Touch, TouchEffect, TouchEvent};
use toso_replica::{Replica, SyncError, SyncOptions, SyncState};

use super::hints::{Hint, Hints};
use super::io_loop::{IoLoop, Length};
use crate::asking::missing_names;
use crate::doing::Doing;
use crate::listening::Watch;
use crate::off_thread::off_thread;
use crate::system::random;
use crate::transport::{Transport, until};

/// Starts automatic sync.
#[derive(Debug)]
pub struct AutoSync;

/// Keeps automatic sync running; dropping it stops it.
#[derive(Debug)]
pub struct AutoSyncHandle {
    state: watch::Receiver<SyncState>,
    hints: Arc<Hints>,
}

impl AutoSync {
    /// Syncs a replica over a transport, until the handle is dropped: the owner of the runtime drives the task that comes with it,
    /// and gives it whatever the transport needs.
    pub fn over(
        transport: Arc<dyn Transport>,
        replica: Arc<Replica>,
        options: SyncOptions,
        online: bool,
    ) -> (AutoSyncHandle, Doing<'static, ()>) {
        let (sender, state) = watch::channel(SyncState::Offline);
        let hints = Arc::new(Hints::default());
        let task = keep_in_touch(transport, replica, options, sender, Arc::clone(&hints), online);
        (AutoSyncHandle { state, hints }, Box::pin(task))
    }
}

impl AutoSyncHandle {
    /// The state now, and as it changes.
    pub fn state(&self) -> watch::Receiver<SyncState> {
        self.state.clone()
    }

    /// The platform says that the network went, came, or is another one: see [`TouchEvent::Network`].
    pub fn network_changed(&self, online: bool) {
        self.hints.network(online);
    }

    /// A person wants it now: see [`TouchEvent::DialNow`].
    pub fn sync_now(&self) {
        self.hints.dial_now();
    }
}

impl Drop for AutoSyncHandle {
    fn drop(&mut self) {
        self.hints.over();
    }
}

/// An exchange under way, and what it tells.
struct Running {
    ends: Doing<'static, Option<SyncError>>,
    news: mpsc::UnboundedReceiver<ExchangeNews>,
    /// How it ended, until that is told.
    ended: Option<Result<(), SyncError>>,
}

impl Running {
    fn begin(transport: &Arc<dyn Transport>, replica: &Arc<Replica>, watch: &Arc<Watch>, options: SyncOptions) -> Self {
        let (teller, news) = mpsc::unbounded_channel();
        // What changed before the exchange is no news of it.
        watch.documents_changed();
        let exchange = one_exchange(Arc::clone(transport), Arc::clone(replica), Arc::clone(watch), options, teller);
        // What the exchange shares is committed whole or not at all, and its locks do not poison.
        let exchange = AssertUnwindSafe(exchange).catch_unwind();
        Self { ends: Box::pin(exchange.map(|ended| ended.unwrap_or(Some(SyncError::Panicked)))), news, ended: None }
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
    transport: Arc<dyn Transport>,
    replica: Arc<Replica>,
    options: SyncOptions,
    state: watch::Sender<SyncState>,
    hints: Arc<Hints>,
    online: bool,
) {
    let watch = Watch::of(&replica);
    let (mut touch, mut effects) = Touch::start(online);
    let mut running: Option<Running> = None;
    let mut naming: Option<Doing<'static, ()>> = None;
    loop {
        for effect in effects {
            match effect {
                TouchEffect::Show(shown) => drop(state.send_replace(shown)),
                // Where it cannot be forgotten, requests work as well.
                TouchEffect::ForgetNetwork => drop(off_thread(&replica, Replica::network_is_another).await),
                TouchEffect::Begin => running = Some(Running::begin(&transport, &replica, &watch, options)),
                TouchEffect::Leave => running = None,
            }
        }
        let exchanged = async {
            match &mut running {
                Some(running) => running.next().await,
                None => std::future::pending().await,
            }
        };
        let named = async {
            match &mut naming {
                Some(naming) => naming.await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            hint = hints.next() => match hint {
                Hint::Touch(event) => event,
                Hint::Over => return,
            },
            event = exchanged => event,
            () = until(&*transport, touch.deadline()) => TouchEvent::Time,
            () = named => {
                naming = None;
                effects = Vec::new();
                continue;
            }
        };
        match event {
            TouchEvent::Ended { .. } => running = None,
            TouchEvent::News(ExchangeNews::UpToDate { .. }) if watch.documents_changed() && naming.is_none() => {
                let (transport, replica) = (Arc::clone(&transport), Arc::clone(&replica));
                naming = Some(Box::pin(async move { drop(missing_names(&*transport, &replica).await) }));
            }
            TouchEvent::News(_) | TouchEvent::Network { .. } | TouchEvent::DialNow | TouchEvent::Time => {}
        }
        effects = touch.handle(transport.now(), event);
    }
}

/// One live exchange, and why it ended.
async fn one_exchange(
    transport: Arc<dyn Transport>,
    replica: Arc<Replica>,
    watch: Arc<Watch>,
    options: SyncOptions,
    news: mpsc::UnboundedSender<ExchangeNews>,
) -> Option<SyncError> {
    let credential = match replica.credential() {
        Ok(credential) => credential,
        Err(error) => return Some(error.into()),
    };
    let mut io_loop = IoLoop::new(transport, replica, &credential, options, Length::Live(watch), Some(news));
    io_loop.run().await.err()
}

#[cfg(test)]
mod tests;
