//! `POST /v1/sync`: the same frames in one request and one answer, for one-shot sync and for proxies that break
//! WebSockets. The session is the same; it ends when it has nothing more to say, or the answer is full.
//!
//! A request whose HELLO is live, and to which there is nothing to say, is held until there is: so a phone hears of changes
//! as they happen where it cannot keep a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use tokio::time::sleep;
use toso_sync::ServerEvent;
use toso_wire::limits::{FRAME_BYTES_MAX, HELLO_TOKEN_CHARS_MAX, PAGE_BYTES_MAX, POST_BODY_BYTES_MAX, PUSH_WINDOW};
use toso_wire::{Frame, decode_stream_from_client};

use crate::driver::Driver;
use crate::problem::Problem;
use crate::socket::admit;
use crate::state::Shared;

/// The largest HELLO, as large as in an upgrade request: base64 makes 4 characters of 3 bytes.
const HELLO_BYTES_MAX: usize = HELLO_TOKEN_CHARS_MAX / 4 * 3;
/// Bytes of the length before each frame.
const STREAM_LENGTH_BYTES: usize = 4;
/// Frames of one request: HELLO and 16 pushes.
pub(crate) const POST_FRAMES_MAX: usize = 17;
/// Bytes of an answer, after which the phone asks again from its new cursor: 16 pages.
pub(crate) const POST_ANSWER_BYTES_MAX: usize = 16 * PAGE_BYTES_MAX;

/// How long a live request is held when there is nothing to say: below the 30 seconds of the strictest proxies in use, so
/// that they do not end it for the phone (others allow 60).
pub(crate) const POLL_TIME_MAX: Duration = Duration::from_secs(25);

/// Takes frames, answers with frames. HELLO is judged before anything else is read, so that a stranger makes the server
/// hold a few kilobytes and not a whole body.
pub(crate) async fn exchange(State(shared): State<Arc<Shared>>, body: Body) -> Result<Response, Problem> {
    let mut body = Incoming::new(body);
    let _place = admit(&shared)?;
    shared.metrics.sessions_opened.inc();
    let mut driver = Driver::new(Arc::clone(&shared));
    let mut answer = Vec::new();

    body.read_to(STREAM_LENGTH_BYTES).await?;
    let hello = body.first_frame_bytes();
    if hello > STREAM_LENGTH_BYTES + HELLO_BYTES_MAX {
        return Err(bad_frames(format!("a request begins with HELLO, of at most {HELLO_BYTES_MAX} bytes")));
    }
    body.read_to(hello).await?;
    let mut live = false;
    for frame in frames(&shared, &body.take(hello), 1)? {
        live |= matches!(&frame, Frame::Hello(hello) if hello.live);
        driver.feed(ServerEvent::Frame(frame));
        drain(&mut driver, &mut answer);
    }
    while driver.is_proving() {
        step(&mut driver).await;
        drain(&mut driver, &mut answer);
    }
    if driver.is_authenticated() && !driver.is_ended() {
        read_rest(&mut body, &mut driver).await?;
        drain(&mut driver, &mut answer);
        for frame in frames(&shared, &body.bytes, POST_FRAMES_MAX - 1)? {
            // As many pushes under way as a session allows, so that they share an fsync.
            while !(driver.is_ended() || driver.is_idle() || driver.is_open() && driver.appends() < PUSH_WINDOW) {
                step(&mut driver).await;
                drain(&mut driver, &mut answer);
            }
            driver.feed(ServerEvent::Frame(frame));
            drain(&mut driver, &mut answer);
        }
    } else {
        // Challenged or refused. The pushes wait until the phone has proved itself; a nonce does not outlive its
        // request, but the server's time in the challenge lets the phone sign with a right clock. The rest is read, not
        // kept: many a client takes no answer before it has sent everything.
        body.skip().await?;
    }
    say_all(&mut driver, &mut answer).await;
    if live && !driver.has_news() {
        hold(&shared, &mut driver).await;
        drain(&mut driver, &mut answer);
        say_all(&mut driver, &mut answer).await;
    }
    // Pushes are answered even when the answer is full: the phone must know.
    while driver.appends() > 0 && !driver.is_ended() {
        step(&mut driver).await;
        drain(&mut driver, &mut answer);
    }
    Ok(([(CONTENT_TYPE, "application/octet-stream")], answer).into_response())
}

