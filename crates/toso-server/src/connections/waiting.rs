//! Which connections let the server wait for a request, and since when.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// All connections that owe the server a request, or the rest of one.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By the order in which they began to keep the server waiting.
    oldest_first: BTreeMap<u64, CancellationToken>,
}

impl Waiting {
    /// A new connection, which owes a request.
    pub(super) fn seat(self: &Arc<Self>) -> Arc<Seat> {
        let seat = Seat { waiting: Arc::clone(self), end: CancellationToken::new(), turn: Mutex::new(None) };
        seat.wait_again();
        Arc::new(seat)
    }

    /// Ends the connection that has kept the server waiting the longest; `false` when there is none.
    pub(super) fn end_oldest(&self) -> bool {
        let oldest = self.0.lock().oldest_first.pop_first();
        oldest.is_some_and(|(_, end)| {
            end.cancel();
            true
        })
    }
}

/// A connection's part in it; it leaves when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    waiting: Arc<Waiting>,
    end: CancellationToken,
    turn: Mutex<Option<u64>>,
}

impl Seat {
    /// The connection owes a request, from now on.
    pub(super) fn wait_again(&self) {
        let mut turn = self.turn.lock();
        let mut state = self.waiting.0.lock();
        if let Some(before) = turn.take() {
            state.oldest_first.remove(&before);
        }
        *turn = Some(state.next);
        let number = state.next;
        state.next += 1;
        state.oldest_first.insert(number, self.end.clone());
    }

    /// Its request is whole: now it waits for the server.
    fn leave(&self) {
        let mut turn = self.turn.lock();
        if let Some(before) = turn.take() {
            self.waiting.0.lock().oldest_first.remove(&before);
        }
    }

    /// Resolves when somebody else gets the connection's place.
    pub(super) async fn ended(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A request's body. The connection owes it until it is read to its end or nobody wants it.
pub(super) struct UntilRead {
    body: Incoming,
    seat: Arc<Seat>,
}

impl UntilRead {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>) -> Self {
        if body.is_end_stream() {
            seat.leave();
        }
        Self { body, seat }
    }
}

impl Body for UntilRead {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            self.seat.leave();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UntilRead {
    fn drop(&mut self) {
        self.seat.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_the_server_waiting_the_longest_goes_first() {
        let waiting = Arc::new(Waiting::default());
        let (a, b, c) = (waiting.seat(), waiting.seat(), waiting.seat());
        b.leave();
        a.wait_again();
        assert!(waiting.end_oldest());
        assert_eq!([&a, &b, &c].map(|seat| seat.end.is_cancelled()), [false, false, true]);
        drop(a);
        assert!(!waiting.end_oldest(), "one is gone, and one waits for the server");
        b.wait_again();
        assert!(waiting.end_oldest() && b.end.is_cancelled());
    }
}
