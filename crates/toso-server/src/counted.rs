//! How far the projection has counted, and who waits for it.
//!
//! A session waits for the one sequence that its phone wants a receipt for, so a page that is counted wakes exactly the
//! sessions it concerns, however many are connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use toso_core::id::Sequence;
use toso_sync::server::{Answer, Committed};
use toso_sync::{OpenedInterest, ServerEvent};

/// What one session wants counted, and what it has been told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    wanted: Sequence,
    told: Sequence,
}

impl Wish {
    /// Up to where a session cares once it has been told this: what a phone pulled or pushed it wants counted.
    pub fn concern(event: &ServerEvent) -> Sequence {
        match event {
            // A comparison leaves the phone's cursor where it began, and a page at its end, past what other units got. And
            // where the cursor already lies may have to be counted again after the server's end.
            ServerEvent::Answer(Answer::Opened(opened)) => {
                let of_interest = |interest: &OpenedInterest| {
                    interest.last.max(interest.cursor).max(interest.reconcile.unwrap_or_default())
                };
                opened.interests.iter().map(of_interest).chain(opened.page.iter().map(|page| page.through)).max()
            }
            ServerEvent::Committed(Committed::Appended { outcome: Ok(outcome), .. }) => Some(outcome.through),
            ServerEvent::Committed(Committed::Held { outcome: Ok(outcome), .. }) => Some(outcome.through),
            ServerEvent::Grew { through, .. } => Some(*through),
            // A page moves the phone's cursor to its end, past what other units got; a receipt counts up to the cursor.
            ServerEvent::Answer(Answer::Page(page)) => Some(page.through),
            ServerEvent::Answer(
                Answer::Authenticated(_)
                | Answer::CarriedVerified { .. }
                | Answer::ReturnedJudged { .. }
                | Answer::Elements { .. }
                | Answer::Wanted(_)
                | Answer::Totals { .. }
                | Answer::Decisions(_),
            )
            | ServerEvent::Committed(Committed::Appended { .. } | Committed::Held { .. } | Committed::Told)
            | ServerEvent::Frame(_)
            | ServerEvent::BadFrame(_)
            | ServerEvent::Counted(_)
            | ServerEvent::Decided
            | ServerEvent::Shutdown
            | ServerEvent::Shed { .. } => None,
        }
        .unwrap_or_default()
    }

    /// The session cares about everything up to `target`.
    pub fn care(&mut self, target: Sequence) {
        self.wanted = self.wanted.max(target);
    }

    /// What the session is to be told now that everything up to `current` is counted: that, when it cares about more than
    /// it knows and there is something new to tell.
    pub fn tell(&mut self, current: Sequence) -> Option<Sequence> {
        if self.told < self.wanted && self.told < current {
            self.told = current;
            return Some(current);
        }
        None
    }

    /// What to wait for: everything wanted, when that is not counted yet.
    pub fn awaited(&self, current: Sequence) -> Option<Sequence> {
        (self.wanted > current).then_some(self.wanted)
    }
}

/// The counted position.
#[derive(Debug, Default)]
pub struct Counted {
    current: AtomicU64,
    /// False while a start reads how far the one before it had counted.
    begun: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By (sequence, ticket), so that those who are served stand in front.
    queue: BTreeMap<(u64, u64), oneshot::Sender<Sequence>>,
    next_ticket: u64,
}

impl Counted {
    /// Everything at or below this is counted.
    pub fn current(&self) -> Sequence {
        Sequence(self.current.load(Ordering::Acquire))
    }

    /// [`Self::current`], once it is known how far an earlier start had counted.
    pub fn known(&self) -> Option<Sequence> {
        self.begun.load(Ordering::Acquire).then(|| self.current())
    }

    /// From now on the position is known.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Moves the position forward and wakes those it satisfies.
    pub fn advance(&self, to: Sequence) {
        let mut waiting = self.waiting.lock();
        // Under the lock: a waiter either sees the new position or is in the queue.
        self.current.fetch_max(to.0, Ordering::AcqRel);
        while let Some(first) = waiting.queue.first_entry().filter(|first| first.key().0 <= to.0) {
            // A waiter that is gone needs no answer.
            let _ = first.remove().send(to);
        }
    }

