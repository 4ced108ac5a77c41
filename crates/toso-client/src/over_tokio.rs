//! Tokio's transport: TCP and TLS, WebSockets, HTTP/1.1, and tokio's time. And the calls of this library as most callers want
//! them, over this transport.

mod dial;
mod http;
mod post;
mod socket;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use toso_replica::exchange::{DialFailure, Moment};
use toso_replica::{Reach, ReachError, Replica, SyncError, SyncOptions, SyncReport};
use toso_wire::Hello;

use crate::doing::Doing;
use crate::rest::{Asks, Rest, RestError};
use crate::sync::{AutoSync, AutoSyncHandle, BoundedSync, sync_once_over, sync_until_over};
use crate::transport::{Requests, Socket, Transport};
use dial::{Address, Meter, dial};
use post::PostLine;

/// Tokio's transport.
#[derive(Debug)]
pub struct OverTokio {
    /// Where its time begins.
    begun: Instant,
}

impl OverTokio {
    /// The process' own.
    pub fn shared() -> Arc<dyn Transport> {
        static SHARED: OnceLock<Arc<OverTokio>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self { begun: Instant::now() }))) as Arc<dyn Transport>
    }
}

impl Transport for OverTokio {
    fn dial<'a>(
        &'a self,
        server_url: &'a str,
        reach: &'a Reach,
        hello: &'a Hello,
        time_max: Duration,
    ) -> Doing<'a, Result<Box<dyn Socket>, DialFailure>> {
        Box::pin(async move {
            let dialled = dial(server_url, reach, hello, time_max).await?;
            Ok(Box::new(dialled) as Box<dyn Socket>)
        })
    }

    fn requests(&self, server_url: &str, reach: &Reach) -> Result<Box<dyn Requests>, SyncError> {
        let address = Address::of(server_url, reach)?;
        Ok(Box::new(PostLine::new(address, Arc::new(Meter::default()))))
    }

    fn asks(&self, reach: &Reach) -> Result<Arc<dyn Asks>, ReachError> {
        Ok(Arc::new(OffThread(Rest::reaching(reach)?)))
    }

    fn now(&self) -> Moment {
        Moment::default().plus(self.begun.elapsed())
    }

    fn sleep(&self, time: Duration) -> Doing<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Asks by an agent that blocks, on a thread of its own.
struct OffThread(Rest);

impl Asks for OffThread {
    fn ask(&self, request: ::http::Request<Vec<u8>>) -> Doing<'_, Result<::http::Response<Vec<u8>>, RestError>> {
        let rest = self.0.clone();
        let url = request.uri().to_string();
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || rest.send(request)).await {
                Ok(answer) => answer,
                Err(error) => Err(RestError::Interrupted { url, detail: error.to_string() }),
            }
        })
    }

    fn reach(&self) -> &Reach {
        self.0.reach()
    }
}

/// Exchanges everything there is with the server; a device that was moved hands over, and goes on for its new unit.
/// `progress` is called with (done, total) changes.
///
/// On an error, what was exchanged before it is kept on both sides, and the report says how much that was.
pub async fn sync_once(
    replica: &Arc<Replica>,
    options: SyncOptions,
    progress: impl FnMut(u64, u64),
) -> (SyncReport, Result<(), SyncError>) {
    sync_once_over(&OverTokio::shared(), replica, options, progress).await
}

/// [`sync_once`] that ends at the latest when `over` does: see [`sync_until_over`].
pub async fn sync_until(
    replica: &Arc<Replica>,
    options: SyncOptions,
    over: impl Future<Output = ()>,
    progress: impl FnMut(u64, u64),
) -> BoundedSync {
    sync_until_over(&OverTokio::shared(), replica, options, over, progress).await
}

impl AutoSync {
    /// Starts syncing a replica, until the handle is dropped. Must be called within a tokio runtime.
    pub fn start(replica: Arc<Replica>, options: SyncOptions) -> AutoSyncHandle {
        Self::start_knowing(replica, options, true)
    }

    /// The same for a caller that knows whether there is a network: without one nothing is dialled until
    /// [`AutoSyncHandle::network_changed`] says that there is.
    pub fn start_knowing(replica: Arc<Replica>, options: SyncOptions, online: bool) -> AutoSyncHandle {
        let (handle, task) = Self::over(OverTokio::shared(), replica, options, online);
        // It ends with the handle.
        drop(tokio::spawn(task));
        handle
    }
}
