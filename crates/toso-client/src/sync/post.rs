//! A session by requests: `POST /v1/sync` with HELLO and what else is to be said, answered by what the server has to say.
//!
//! Every request begins with a HELLO of its own, from where the device stands then. So the server keeps nothing between
//! two of them, each may go to another server of a cluster, and a lost answer costs what it brought. The session's machine
//! is the same as over a socket; here its pushes get the numbers that each request counts anew.
//!
//! When there is nothing to say, the request is *live*: the server holds it until something comes, or for half a minute.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use toso_replica::Between;
use toso_wire::limits::FRAME_BYTES_MAX;
use toso_wire::{Frame, Hello, encode};

use super::http::{Body, Head, HttpConnection, HttpError};
use super::line::Incoming;
use super::transport::{Address, Meter};

/// Two requests that bring nothing begin at least so far apart. A server that has a place holds each for longer (25 s); one
/// that has none is asked four times a minute.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_secs(15);
/// Frames of one request beside HELLO; more wait for the next.
const FRAMES_MAX: usize = 16;
/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;

/// A session's requests.
pub(super) struct PostLine {
    address: Address,
    meter: Arc<Meter>,
    connection: Option<HttpConnection>,
    state: State,
    /// To be said as it is: the first HELLO, and one that proves the device anew.
    hello: Option<Hello>,
    queue: Vec<Frame>,
    /// The session's numbers of the pushes that the request under way has, in its order.
    pushes: Vec<u64>,
    /// The request under way only waits for news.
    polls: bool,
    /// When it began, and whether it has brought anything that is news.
    begun: Instant,
    told: bool,
    not_before: Option<Instant>,
    /// Bytes of frames sent.
    pub(super) frames_up: u64,
}

enum State {
    Idle,
    /// Made, and not answered.
    Asking(Vec<u8>),
    /// Being answered.
    Reading(Head, Vec<u8>),
}

impl PostLine {
    pub(super) fn new(address: Address, meter: Arc<Meter>, hello: Hello) -> Self {
        Self {
            address,
            meter,
            connection: None,
            state: State::Idle,
            hello: Some(hello),
            queue: Vec::new(),
            pushes: Vec::new(),
            polls: false,
            begun: Instant::now(),
            told: false,
            not_before: None,
            frames_up: 0,
        }
    }

    /// Keeps a frame for the next request.
    pub(super) fn queue(&mut self, frame: Frame) {
        match frame {
            Frame::Hello(hello) => self.hello = Some(hello),
            // The next HELLO asks for the next page.
            Frame::Next(_) => {}
            frame @ (Frame::Welcome(_)
            | Frame::Challenge(_)
            | Frame::Push(_)
            | Frame::Ack(_)
            | Frame::Nack(_)
            | Frame::Delta(_)
            | Frame::Receipt(_)
            | Frame::Purge(_)
            | Frame::Erased(_)
            | Frame::RetryAfter(_)
            | Frame::Goodbye(_)
            | Frame::Reconcile(_)
            | Frame::Want(_)
            | Frame::Reviewed(_)
            | Frame::Moved(_)) => self.queue.push(frame),
        }
    }

    /// True when the next request is to be made.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// True when something waits to be said.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The HELLO that is to be said as it is.
    pub(super) fn ready_hello(&mut self) -> Option<Hello> {
        self.hello.take()
    }

    /// True while a request under way only waits for news: dropping it loses nothing.
    pub(super) fn may_be_left(&self) -> bool {
        self.polls
    }

    /// Makes the next request.
    pub(super) fn ask(&mut self, hello: Hello) {
        self.pushes.clear();
        self.pushes.extend(hello.push.as_ref().map(|push| push.number));
        (self.polls, self.told) = (hello.live, false);
        if !self.polls {
            self.not_before = None;
        }
        let mut body = Vec::new();
        append(&mut body, &Frame::Hello(hello));
        let count = self.queue.len().min(FRAMES_MAX);
        for mut frame in self.queue.drain(..count) {
            if let Frame::Push(push) = &mut frame {
                self.pushes.push(push.number);
                push.number = self.pushes.len() as u64;
            }
            append(&mut body, &frame);
        }
        self.frames_up += body.len() as u64;
        self.state = State::Asking(body);
    }

    /// Leaves a request that only waits for news.
    pub(super) fn leave(&mut self) {
        (self.state, self.connection, self.polls) = (State::Idle, None, false);
    }

