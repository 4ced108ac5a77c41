//! `GET /v1/sync`: a sync session over a WebSocket.
//!
//! HELLO rides in the upgrade request as the second subprotocol token, so the server's first message is data already.
//! Admission is decided before the upgrade. From then on one loop owns the connection: it sends what the session has to
//! say, then waits for the peer, for the session's own work, for the end of the server, or for silence.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::SinkExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use toso_sync::ServerEvent;
use toso_wire::limits::{FRAME_BYTES_MAX, HELLO_TOKEN_CHARS_MAX, SUBPROTOCOL};
use toso_wire::{DecodeError, Frame, GoodbyeCode, Hello, decode_from_client, hello_from_token};

use crate::config::{CONTROL_FRAMES_MAX, CONTROL_WINDOW, SHUTDOWN_TIME_MAX};
use crate::connections::patient::is_overdue;
use crate::driver::Driver;
use crate::metrics::ConnectionRefusal;
use crate::problem::Problem;
use crate::state::Shared;

/// A device that was moved or shut out has this long to hand over what it has: 2,000 changes on 2G take about a minute.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// The wait for the peer's own close.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
/// A WebSocket's read buffer; larger frames grow it for as long as they are read.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Frames are collected up to here before they are written.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Frames that wait for a slow peer: the largest, and what was collected before it. More is an error of the server.
const WRITE_BUFFER_BYTES_MAX: usize = 2 * WRITE_BUFFER_BYTES + FRAME_BYTES_MAX;
/// Shed phones wait from 5 to 35 seconds, so that they do not come back together.
const SHED_SECONDS_MIN: u64 = 5;
const SHED_JITTER_SECONDS: u64 = 30;

/// Answers the upgrade request.
pub(crate) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "This address speaks WebSocket")
            .detail(format!("{rejection}; connect with a WebSocket, or POST frames here"))
            .header(UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let hello = offered_hello(&headers)?;
    let place = admit(&shared)?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX);
    let task = shared.tasks.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _task = task;
        Connection::new(shared, socket, place).run(hello).await;
    }))
}

/// A place for a session, or the answer that there is none.
pub(crate) fn admit(shared: &Shared) -> Result<OwnedSemaphorePermit, Problem> {
    if shared.stop.is_cancelled() {
        return Err(retry_later("The server is stopping"));
    }
    Arc::clone(&shared.session_places).try_acquire_owned().map_err(|_| {
        shared.metrics.sessions_shed.inc();
        retry_later("All places are taken")
    })
}

fn shed_seconds() -> u64 {
    let entropy = crate::trust::random().map_or(0, u64::from_be_bytes);
    SHED_SECONDS_MIN + entropy % (SHED_JITTER_SECONDS + 1)
}

fn retry_later(title: &'static str) -> Problem {
    let seconds = shed_seconds();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", title)
        .detail(format!("try again in {seconds} seconds"))
        .header(RETRY_AFTER, HeaderValue::from(seconds))
}

/// HELLO from the subprotocol tokens; `None` when only the protocol itself is offered and HELLO follows as a frame.
fn offered_hello(headers: &HeaderMap) -> Result<Option<Hello>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-hello", "Not a sync request").detail(detail);
    let mut tokens = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| bad("Sec-WebSocket-Protocol is not plain ASCII".to_owned()))?;
        tokens.extend(value.split(',').map(str::trim).filter(|token| !token.is_empty()));
    }
    match tokens.as_slice() {
        [protocol] if *protocol == SUBPROTOCOL => Ok(None),
        [protocol, token] if *protocol == SUBPROTOCOL => {
            if token.len() > HELLO_TOKEN_CHARS_MAX {
                let chars = token.len();
                return Err(bad(format!("HELLO has {chars} characters, at most {HELLO_TOKEN_CHARS_MAX} are accepted")));
            }
            hello_from_token(token).map(Some).map_err(|error| bad(error.to_string()))
        }
        _ => Err(bad(format!("offer the subprotocols {SUBPROTOCOL} and HELLO's token, in this order"))),
    }
}

