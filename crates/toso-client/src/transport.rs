//! The way to a server, as a device needs it: [`Transport`]. What is above it (the loop around an exchange, auto-sync,
//! enrolment, names) knows no socket, no TLS and no clock of its own; tokio's transport is [`crate::over_tokio`]. A browser's
//! would stand beside it, over `WebSocket` and `fetch`.
//!
//! A transport is an object and not a type parameter: it is chosen once for a process, and callers as far up as an app's
//! library keep plain types. Proxies, TLS, certificates and HTTP's own headers are inside: what they come to for a device is a
//! [`DialFailure`] or a [`SyncError`].

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use toso_replica::exchange::{DialFailure, Moment};
use toso_replica::{Reach, ReachError, SyncError, SyncReport};
use toso_wire::Hello;

use crate::doing::{Doing, MaySend, MaySync};
use crate::rest::Asks;

/// Reaches servers, and drives time.
///
/// # Contract
/// An address is dialled or asked only when [`Reach::check`] allows it. Whatever a transport is at may be dropped before its
/// end: it then leaves the connection that it was setting up.
pub trait Transport: MaySend + MaySync {
    /// Dials a socket (`GET /v1/sync`) with HELLO in the upgrade request; connecting and upgrading take at most `time_max` each.
    fn dial<'a>(
        &'a self,
        server_url: &'a str,
        reach: &'a Reach,
        hello: &'a Hello,
        time_max: Duration,
    ) -> Doing<'a, Result<Box<dyn Socket>, DialFailure>>;

    /// A line for requests (`POST /v1/sync`). Nothing is dialled before the first of them.
    fn requests(&self, server_url: &str, reach: &Reach) -> Result<Box<dyn Requests>, SyncError>;

    /// Who asks all else: enrolment and REST.
    fn asks(&self, reach: &Reach) -> Result<Arc<dyn Asks>, ReachError>;

    /// What time it is. It only grows, whatever is done to the device's clock.
    fn now(&self) -> Moment;

    /// Waits.
    fn sleep(&self, time: Duration) -> Doing<'static, ()>;
}

/// What frames go over.
pub trait Line: MaySend {
    /// Waits for what comes next. Dropped before that, it loses nothing of a socket, and leaves a request.
    fn next(&mut self) -> Doing<'_, Incoming>;

    /// Closes it: what was sent arrives, as far as the network goes.
    fn close(&mut self) -> Doing<'_, ()>;

    /// The bytes so far.
    fn bytes(&self) -> LineBytes;
}

/// An open socket.
pub trait Socket: Line {
    /// Sends the bytes of a frame; `false` when the socket is gone.
    fn send(&mut self, frame: Vec<u8>) -> Doing<'_, bool>;
}

/// Requests, one after the other.
pub trait Requests: Line {
    /// Makes the next request, of frames each behind its length. One that `polls` only waits for news: where a proxy does not let
    /// it wait, the line is [`Incoming::Gone`].
    fn ask(&mut self, body: Vec<u8>, polls: bool);

    /// Leaves the request under way.
    fn leave(&mut self);
}

/// What came over a line.
#[derive(Debug)]
pub enum Incoming {
    /// The bytes of a frame.
    Frame(Vec<u8>),
    /// The answer to a request is whole.
    Answered,
    /// Something that says only that the other side is there.
    Sign,
    /// The connection broke.
    Gone,
    /// It cannot go on over this line.
    Failed(SyncError),
}

/// The bytes of a line; zero where a transport cannot see them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineBytes {
    /// HELLO in the upgrade request, and all frames sent, with their headers.
    pub up: u64,
    /// Frames received, with their headers.
    pub down: u64,
    /// All else of requests.
    pub http_up: u64,
    /// All else of answers.
    pub http_down: u64,
}

impl LineBytes {
    /// As a report has them.
    pub(crate) fn report(self) -> SyncReport {
        SyncReport {
            bytes_up: self.up,
            bytes_down: self.down,
            http_bytes_up: self.http_up,
            http_bytes_down: self.http_down,
            ..SyncReport::default()
        }
    }
}

/// Waits until a moment; for ever when there is none.
pub(crate) async fn until(transport: &dyn Transport, moment: Option<Moment>) {
    match moment {
        Some(moment) => transport.sleep(moment.since(transport.now())).await,
        None => std::future::pending().await,
    }
}

/// What something comes to within a time; `None` when it does not.
pub(crate) async fn within<T>(transport: &dyn Transport, time: Duration, doing: impl Future<Output = T>) -> Option<T> {
    let mut doing = pin!(doing);
    tokio::select! {
        biased;
        done = &mut doing => Some(done),
        () = transport.sleep(time) => None,
    }
}
