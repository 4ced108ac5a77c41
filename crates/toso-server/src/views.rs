//! The centre's views in memory: what a start reads back after it has begun to answer.
//!
//! Phones push, pull and are acknowledged without them, so nobody waits for a country's rows to be read but who asks for
//! figures or lists.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use toso_projection::Projector;

/// The views, and whether what was stored of them is there yet.
pub struct Views {
    projector: Mutex<Projector>,
    whole: watch::Sender<bool>,
}

impl Views {
    /// Views that have everything they will have before the log grows.
    pub fn new(projector: Projector) -> Self {
        Self { projector: Mutex::new(projector), whole: watch::Sender::new(true) }
    }

    /// Empty views, until [`Self::fill`].
    pub fn waiting(empty: Projector) -> Self {
        Self { projector: Mutex::new(empty), whole: watch::Sender::new(false) }
    }

    /// Brings what was stored, and lets those who wait go on.
    pub fn fill(&self, stored: Projector) {
        *self.projector.lock() = stored;
        self.whole.send_replace(true);
    }

    /// The views as they are now. Who answers a question by them asks [`Self::are_whole`] first, or waits for
    /// [`Self::whole`].
    pub fn lock(&self) -> MutexGuard<'_, Projector> {
        self.projector.lock()
    }

    /// False while a start reads what was stored.
    pub fn are_whole(&self) -> bool {
        *self.whole.borrow()
    }

    /// Returns once [`Self::are_whole`].
    pub async fn whole(&self) {
        // The sender lives as long as this does.
        let _ = self.whole.subscribe().wait_for(|whole| *whole).await;
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").field("whole", &self.are_whole()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toso_catalog::Catalog;

    use super::*;

    #[tokio::test]
    async fn who_asks_before_the_views_are_there_waits_for_them() {
        let views = Arc::new(Views::waiting(Projector::new(Catalog::shared())));
        let of_waiting = Arc::clone(&views);
        let asking = tokio::spawn(async move { of_waiting.whole().await });
        tokio::task::yield_now().await;
        assert!(!asking.is_finished() && !views.are_whole());
        views.fill(Projector::new(Catalog::shared()));
        asking.await.unwrap();
        assert!(views.are_whole());
        views.whole().await;
    }
}