    /// What comes next of the answer.
    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            match &mut self.state {
                State::Idle => return Incoming::Gone,
                State::Asking(_) => {
                    if let Err(ended) = self.send().await {
                        return ended;
                    }
                }
                State::Reading(head, bytes) => {
                    match take_frame(bytes) {
                        Ok(Some(frame)) => {
                            let bytes = (LENGTH_BYTES + frame.len()) as u64;
                            return Incoming::Frame(frame, bytes);
                        }
                        Ok(None) if head.body == Body::Ended => return self.answered(),
                        Ok(None) => {}
                        Err(detail) => return Incoming::Failed(self.address.foreign(detail)),
                    }
                    let Some(connection) = &mut self.connection else { return Incoming::Gone };
                    match connection.read(head, bytes).await {
                        Ok(()) => {}
                        Err(HttpError::Broken) => return Incoming::Gone,
                        Err(HttpError::Foreign(detail)) => {
                            return Incoming::Failed(self.address.foreign(detail.to_owned()));
                        }
                    }
                }
            }
        }
    }

    /// Sends the request and reads the head of the answer.
    async fn send(&mut self) -> Result<(), Incoming> {
        if let Some(not_before) = self.not_before.filter(|_| self.polls) {
            sleep_until(not_before).await;
        }
        self.begun = Instant::now();
        let State::Asking(body) = &self.state else { return Ok(()) };
        let kept = self.connection.take();
        let was_kept = kept.as_ref().is_some_and(|connection| connection.used);
        let mut connection = match kept {
            Some(connection) => connection,
            None => HttpConnection::open(&self.address, &self.meter).await.map_err(Incoming::Failed)?,
        };
        let mut answer = connection.post(&self.address, body).await;
        if was_kept && matches!(answer, Err(HttpError::Broken)) {
            // The other side had closed it meanwhile. What has arrived all the same may arrive again.
            connection = HttpConnection::open(&self.address, &self.meter).await.map_err(Incoming::Failed)?;
            answer = connection.post(&self.address, body).await;
        }
        let head = match answer {
            Ok(head) => head,
            Err(HttpError::Broken) => return Err(Incoming::Gone),
            Err(HttpError::Foreign(detail)) => return Err(Incoming::Failed(self.address.foreign(detail.to_owned()))),
        };
        match head.status {
            200 if head.is_of_sync => {}
            429 | 503 => {
                let delay_ms = head.retry_after_ms;
                return Err(Incoming::Failed(super::report::SyncError::RetryAfter { delay_ms }));
            }
            // A proxy that does not let a request wait for so long.
            408 | 502 | 504 if self.polls => return Err(Incoming::Gone),
            status
                if !head.is_problem
                    && let Some(what) = Between::of_status(status) =>
            {
                return Err(Incoming::Failed(self.address.between(status, what)));
            }
            status => {
                let detail = format!("a request to sync was answered with status {status}");
                return Err(Incoming::Failed(self.address.foreign(detail)));
            }
        }
        self.connection = Some(connection);
        self.state = State::Reading(head, Vec::new());
        Ok(())
    }

    fn answered(&mut self) -> Incoming {
        let State::Reading(head, _) = std::mem::replace(&mut self.state, State::Idle) else { return Incoming::Gone };
        self.connection = self.connection.take().and_then(|mut kept| kept.keeps(&head).then_some(kept));
        self.not_before = (self.polls && !self.told).then(|| self.begun + EMPTY_POLL_INTERVAL);
        self.polls = false;
        Incoming::Answered { pushes_through: self.pushes.last().copied().unwrap_or_default() }
    }

    /// Gives an answer to a push the number that the session knows.
    pub(super) fn numbered(&mut self, mut frame: Frame) -> Frame {
        self.told |= frame.is_answer() && !matches!(&frame, Frame::Welcome(_)) || matches!(frame, Frame::Reviewed(_));
        let number = match &mut frame {
            Frame::Ack(ack) => &mut ack.number,
            Frame::Nack(nack) => &mut nack.number,
            Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::Challenge(_)
            | Frame::Push(_)
            | Frame::Delta(_)
            | Frame::Receipt(_)
            | Frame::Purge(_)
            | Frame::Erased(_)
            | Frame::RetryAfter(_)
            | Frame::Goodbye(_)
            | Frame::Reconcile(_)
            | Frame::Want(_)
            | Frame::Reviewed(_)
            | Frame::Moved(_)
            | Frame::Next(_) => return frame,
        };
        let place = number.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        // A number that no push has is told to the session as it is, which ends with it.
        *number = place.and_then(|place| self.pushes.get(place).copied()).unwrap_or(u64::MAX);
        frame
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }
}

fn append(body: &mut Vec<u8>, frame: &Frame) {
    let bytes = encode(frame);
    // Frames are far below 4 GiB.
    body.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend(bytes);
}

/// The next frame of an answer, when it is whole.
fn take_frame(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, String> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(format!(
            "a frame of {length} bytes, at most {FRAME_BYTES_MAX} are read: this is no answer to sync"
        ));
    }
    if bytes.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    Ok(Some(bytes.drain(..LENGTH_BYTES + length).skip(LENGTH_BYTES).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_of_an_answer_one_by_one() {
        let mut bytes = Vec::new();
        append(&mut bytes, &Frame::Next(toso_wire::Next { page_bytes: Some(300) }));
        append(&mut bytes, &Frame::Next(toso_wire::Next { page_bytes: None }));
        let rest = bytes.split_off(12);
        assert!(take_frame(&mut bytes).expect("may become one").is_some());
        assert_eq!(take_frame(&mut bytes), Ok(None));
        bytes.extend(rest);
        assert!(take_frame(&mut bytes).expect("is one").is_some());
        assert!(bytes.is_empty());
        assert!(take_frame(&mut b"<!DOCTYPE html>".to_vec()).is_err(), "a page of somebody else");
    }
}
