//! Ending a call that waits for a network, from outside.
//!
//! Kotlin and Python cancel a call by no longer waiting for it, which reaches Rust as a dropped future. Swift's tasks pass no
//! such thing on, and what a cancelled task runs in its place may not wait: it holds the task's own lock. So a call can be
//! given a signal beside its arguments, and the signal's holder ends the call without waiting for it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// Ends one call that waits for a network. A new one for each call; once stopped it stays stopped. In Kotlin, one that was closed
/// before its call counts as stopped.
#[derive(Debug, uniffi::Object)]
pub struct StopSignal {
    token: CancellationToken,
}

#[uniffi::export]
impl StopSignal {
    /// One that has not been stopped.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { token: CancellationToken::new() })
    }

    /// Ends the call that was given this signal, now or as soon as it begins. Never waits, so that it can be called from
    /// anywhere: from a cancelled task, a signal handler of the platform, or the thread that draws.
    pub fn stop(&self) {
        self.token.cancel();
    }
}

/// Resolves once the signal is stopped; never without one.
pub(crate) async fn stopped(signal: Option<Arc<StopSignal>>) {
    match signal {
        Some(signal) => signal.token.cancelled().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_signal_stops_what_waits_for_it_before_and_after_and_nothing_else_does() {
        let signal = StopSignal::new();
        let mut waiting = Box::pin(stopped(Some(Arc::clone(&signal))));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(stopped(None).now_or_never().is_none());
        signal.stop();
        assert!(waiting.as_mut().now_or_never().is_some());
        assert!(stopped(Some(signal)).now_or_never().is_some(), "one that came too early counts, too");
    }
}
