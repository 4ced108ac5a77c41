//! A phone without a server: enrolled by hand, so that it can record.

#![allow(dead_code, reason = "each suite needs a part")]

#[cfg(target_os = "linux")]
pub(crate) mod threads;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use toso_core::id::ServerId;
use toso_core::time::TimestampMs;
use toso_ffi::{NewMember, NewTeam, TosoClient, TosoConfig, TosoEvent, TosoObserver};
use toso_replica::Credential;
use toso_store_sled::{Options, SledChunkStore, StoreKey};

/// The key of every test's folder.
pub(crate) const KEY: [u8; 32] = [7; 32];
/// How long a test waits for an event before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a future as a Kotlin or Swift executor does: no runtime of ours around it.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// How a test's folder is opened.
pub(crate) fn config(folder: &Path) -> TosoConfig {
    TosoConfig {
        folder: folder.to_str().expect("a path").to_owned(),
        key: KEY.to_vec(),
        device_name: "Máy thử".to_owned(),
        ca_pem: None,
        insecure_http: false,
    }
}

/// Opens a folder.
pub(crate) fn open(folder: &Path) -> Arc<TosoClient> {
    wait(TosoClient::open(config(folder), None)).expect("the folder opens")
}

/// Opens a folder as a recorder's of one commune, of a server that listens at `url` or not at all.
pub(crate) fn enrolled(folder: &Path, url: &str) -> Arc<TosoClient> {
    let store = SledChunkStore::open_encrypted(folder, Options::phone(), &StoreKey::from_bytes(&KEY));
    let credential = Credential {
        server_url: url.to_owned(),
        server_id: ServerId([1; 16]),
        token: vec![1, 2, 3],
        unit: "2025/00004".parse().expect("a unit"),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: toso_replica::Reach::default(),
    };
    credential.keep(&store.expect("the folder opens")).expect("it is kept");
    open(folder)
}

/// Has a phone that is not open believe that its right to sync ends then.
pub(crate) fn believe_in_end(folder: &Path, ends: TimestampMs) {
    let store = SledChunkStore::open_encrypted(folder, Options::phone(), &StoreKey::from_bytes(&KEY));
    let store = store.expect("the folder opens");
    let mut credential = Credential::load(&store).expect("it has joined");
    credential.token_ends = Some(ends);
    credential.keep(&store).expect("it is kept");
}

/// An address at which nobody listens.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9";

/// Records a hamlet's team.
pub(crate) fn add_team(toso: &TosoClient, hamlet: &str) -> String {
    let team = NewTeam { hamlet: Some(hamlet.to_owned()), level: None, commune: None, another: false, edits: vec![] };
    wait(toso.add_team(team)).expect("the team is recorded")
}

/// Records a member.
pub(crate) fn add_member(toso: &TosoClient, team: &str, name: &str) -> String {
    let member = NewMember { team: team.to_owned(), full_name: name.to_owned(), edits: vec![] };
    wait(toso.add_member(member)).expect("the member is recorded")
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Listener {
    heard: Mutex<Vec<TosoEvent>>,
    more: Condvar,
}

impl TosoObserver for Listener {
    fn on_event(&self, event: TosoEvent) {
        self.heard.lock().expect("no test panics within").push(event);
        self.more.notify_all();
    }
}

impl Listener {
    /// What it has been told.
    pub(crate) fn heard(&self) -> Vec<TosoEvent> {
        self.heard.lock().expect("no test panics within").clone()
    }

    /// Waits until it has been told what is wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&TosoEvent) -> bool) {
        let heard = self.heard.lock().expect("no test panics within");
        let (told, timer) = self
            .more
            .wait_timeout_while(heard, PATIENCE, |heard| !heard.iter().any(&wanted))
            .expect("no test panics within");
        assert!(!timer.timed_out(), "it was told {told:?} only");
    }

    /// Waits until it has been told of a document.
    pub(crate) fn until_document(&self, id: &str) {
        self.until(|event| matches!(event, TosoEvent::Documents { ids, .. } if ids.iter().any(|of| of == id)));
    }
}
