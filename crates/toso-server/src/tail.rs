//! What wakes the thread that folds the log.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes the coordinator.
#[derive(Debug, Default)]
pub struct Tail {
    state: Mutex<TailState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TailState {
    grown: bool,
    stop: bool,
}

impl Tail {
    /// The log has grown.
    pub fn grew(&self) {
        self.state.lock().grown = true;
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits for growth or the end; `false` at the end.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.grown && !state.stop {
            self.changed.wait(&mut state);
        }
        state.grown = false;
        !state.stop
    }

    /// Waits a while, or until the end; `false` at the end.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.stop {
            self.changed.wait_for(&mut state, time);
        }
        !state.stop
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state.lock().stop
    }
}
