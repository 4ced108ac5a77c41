//! What the tests of this room give a replica: the system's clock and randomness, and observers that keep what they heard.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use toso_core::time::TimestampMs;

use crate::observer::{Listens, News, Observer, ReplicaEvent};
use crate::replica::{Replica, ReplicaOptions};

/// A device with the system's clock and randomness.
pub(crate) fn options() -> ReplicaOptions {
    ReplicaOptions::new(Arc::new(now), Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).unwrap()))
}

/// The system's clock.
pub(crate) fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TimestampMs(u64::try_from(since.as_millis()).unwrap())
}

/// Keeps the events of a replica.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<ReplicaEvent>>>);

impl Heard {
    /// Begins to keep them.
    pub(crate) fn of(replica: &Replica) -> Self {
        let heard = Self::default();
        replica.observe(Box::new(heard.clone()));
        heard
    }

    /// What was heard since this was asked last.
    pub(crate) fn take(&self) -> Vec<ReplicaEvent> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observer for Heard {
    fn hear(&self, news: News<'_>) -> Listens {
        if let News::Event(event) = news {
            self.0.lock().push(event.clone());
        }
        Listens::On
    }
}
