//! Coming online, however often it takes: what a device does when a bar of signal appears and the server is busy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use toso_client::sync_once;
use toso_replica::{Replica, SyncError, SyncOptions, SyncReport};

use crate::error::BenchError;
use crate::patience::Patience;

/// What one coming online cost, over all its tries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exchange {
    /// The bytes and changes of all tries together.
    pub(crate) report: SyncReport,
    /// Tries that failed.
    pub(crate) failures: u32,
}

/// Exchanges everything.
pub(crate) async fn come_online(
    replica: &Arc<Replica>,
    options: SyncOptions,
    mut patience: Patience,
) -> Result<Exchange, BenchError> {
    let mut exchange = Exchange::default();
    loop {
        let (report, result) = sync_once(replica, options, |_, _| {}).await;
        exchange.report.add(&report);
        if report.refused > 0 {
            return Err(refused(replica)?);
        }
        let error = match result {
            Ok(()) if report.up_to_date => return Ok(exchange),
            // The session ended before everything was through; the rest goes with the next one.
            Ok(()) => SyncError::Lost,
            Err(error) if error.needs_a_person() => return Err(error.into()),
            Err(error) => error,
        };
        let at_least = match &error {
            SyncError::RetryAfter { delay_ms } => Duration::from_millis(*delay_ms),
            SyncError::Unreachable { .. }
            | SyncError::Moved
            | SyncError::Lost
            | SyncError::Stalled { .. }
            | SyncError::Refused { .. }
            | SyncError::NotProved { .. }
            | SyncError::Reach(_)
            | SyncError::Between { .. }
            | SyncError::Protocol { .. }
            | SyncError::Panicked
            | SyncError::Credential(_)
            | SyncError::Store(_)
            | SyncError::Replica(_) => Duration::ZERO,
        };
        let Some(wait) = patience.next_wait(at_least, Instant::now()) else {
            let failures = patience.failures();
            return Err(BenchError::failed(format!("a device failed {failures} times to sync; last: {error}")));
        };
        exchange.failures = patience.failures();
        tokio::time::sleep(wait).await;
    }
}

/// Nothing that a simulated device records may be refused.
fn refused(replica: &Replica) -> Result<BenchError, BenchError> {
    let held = replica.status()?.held;
    let why = held.first().map_or_else(String::new, |held| format!(": {:?}, {}", held.code, held.detail));
    Ok(BenchError::failed(format!("the server refused {} changes of a device{why}", held.len())))
}
