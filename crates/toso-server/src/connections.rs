//! Accepts TCP connections and serves HTTP on them. Its own loop instead of axum's, for what a public server needs: a
//! bound on connections, a time within which a request's head must arrive, and no delay for small packets.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::{HEADER_BYTES_MAX, HEADER_TIME_MAX};

/// The wait after a failed accept (too many open files): others must close theirs first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop`. A connection gives its place back when it ends or becomes a WebSocket, which has a place of its
/// own.
pub(crate) async fn accept(
    listener: TcpListener,
    app: Router,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (app, stop) = (app.clone(), stop.clone());
                tasks.spawn(async move {
                    let _place = place;
                    serve(stream, app, stop).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, app: Router, stop: CancellationToken) {
    // Frames are small, and each waits for an answer: Nagle's delay would cost a round trip. Where it fails, it is slow.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(app.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // Errors here are peers that went away or spoke no HTTP: hyper has answered what can be answered.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
