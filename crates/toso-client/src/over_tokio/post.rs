//! Requests of an exchange, one after the other: `POST /v1/sync`. What they say, and when, is the exchange's
//! ([`toso_replica::exchange`]); here are connections and the frames of an answer.

use std::sync::Arc;

use toso_replica::{Between, SyncError};
use toso_wire::limits::FRAME_BYTES_MAX;

use super::dial::{Address, Meter};
use super::http::{Body, Head, HttpConnection, HttpError};
use crate::doing::Doing;
use crate::transport::{Incoming, Line, LineBytes, Requests};

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;

/// An exchange's requests.
pub(super) struct PostLine {
    address: Address,
    meter: Arc<Meter>,
    connection: Option<HttpConnection>,
    state: State,
    /// Bytes of frames sent and received.
    frames_up: u64,
    frames_down: u64,
}

enum State {
    Idle,
    /// To be sent, and whether it only waits for news.
    Asking(Vec<u8>, bool),
    /// Being answered.
    Reading(Head, Vec<u8>),
}

impl PostLine {
    pub(super) fn new(address: Address, meter: Arc<Meter>) -> Self {
        Self { address, meter, connection: None, state: State::Idle, frames_up: 0, frames_down: 0 }
    }

    async fn receive(&mut self) -> Incoming {
        loop {
            match &mut self.state {
                // Nothing is asked.
                State::Idle => std::future::pending().await,
                State::Asking(..) => {
                    if let Err(ended) = self.send().await {
                        return ended;
                    }
                }
                State::Reading(head, bytes) => {
                    match take_frame(bytes) {
                        Ok(Some(frame)) => {
                            self.frames_down += (LENGTH_BYTES + frame.len()) as u64;
                            return Incoming::Frame(frame);
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
        let State::Asking(body, polls) = &self.state else { return Ok(()) };
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
                return Err(Incoming::Failed(SyncError::RetryAfter { delay_ms }));
            }
            // A proxy that does not let a request wait for so long.
            408 | 502 | 504 if *polls => return Err(Incoming::Gone),
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
        Incoming::Answered
    }
}

impl Line for PostLine {
    fn next(&mut self) -> Doing<'_, Incoming> {
        Box::pin(self.receive())
    }

    fn close(&mut self) -> Doing<'_, ()> {
        Box::pin(async move {
            if let Some(connection) = self.connection.take() {
                connection.close().await;
            }
        })
    }

    fn bytes(&self) -> LineBytes {
        LineBytes {
            up: self.frames_up,
            down: self.frames_down,
            http_up: self.meter.up().saturating_sub(self.frames_up),
            http_down: self.meter.down().saturating_sub(self.frames_down),
        }
    }
}

impl Requests for PostLine {
    fn ask(&mut self, body: Vec<u8>, polls: bool) {
        self.frames_up += body.len() as u64;
        self.state = State::Asking(body, polls);
    }

    fn leave(&mut self) {
        (self.state, self.connection) = (State::Idle, None);
    }
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
        let frame = |content: &[u8]| [&u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat();
        let mut bytes = [frame(&[1; 10]), frame(&[2; 3])].concat();
        let rest = bytes.split_off(16);
        assert!(take_frame(&mut bytes).expect("may become one").is_some());
        assert_eq!(take_frame(&mut bytes), Ok(None));
        bytes.extend(rest);
        assert!(take_frame(&mut bytes).expect("is one").is_some());
        assert!(bytes.is_empty());
        assert!(take_frame(&mut b"<!DOCTYPE html>".to_vec()).is_err(), "a page of somebody else");
    }
}
