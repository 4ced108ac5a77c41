//! What the platform and a person say, kept until the task that keeps in touch asks. The last word about the network counts,
//! and a wish that is said a thousand times is one: a platform that tells of every change of a signal fills no queue.

use parking_lot::Mutex;
use tokio::sync::Notify;
use toso_replica::exchange::TouchEvent;

/// What was said and not heard yet.
#[derive(Debug, Default)]
pub(super) struct Hints {
    said: Mutex<Said>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Said {
    network: Option<bool>,
    dial_now: bool,
    over: bool,
}

/// The next that is said.
#[derive(Debug)]
pub(super) enum Hint {
    /// For the machine that keeps in touch.
    Touch(TouchEvent),
    /// Nobody wants it any more.
    Over,
}

impl Hints {
    /// The network went (`false`), came, or is another one.
    pub(super) fn network(&self, online: bool) {
        self.say(|said| said.network = Some(online));
    }

    /// A person wants it now.
    pub(super) fn dial_now(&self) {
        self.say(|said| said.dial_now = true);
    }

    /// Nobody wants it any more.
    pub(super) fn over(&self) {
        self.say(|said| said.over = true);
    }

    fn say(&self, say: impl FnOnce(&mut Said)) {
        say(&mut self.said.lock());
        self.came.notify_one();
    }

    /// Waits for what is said next.
    pub(super) async fn next(&self) -> Hint {
        loop {
            if let Some(hint) = self.take() {
                return hint;
            }
            self.came.notified().await;
        }
    }

    /// What is there. A wish to dial is part of any word about the network: one that came dials, and without one there is nowhere
    /// to dial to.
    fn take(&self) -> Option<Hint> {
        let mut said = self.said.lock();
        if said.over {
            return Some(Hint::Over);
        }
        let (network, dial_now) = (said.network.take(), std::mem::take(&mut said.dial_now));
        match network {
            Some(online) => Some(Hint::Touch(TouchEvent::Network { online })),
            None => dial_now.then_some(Hint::Touch(TouchEvent::DialNow)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: each hint waited in a queue without a bound, and a phone at the edge of a cell left and dialled once for each of
    /// them.
    #[tokio::test]
    async fn a_thousand_hints_are_one_and_the_last_word_about_the_network_counts() {
        let hints = Hints::default();
        for number in 0..1_000 {
            hints.network(number % 2 == 0);
            hints.dial_now();
        }
        assert!(matches!(hints.next().await, Hint::Touch(TouchEvent::Network { online: false })));
        assert!(hints.take().is_none(), "nothing more waits");
        hints.dial_now();
        assert!(matches!(hints.next().await, Hint::Touch(TouchEvent::DialNow)));
        hints.network(true);
        hints.over();
        assert!(matches!(hints.next().await, Hint::Over), "the end comes first");
    }
}
