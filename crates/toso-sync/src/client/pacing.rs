//! A session's part in the pace of its link (see [`crate::pace`]), and in exchanges that are requests of their own.

use toso_wire::limits::{HELLO_PUSH_BYTES_MAX, PUSH_BYTES_FIRST, PUSH_BYTES_MAX, PUSH_WINDOW, WANT_KEYS_MAX};
use toso_wire::{Frame, Hello, Next, Welcome};

use super::greeting::{hello, is_proved, keep_session};
use super::live::Live;
use super::session::GoesOn;
use super::{ClientEffect, ClientStart, Commit, SessionEnd};
use crate::pace::Pace;

/// Bytes of a page that one wanted chunk is expected to take: a save of a team, plain.
const WANTED_BYTES: u32 = 256;
/// Answers by request in a row that answer nothing although something is awaited, after which the server is not going to.
/// One may be: a page that was full before anything was said.
const EMPTY_ANSWERS_MAX: u8 = 2;

/// How much this session asks for and sends at a time.
#[derive(Debug)]
pub(super) struct Pacing {
    page: Pace,
    push: Pace,
    /// How large the next push may be on a good link.
    push_bytes_max: usize,
    empty_answers: u8,
}

impl Pacing {
    pub(super) fn new(pace: Pace) -> Self {
        Self { page: pace, push: pace, push_bytes_max: PUSH_BYTES_FIRST, empty_answers: 0 }
    }

    /// The pace of pages.
    pub(super) fn page(&self) -> Pace {
        self.page
    }

    /// A push was acknowledged.
    pub(super) fn pushed(&mut self) {
        self.push = self.push.after_success();
    }

    /// Bytes of a push that may ride in HELLO.
    pub(super) fn riding_bytes_max(&self) -> usize {
        self.push.bytes().map_or(HELLO_PUSH_BYTES_MAX, |bytes| bytes_of(bytes).min(HELLO_PUSH_BYTES_MAX))
    }

    /// Bytes of the next push. On a good link each may be twice as large as the one before.
    pub(super) fn next_push_bytes(&mut self) -> usize {
        if let Some(bytes) = self.push.bytes() {
            return bytes_of(bytes);
        }
        let bytes = self.push_bytes_max;
        self.push_bytes_max = (2 * bytes).min(PUSH_BYTES_MAX);
        bytes
    }

    /// Pushes that may be under way.
    pub(super) fn window(&self) -> usize {
        if self.push.bytes().is_some() { 1 } else { PUSH_WINDOW }
    }

    /// The link broke while these were awaited: the pace for the next session, when it is another.
    pub(super) fn slow_down(
        &self,
        awaits_page: bool,
        awaits_push: bool,
        before: Pace,
        effects: &mut Vec<ClientEffect>,
    ) {
        let of_page = awaits_page.then(|| self.page.after_cut());
        let of_push = awaits_push.then(|| self.push.after_cut());
        let pace = match (of_page, of_push) {
            (Some(page), Some(push)) => page.slower(push),
            (page, push) => page.or(push).unwrap_or_default(),
        };
        if pace != before {
            effects.push(ClientEffect::Commit(Commit::KeepPace(pace)));
        }
    }

    /// Chunks of one WANT, so that about one page answers it.
    pub(super) fn want_keys_max(&self) -> usize {
        self.page.bytes().map_or(WANT_KEYS_MAX, |bytes| bytes_of((bytes / WANTED_BYTES).max(1)).min(WANT_KEYS_MAX))
    }
}

fn bytes_of(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Live {
    /// A page is kept: where pages are asked for, asks for a larger one.
    pub(super) fn ask_for_page(&mut self, effects: &mut Vec<ClientEffect>) {
        if self.pacing.page.bytes().is_some() {
            self.pacing.page = self.pacing.page.after_success();
            effects.push(ClientEffect::Send(Frame::Next(Next { page_bytes: self.pacing.page.bytes() })));
        }
    }

    /// The link broke. What was awaited then was too much for it.
    pub(super) fn slow_down(&self, effects: &mut Vec<ClientEffect>) {
        if self.awaits() {
            let awaits_page = self.follows.iter().any(|follow| !follow.caught_up);
            self.pacing.slow_down(awaits_page, !self.under_way.is_empty(), self.start.pace, effects);
        }
    }

    /// Everything is exchanged: the next session may ask for more.
    pub(super) fn speed_up(&self, effects: &mut Vec<ClientEffect>) {
        if self.start.pace.bytes().is_some() {
            let gone_through = self.pacing.page.slower(self.pacing.push);
            effects.push(ClientEffect::Commit(Commit::KeepPace(gone_through.after_success())));
        }
    }

    /// A further request of the same session is greeted.
    pub(super) fn on_welcome_again(&mut self, welcome: Welcome, effects: &mut Vec<ClientEffect>) -> GoesOn {
        let named = welcome.epoch.or(self.start.epoch);
        if !named.is_some_and(|epoch| is_proved(&welcome, epoch, &self.start)) {
            return Err(SessionEnd::NotProved);
        }
        if named != Some(self.epoch) {
            // The server was restored in between: what was said before counts no more.
            return Err(SessionEnd::Unanswered);
        }
        self.expect(welcome.pending);
        for follow in &mut self.follows {
            follow.caught_up = welcome.pending == 0 && follow.reconciling.is_none() && follow.pulling_anew.is_none();
        }
        let known = (!self.is_reconciling() && !self.is_pulling_anew()).then_some(self.epoch);
        effects.push(keep_session(known, welcome.proof, welcome.at, None));
        Ok(())
    }

    /// An answer by request is whole: it must have answered what was asked.
    pub(super) fn on_answered(&mut self, pushes_through: u64, answered: bool) -> GoesOn {
        let unanswered = self.under_way.keys().any(|number| *number <= pushes_through);
        self.pacing.empty_answers = if answered || !self.awaits() { 0 } else { self.pacing.empty_answers + 1 };
        if unanswered || self.pacing.empty_answers >= EMPTY_ANSWERS_MAX {
            return Err(SessionEnd::Unanswered);
        }
        Ok(())
    }

    /// HELLO of a further request, from where the device stands now.
    pub(super) fn hello_again(&mut self, start: ClientStart, live: bool) -> Hello {
        let ClientStart { proof, ticket, mut epoch, mut interests, heard, .. } = start;
        // Of another epoch's unit that comes whole, the cursor is not kept before the end.
        for follow in &self.follows {
            let pulled = follow.pulling_anew.as_ref().filter(|pulled| pulled.through > toso_core::id::Sequence::ZERO);
            let interest = interests.iter_mut().find(|interest| interest.unit == follow.unit);
            if let (Some(pulled), Some(interest)) = (pulled, interest) {
                (epoch, interest.cursor) = (Some(self.epoch), pulled.through);
                interest.digest = toso_core::id::Digest::default();
            }
        }
        // What WELCOME must answer.
        (self.start.proof, self.start.ticket, self.start.epoch) = (proof.clone(), ticket, epoch);
        let receipt = if live { self.receipt_as_of } else { None };
        Hello { proof, epoch, interests, live, heard, receipt, ..hello(&self.start, &self.pacing) }
    }
}