struct Connection {
    shared: Arc<Shared>,
    socket: WebSocket,
    driver: Driver,
    started: Instant,
    heard: Instant,
    /// A ping is unanswered.
    pinged: bool,
    /// When it was last looked whether the device may go on.
    looked: Instant,
    /// Since when the device owes an answer, and how many it had given then.
    awaited: Option<(Instant, u32)>,
    /// When the current count of control frames began, and the count.
    controls: (Instant, u32),
    place: Option<OwnedSemaphorePermit>,
    /// Held until the device has proved itself.
    unproved: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(shared: Arc<Shared>, socket: WebSocket, place: OwnedSemaphorePermit) -> Self {
        shared.metrics.sessions.inc();
        shared.metrics.sessions_opened.inc();
        let now = Instant::now();
        let driver = Driver::new(Arc::clone(&shared));
        Self {
            shared,
            socket,
            driver,
            started: now,
            heard: now,
            pinged: false,
            looked: now,
            awaited: None,
            controls: (now, 0),
            place: Some(place),
            unproved: None,
        }
    }

    async fn run(mut self, hello: Option<Hello>) {
        if let Some(hello) = hello {
            self.shared.metrics.frames_received.inc();
            self.driver.feed(ServerEvent::Frame(Frame::Hello(hello)));
        }
        // Whether it is a stranger is known when its proof is checked; its place as a session bounds how many wait for that.
        while self.driver.is_proving() {
            let done = self.driver.next().await;
            self.driver.take(done);
        }
        if !(self.driver.is_authenticated() || self.driver.is_ended()) {
            self.unproved = Arc::clone(&self.shared.unproved_places).try_acquire_owned().ok();
            if self.unproved.is_none() {
                self.driver.feed(ServerEvent::Shed { delay_ms: shed_seconds() * 1_000 });
            }
        }
        // An error is a peer that went away or reads nothing: nobody is left to tell.
        if self.converse().await.is_ok() {
            // A device that is slow to close holds nobody's place.
            (self.place, self.unproved) = (None, None);
            let _ = timeout(CLOSE_TIME_MAX, self.close()).await;
        }
    }

    /// Runs until the session is over (`Ok`) or the connection is (`Err`).
    async fn converse(&mut self) -> Result<(), Gone> {
        let stop = self.shared.stop.clone();
        let mut stopping = false;
        loop {
            if stopping && self.driver.appends() == 0 {
                // What was pushed is acknowledged first.
                self.driver.feed(ServerEvent::Shutdown);
            }
            self.flush().await?;
            if self.driver.is_authenticated() {
                self.unproved = None;
            }
            if self.driver.is_ended() {
                return Ok(());
            }
            // At each heartbeat, and as often when the peer is never silent.
            if self.looked.elapsed() >= self.shared.config.times.ping_after {
                self.looked = Instant::now();
                self.driver.look_at_footing();
                if self.driver.is_ended() {
                    continue;
                }
            }
            self.await_answer();
            let wake = self.wake_at();
            tokio::select! {
                // A push that follows HELLO at once waits until the session takes pushes.
                message = self.socket.recv(), if !self.driver.is_opening() => match message {
                    Some(Ok(message)) => self.hear(message)?,
                    Some(Err(error)) => return Err(self.lost(&error)),
                    None => return Err(Gone),
                },
                done = self.driver.next() => self.driver.take(done),
                () = stop.cancelled(), if !stopping => stopping = true,
                () = sleep_until(wake) => self.wake().await?,
            }
        }
    }

    /// Tells a peer that broke WebSocket's rules or limits from one that went away.
    fn lost(&self, error: &axum::Error) -> Gone {
        let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        if cause.is_none() {
            self.shared.metrics.refused_connection(ConnectionRefusal::NotWebSocket);
        }
        Gone
    }

    fn hear(&mut self, message: Message) -> Result<(), Gone> {
        self.heard = Instant::now();
        self.pinged = false;
        let event = match message {
            Message::Binary(bytes) => {
                self.shared.metrics.frames_received.inc();
                self.shared.metrics.bytes_received.inc_by(bytes.len() as u64);
                match decode_from_client(&bytes) {
                    Ok(frame) => ServerEvent::Frame(frame),
                    // Of a newer phone, which does not depend on its being known.
                    Err(DecodeError::UnknownType { .. }) => {
                        self.shared.metrics.frames_unknown.inc();
                        return Ok(());
                    }
                    Err(error) => ServerEvent::BadFrame(error.to_string()),
                }
            }
            Message::Text(_) => ServerEvent::BadFrame("a text message; frames are binary".to_owned()),
            Message::Ping(_) | Message::Pong(_) => {
                self.count_control();
                return Ok(());
            }
            Message::Close(_) => return Err(Gone),
        };
        self.driver.feed(event);
        Ok(())
    }

