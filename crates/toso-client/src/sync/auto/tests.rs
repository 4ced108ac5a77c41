//! A fault of our own inside an exchange costs that exchange, not sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_replica::exchange::{ExchangeNews, TouchEvent};
use toso_replica::{Credential, Reach, Replica, ReplicaOptions, SyncError, SyncOptions, SyncState};
use toso_store::ChunkStore;
use toso_store::memory::MemoryChunkStore;

use super::{AutoSync, Running};
use crate::system;

#[tokio::test]
async fn a_panic_within_an_exchange_is_told_and_the_next_one_runs() {
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
    let credential = Credential {
        server_url: "http://127.0.0.1:9".to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    };
    credential.keep(store.as_ref()).unwrap();
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let clock = Arc::new(move || {
        assert!(!is_broken.load(Ordering::Relaxed), "a clock that breaks");
        TimestampMs(1)
    });
    let replica = Replica::open(store, &ReplicaOptions { clock, ..system::options() }).unwrap();
    let sync = AutoSync::start(Arc::new(replica), SyncOptions::default());
    let mut state = sync.state();
    let patience = Duration::from_secs(30);
    let told = state.wait_for(|state| matches!(state, SyncState::Error { code: "internal", .. }));
    drop(tokio::time::timeout(patience, told).await.expect("it is told").unwrap());
    broken.store(false, Ordering::Relaxed);
    sync.sync_now();
    // Nobody listens there, so it ends offline: an exchange of its own ran to its end.
    let ran = state.wait_for(|state| *state == SyncState::Offline);
    drop(tokio::time::timeout(patience, ran).await.expect("it goes on").unwrap());
}

#[tokio::test]
async fn without_a_network_nothing_is_dialled_until_there_is_one() {
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
    let replica = Arc::new(Replica::open(store, &system::options()).unwrap());
    let sync = AutoSync::start_knowing(replica, SyncOptions::default(), false);
    let mut state = sync.state();
    let dialled = state.wait_for(|state| *state != SyncState::Offline);
    assert!(tokio::time::timeout(Duration::from_millis(300), dialled).await.is_err(), "it waits");
    sync.network_changed(true);
    let dialled = state.wait_for(|state| matches!(state, SyncState::Error { code: "not_enrolled", .. }));
    drop(tokio::time::timeout(Duration::from_secs(30), dialled).await.expect("it tries").unwrap());
}

/// The story: an exchange that was up to date and ended in the same moment was shown as if it had never been.
#[tokio::test]
async fn what_an_exchange_tells_in_the_moment_of_its_end_is_heard_before_the_end() {
    let (teller, news) = mpsc::unbounded_channel();
    let ends = Box::pin(async move {
        teller.send(ExchangeNews::Connected).unwrap();
        teller.send(ExchangeNews::UpToDate { waiting: 0 }).unwrap();
        Some(SyncError::Lost)
    });
    let mut running = Running { ends, news, ended: None };
    assert!(matches!(running.next().await, TouchEvent::News(ExchangeNews::Connected)));
    assert!(matches!(running.next().await, TouchEvent::News(ExchangeNews::UpToDate { waiting: 0 })));
    assert!(matches!(running.next().await, TouchEvent::Ended { error: Some(SyncError::Lost), .. }));
}
