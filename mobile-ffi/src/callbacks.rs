//! Calling the app: off the runtime's own thread, a few at a time, and whatever it throws stays there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Where callbacks run.
#[derive(Debug, Clone)]
pub(crate) struct Callbacks {
    runtime: Handle,
    /// Threads that callbacks may hold: what they call here waits for a thread in turn, and must find one.
    free: Arc<Semaphore>,
}

impl Callbacks {
    pub(crate) fn new(runtime: Handle, at_once_max: usize) -> Self {
        Self { runtime, free: Arc::new(Semaphore::new(at_once_max)) }
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs what calls the app; `None` when it panicked or the runtime ends.
    pub(crate) async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // It is never closed.
        let _turn = self.free.acquire().await.ok()?;
        self.runtime.spawn_blocking(call).await.ok()
    }
}

/// One call of the app. What it throws comes here as a panic, and must cost nothing else.
pub(crate) fn call_app(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::warn!("a callback of the app failed; the next one is made all the same");
    }
}