    fn count_control(&mut self) {
        let (began, count) = self.controls;
        self.controls = if began.elapsed() < CONTROL_WINDOW { (began, count + 1) } else { (Instant::now(), 1) };
        if self.controls.1 > CONTROL_FRAMES_MAX {
            let seconds = CONTROL_WINDOW.as_secs();
            let detail = format!("more than {CONTROL_FRAMES_MAX} pings and pongs came within {seconds} seconds");
            self.driver.say_goodbye(GoodbyeCode::Overload, &detail);
        }
    }

    /// Sends everything the session has to say. Nothing else is read or done meanwhile: what a peer does not take, it
    /// does not get more of.
    async fn flush(&mut self) -> Result<(), Gone> {
        let (mut sent, limit) = (false, self.shared.config.times.write);
        while let Some(bytes) = self.driver.pop_out() {
            sent = true;
            within(limit, &self.shared, self.socket.feed(Message::Binary(bytes.into()))).await?;
        }
        if sent { within(limit, &self.shared, self.socket.flush()).await } else { Ok(()) }
    }

    /// Pongs show that the device is there; what it owes must come all the same.
    fn await_answer(&mut self) {
        self.awaited = self.driver.awaits().map(|answers| match self.awaited {
            Some((since, before)) if before == answers => (since, before),
            _ => (Instant::now(), answers),
        });
    }

    fn wake_at(&self) -> Instant {
        let times = &self.shared.config.times;
        let silence = match (self.driver.is_authenticated(), self.pinged) {
            (false, _) => self.started + times.hello,
            (true, false) => self.heard + times.ping_after,
            (true, true) => self.heard + times.silence,
        };
        let silence = self.awaited.map_or(silence, |(since, _)| silence.min(since + times.answer));
        if self.driver.is_leaving() { silence.min(self.started + LEAVING_TIME_MAX) } else { silence }
    }

    async fn wake(&mut self) -> Result<(), Gone> {
        if !self.driver.is_authenticated() {
            self.driver.say_goodbye(GoodbyeCode::Protocol, "no accepted HELLO came in time");
            return Ok(());
        }
        if self.driver.is_leaving() && self.started.elapsed() >= LEAVING_TIME_MAX {
            self.driver.say_goodbye(GoodbyeCode::Overload, "the device took too long to hand over; connect again");
            return Ok(());
        }
        if self.awaited.is_some_and(|(since, _)| since.elapsed() >= self.shared.config.times.answer) {
            self.driver.say_goodbye(GoodbyeCode::Overload, "an answer to a comparison did not come; connect again");
            return Ok(());
        }
        if self.pinged {
            self.shared.metrics.refused_connection(ConnectionRefusal::Silent);
            return Err(Gone);
        }
        self.pinged = true;
        let limit = self.shared.config.times.write;
        within(limit, &self.shared, self.socket.send(Message::Ping(Vec::new().into()))).await
    }

    async fn close(&mut self) {
        if self.socket.send(Message::Close(None)).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
    }
}

/// The connection cannot be used any more.
struct Gone;

async fn within<E: Error + 'static>(
    limit: Duration,
    shared: &Shared,
    io: impl Future<Output = Result<(), E>>,
) -> Result<(), Gone> {
    let unread = match timeout(limit, io).await {
        Ok(Ok(())) => return Ok(()),
        // The stream below has the same patience, and often loses it first.
        Ok(Err(error)) => is_overdue(&error),
        Err(_) => true,
    };
    if unread {
        shared.metrics.refused_connection(ConnectionRefusal::Unread);
    }
    Err(Gone)
}

// A session must not outlive the patience of the server's end.
const _: () = assert!(CLOSE_TIME_MAX.as_millis() < SHUTDOWN_TIME_MAX.as_millis());
