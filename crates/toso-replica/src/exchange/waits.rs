//! What an exchange waits for, and until when.

use std::time::Duration;

use toso_sync::ClientSession;

use super::report::SyncOptions;
use super::step::Moment;

/// The waiting of one line.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// When the line opened.
    begun: Moment,
    /// When anything last came over it, or a request was made.
    pub(super) heard: Moment,
    /// The server has greeted.
    greeted: bool,
    awaited: Option<Awaited>,
    /// Everything is exchanged; until then it waits to hear that it was counted.
    pub(super) linger_until: Option<Moment>,
    /// The centre takes nothing more of this device until then.
    pub(super) rests_until: Option<Moment>,
}

/// Since when an answer is awaited, and how many there were then.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    since: Moment,
    answers: u64,
}

impl Waits {
    /// The line opens. A rest goes on.
    pub(super) fn open(&mut self, now: Moment) {
        *self = Self { begun: now, heard: now, rests_until: self.rests_until, ..Self::default() };
    }

    /// Looks whether the session awaits an answer: since now, or from the last one when there was one.
    pub(super) fn look_at(&mut self, session: &ClientSession, now: Moment) {
        let answers = session.answers();
        let before = self.awaited.filter(|before| before.answers == answers);
        self.awaited = session.awaits().then(|| before.unwrap_or(Awaited { since: now, answers }));
        self.greeted = session.is_greeted();
    }

    /// When the line ends, if nothing comes. What only shows that the other side is there does not count while an answer is
    /// awaited. Until WELCOME the time counts from the start: a CHALLENGE does not begin it anew.
    pub(super) fn patience(&self, options: &SyncOptions) -> Moment {
        if let Some(until) = self.linger_until {
            return until;
        }
        let silent = self.heard.plus(options.silence_max);
        if !self.greeted {
            return silent.min(self.begun.plus(options.greeting_max));
        }
        let Some(Awaited { since, .. }) = self.awaited else { return silent };
        silent.min(since.plus(options.answer_max))
    }

    /// How long what it waits for has been awaited.
    pub(super) fn awaited_for(&self, now: Moment) -> Duration {
        let greeting = (!self.greeted).then_some(self.begun);
        now.since(greeting.or(self.awaited.map(|awaited| awaited.since)).unwrap_or(self.heard))
    }
}