    /// Waits until everything at or below `target` is counted; `None` when the server stops first.
    pub async fn reached(&self, target: Sequence) -> Option<Sequence> {
        let receiver = {
            let mut waiting = self.waiting.lock();
            let current = self.current();
            if current >= target {
                return Some(current);
            }
            let ticket = waiting.next_ticket;
            waiting.next_ticket += 1;
            let (sender, receiver) = oneshot::channel();
            waiting.queue.insert((target.0, ticket), sender);
            receiver
        };
        receiver.await.ok()
    }

    /// Lets everybody who waits go.
    pub fn close(&self) {
        self.waiting.lock().queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toso_core::id::Epoch;
    use toso_sync::{Opened, PageRead};

    use super::*;

    /// A phone's cursor comes to lie behind changes of other units that are not counted yet, and nothing more happens in
    /// its own: it still must hear once it is counted up to there, or its records stay "received" for ever.
    #[test]
    fn a_page_that_ends_past_the_units_own_changes_is_awaited_to_its_end() {
        let unit = "2022/00001".parse().unwrap();
        let mut wish = Wish::default();
        let grew = ServerEvent::Grew { unit, through: Sequence(5) };
        wish.care(Wish::concern(&grew));
        assert_eq!(wish.tell(Sequence(4)), Some(Sequence(4)));
        let page = PageRead { unit, entries: Vec::new(), through: Sequence(7), more: false };
        let interests = vec![OpenedInterest { cursor: Sequence(3), reconcile: None, last: Sequence(5), pending: 1 }];
        let at_hand = Opened { epoch: Epoch(1), takes_returns: false, interests, page: Some(page.clone()) };
        assert_eq!(Wish::concern(&Answer::Opened(at_hand).into()), Sequence(7), "also when the opening brings it");
        wish.care(Wish::concern(&Answer::Page(page).into()));
        assert_eq!(wish.tell(Sequence(6)), Some(Sequence(6)));
        assert_eq!(wish.awaited(Sequence(6)), Some(Sequence(7)));
        assert_eq!(wish.tell(Sequence(8)), Some(Sequence(8)));
        assert_eq!(wish.awaited(Sequence(8)), None);
    }

    /// A comparison ends with a cursor at the log's end, past what the phone's own unit got.
    #[test]
    fn a_comparison_is_awaited_to_where_it_leaves_the_cursor() {
        let interest = |reconcile| OpenedInterest { cursor: Sequence::ZERO, reconcile, last: Sequence(18), pending: 0 };
        let opened = |interest| Opened { epoch: Epoch(1), takes_returns: true, interests: vec![interest], page: None };
        assert_eq!(Wish::concern(&Answer::Opened(opened(interest(None))).into()), Sequence(18));
        assert_eq!(Wish::concern(&Answer::Opened(opened(interest(Some(Sequence(20))))).into()), Sequence(20));
    }

    /// What was counted and not synced is counted again after a power cut. A phone whose cursor lies past its own unit's
    /// last change is told a lower position at its next opening, and must hear once the cursor is reached again.
    #[test]
    fn an_opening_is_awaited_to_where_the_cursor_is() {
        let interests = vec![OpenedInterest { cursor: Sequence(10), reconcile: None, last: Sequence(8), pending: 0 }];
        let opened = Opened { epoch: Epoch(1), takes_returns: false, interests, page: None };
        let mut wish = Wish::default();
        wish.care(Wish::concern(&Answer::Opened(opened).into()));
        assert_eq!(wish.tell(Sequence(8)), Some(Sequence(8)));
        assert_eq!(wish.awaited(Sequence(8)), Some(Sequence(10)));
    }

    #[tokio::test]
    async fn only_those_are_woken_whose_sequence_is_reached() {
        let counted = Arc::new(Counted::default());
        let wait = |target| {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move { counted.reached(Sequence(target)).await })
        };
        let (five, nine) = (wait(5), wait(9));
        tokio::task::yield_now().await;
        counted.advance(Sequence(7));
        assert_eq!(five.await.unwrap(), Some(Sequence(7)));
        assert!(!nine.is_finished());
        counted.advance(Sequence(3));
        assert_eq!(counted.current(), Sequence(7), "the position never goes back");
        counted.close();
        assert_eq!(nine.await.unwrap(), None);
        assert_eq!(counted.reached(Sequence(7)).await, Some(Sequence(7)));
    }
}
