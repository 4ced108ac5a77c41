//! `POST /v1/sync`: the same frames in one request and one answer, for one-shot sync and for proxies that break
//! WebSockets. The session is the same; it ends when it has nothing more to say, or the answer is full.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use toso_sync::ServerEvent;
use toso_wire::limits::{FRAME_BYTES_MAX, PAGE_BYTES_MAX, PUSH_WINDOW};
use toso_wire::{Frame, decode_stream};

use crate::driver::Driver;
use crate::rest::problem::Problem;
use crate::rest::too_large;
use crate::socket::admit;
use crate::state::Shared;

/// Frames of one request: HELLO and 16 pushes.
pub(crate) const POST_FRAMES_MAX: usize = 17;
/// Bytes of an answer, after which the phone asks again from its new cursor: 16 pages.
pub(crate) const POST_ANSWER_BYTES_MAX: usize = 16 * PAGE_BYTES_MAX;

/// Takes frames, answers with frames.
pub(crate) async fn exchange(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| too_large(&rejection))?;
    let _place = admit(&shared)?;
    let frames = decode_stream(&body, POST_FRAMES_MAX).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-frames", "Not sync frames").detail(error.to_string())
    })?;
    shared.metrics.sessions_opened.inc();
    shared.metrics.bytes_received.inc_by(body.len() as u64);
    shared.metrics.frames_received.inc_by(frames.len() as u64);

    let mut driver = Driver::new(Arc::clone(&shared));
    let mut answer = Vec::new();
    for frame in frames {
        // As many pushes under way as a session allows, so that they share an fsync.
        while !(driver.is_ended() || driver.is_idle() || driver.is_open() && driver.appends() < PUSH_WINDOW) {
            step(&mut driver).await;
            drain(&mut driver, &mut answer);
        }
        driver.feed(ServerEvent::Frame(once(frame)));
        drain(&mut driver, &mut answer);
        if driver.is_challenged() {
            // The pushes wait until the phone has proved itself; a nonce does not outlive its request, but the server's
            // time in the challenge lets the phone sign with a right clock.
            break;
        }
    }
    while !driver.is_ended() && !driver.is_quiescent() && answer.len() < POST_ANSWER_BYTES_MAX {
        step(&mut driver).await;
        drain(&mut driver, &mut answer);
    }
    // Pushes are answered even when the answer is full: the phone must know.
    while driver.appends() > 0 && !driver.is_ended() {
        step(&mut driver).await;
        drain(&mut driver, &mut answer);
    }
    Ok(([(CONTENT_TYPE, "application/octet-stream")], answer).into_response())
}

/// A request cannot stay connected.
fn once(frame: Frame) -> Frame {
    match frame {
        Frame::Hello(mut hello) => {
            hello.live = false;
            Frame::Hello(hello)
        }
        other => other,
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
