//! An exchange by requests: `POST /v1/sync` with HELLO and what else is to be said, answered by what the server has to say.
//!
//! Every request begins with a HELLO of its own, from where the device stands then. So the server keeps nothing between
//! two of them, each may go to another server of a cluster, and a lost answer costs what it brought. The session's machine
//! is the same as over a socket; here its pushes get the numbers that each request counts anew.
//!
//! When there is nothing to say, the request is *live*: the server holds it until something comes, or for half a minute.

use toso_wire::{Frame, Hello, encode};

use super::step::{ExchangeEffect, Moment};

/// Two requests that bring nothing begin at least so far apart. A server that has a place holds each for longer (25 s); one
/// that has none is asked four times a minute.
const EMPTY_POLL_INTERVAL_MS: u64 = 15_000;
/// Frames of one request beside HELLO; more wait for the next.
const FRAMES_MAX: usize = 16;

/// An exchange's requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: State,
    /// To be said as it is: the first HELLO, and one that proves the device anew.
    hello: Option<Hello>,
    queue: Vec<Frame>,
    /// The session's numbers of the pushes that the request under way has, in its order.
    pushes: Vec<u64>,
    /// The request under way only waits for news.
    polls: bool,
    /// When it began, and whether it has brought anything that is news.
    begun: Moment,
    told: bool,
    not_before: Option<Moment>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Made, and held back until then.
    Held(Moment, Vec<u8>),
    /// Under way.
    Asked,
}

impl Requests {
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
    pub(super) fn take_hello(&mut self) -> Option<Hello> {
        self.hello.take()
    }

    /// True while a request under way only waits for news: dropping it loses nothing.
    pub(super) fn may_be_left(&self) -> bool {
        self.polls
    }

    /// Until when the next request is held back.
    pub(super) fn held_until(&self) -> Option<Moment> {
        match &self.state {
            State::Held(until, _) => Some(*until),
            State::Idle | State::Asked => None,
        }
    }

    /// Makes the next request; `None` while it is held back.
    pub(super) fn ask(&mut self, now: Moment, hello: Hello) -> Option<ExchangeEffect> {
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
        self.state = State::Held(self.not_before.unwrap_or(now), body);
        self.due(now)
    }

    /// The request that was held back until now.
    pub(super) fn due(&mut self, now: Moment) -> Option<ExchangeEffect> {
        if self.held_until().is_none_or(|until| until > now) {
            return None;
        }
        let State::Held(_, body) = std::mem::replace(&mut self.state, State::Asked) else { return None };
        self.begun = now;
        Some(ExchangeEffect::Ask { body, polls: self.polls })
    }

    /// Leaves a request that only waits for news.
    pub(super) fn leave(&mut self) {
        (self.state, self.polls) = (State::Idle, false);
    }

    /// The answer is whole. It had the session's pushes up to this number.
    pub(super) fn answered(&mut self) -> u64 {
        self.state = State::Idle;
        self.not_before = (self.polls && !self.told).then(|| self.begun.plus_ms(EMPTY_POLL_INTERVAL_MS));
        self.polls = false;
        self.pushes.last().copied().unwrap_or_default()
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
}

/// Each frame of a request stands behind its length.
fn append(body: &mut Vec<u8>, frame: &Frame) {
    let bytes = encode(frame);
    // Frames are far below 4 GiB.
    body.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend(bytes);
}
