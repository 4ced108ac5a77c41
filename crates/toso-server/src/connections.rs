//! Accepts TCP connections and serves HTTP on them. Its own loop instead of axum's, for what a public server needs: a
//! bound on connections, a time within which a request's head must arrive and an answer must be taken, and no delay for
//! small packets.
//!
//! When all places are taken, a newcomer gets the place of the connection that has kept the server waiting for its
//! request the longest. So slow or silent connections, however many, only hold each other's places: an honest phone
//! needs its place for a round trip.

pub(crate) mod patient;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::config::{HEADER_BYTES_MAX, QUEUED_CONNECTIONS_MAX, SEND_BUFFER_BYTES};
use crate::metrics::ConnectionRefusal;
use crate::state::Shared;

use self::patient::PatientStream;
use self::waiting::{Seat, UntilRead, Waiting};

/// The wait after a failed accept (too many open files): others must close theirs first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens with the queue and the buffers that this server wants. Needs a tokio runtime.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again finds the connections of the last one still closing on its port. On Windows the
    // option would let two servers share one port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(addr)?;
    socket.listen(QUEUED_CONNECTIONS_MAX)
}

/// Accepts until the server stops. A connection gives its place back when it ends or becomes a WebSocket, which has a
/// place of its own.
pub(crate) async fn accept(listener: TcpListener, app: Router, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.config.http_connections_max));
    let waiting = Arc::new(Waiting::default());
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                crowd_out(&waiting, &shared);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if places.available_permits() == 0 {
            crowd_out(&waiting, &shared);
        }
        let place = tokio::select! {
            () = shared.stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let (app, seat, of_all) = (app.clone(), waiting.seat(), Arc::clone(&shared));
        shared.tasks.spawn(async move {
            let _place = place;
            serve(stream, Peer(peer), app, seat, &of_all).await;
        });
    }
}

fn crowd_out(waiting: &Waiting, shared: &Shared) {
    if waiting.end_oldest() {
        shared.metrics.refused_connection(ConnectionRefusal::CrowdedOut);
    }
}

/// Who is at the other end of a connection; kept with each of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

async fn serve(stream: TcpStream, peer: Peer, app: Router, seat: Arc<Seat>, shared: &Shared) {
    // Frames are small, and each waits for an answer: Nagle's delay would cost a round trip. Where it fails, it is slow.
    let _ = stream.set_nodelay(true);
    let times = shared.config.times;
    let of_service = Arc::clone(&seat);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (app, seat) = (app.clone(), Arc::clone(&of_service));
        async move {
            let answer = app.oneshot(request.map(|body| Body::new(UntilRead::new(body, Arc::clone(&seat))))).await;
            // From here on it is the peer who lets the server wait.
            seat.wait_again();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(PatientStream::new(stream, times.write)), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.ended() => return,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Errors here are peers that went away or spoke no HTTP: hyper has answered what can be answered.
    if let Err(error) = ended {
        let refusal = if error.is_timeout() {
            ConnectionRefusal::SlowHead
        } else if error.is_parse() {
            ConnectionRefusal::NotHttp
        } else if patient::is_overdue(&error) {
            ConnectionRefusal::Unread
        } else {
            return;
        };
        shared.metrics.refused_connection(refusal);
    }
}