/// Goes on until the session has nothing more to say, or the answer is full.
async fn say_all(driver: &mut Driver, answer: &mut Vec<u8>) {
    while !driver.is_ended() && !driver.is_quiescent() && answer.len() < POST_ANSWER_BYTES_MAX {
        step(driver).await;
        drain(driver, answer);
    }
}

/// Waits for news, when there is a place for that: one that finds none is answered at once, and its phone asks again a
/// little later. A peer that goes away ends this with its connection; one that only falls silent, at the end of the time.
async fn hold(shared: &Shared, driver: &mut Driver) {
    let Ok(_place) = Arc::clone(&shared.poll_places).try_acquire_owned() else { return };
    let end = sleep(POLL_TIME_MAX);
    tokio::pin!(end);
    while !driver.has_news() {
        tokio::select! {
            done = driver.next() => driver.take(done),
            () = &mut end => return,
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Reads the rest of a body, for as long as the device may hold the session.
async fn read_rest(body: &mut Incoming, driver: &mut Driver) -> Result<(), Problem> {
    while !driver.is_ended() {
        tokio::select! {
            read = body.read_to(usize::MAX) => return read,
            done = driver.next() => driver.take(done),
        }
    }
    body.skip().await
}

fn frames(shared: &Shared, bytes: &[u8], frames_max: usize) -> Result<Vec<Frame>, Problem> {
    let frames = decode_stream_from_client(bytes, frames_max).map_err(|error| bad_frames(error.to_string()))?;
    shared.metrics.bytes_received.inc_by(bytes.len() as u64);
    shared.metrics.frames_received.inc_by(frames.len() as u64);
    Ok(frames)
}

fn bad_frames(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-frames", "Not sync frames").detail(detail)
}

/// A body, read only as far as is wanted.
struct Incoming {
    stream: BodyDataStream,
    bytes: Vec<u8>,
    received: usize,
}

impl Incoming {
    fn new(body: Body) -> Self {
        Self { stream: body.into_data_stream(), bytes: Vec::new(), received: 0 }
    }

    /// Reads until there are so many bytes, or no more to come.
    async fn read_to(&mut self, bytes: usize) -> Result<(), Problem> {
        while self.bytes.len() < bytes
            && let Some(part) = self.next().await?
        {
            self.bytes.extend(part);
        }
        Ok(())
    }

    /// Reads everything, keeps nothing.
    async fn skip(&mut self) -> Result<(), Problem> {
        self.bytes = Vec::new();
        while self.next().await?.is_some() {}
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(part) = self.stream.next().await else { return Ok(None) };
        let part = part.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid", "The body broke off").detail(error.to_string())
        })?;
        self.received += part.len();
        if self.received > POST_BODY_BYTES_MAX {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large").detail(
                format!("at most {POST_BODY_BYTES_MAX} bytes are accepted; send the rest in another request"),
            ));
        }
        Ok(Some(part))
    }

    /// Bytes of the first frame with its length, as far as they have come.
    fn first_frame_bytes(&self) -> usize {
        self.bytes.first_chunk::<STREAM_LENGTH_BYTES>().map_or(self.bytes.len(), |length| {
            usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX).saturating_add(STREAM_LENGTH_BYTES)
        })
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(bytes.min(self.bytes.len()));
        std::mem::replace(&mut self.bytes, rest)
    }
}

async fn step(driver: &mut Driver) {
    let done = driver.next().await;
    driver.take(done);
}

fn drain(driver: &mut Driver, answer: &mut Vec<u8>) {
    while let Some(bytes) = driver.pop_out() {
        // Frames are far below 4 GiB.
        answer.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        answer.extend(bytes);
    }
}

const _: () = assert!(FRAME_BYTES_MAX < u32::MAX as usize);
