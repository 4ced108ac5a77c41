//! The server's session machine: HELLO → prove → open → live. What each phase knows is in the phase: only a session that has
//! opened has a device, and only a live one takes pushes.

use toso_catalog::Catalog;
use toso_core::time::TimestampMs;
use toso_wire::{Frame, GoodbyeCode, Hello};

use super::ending::{Ending, GoesOn};
use super::greeting::Opening;
use super::live::Live;
use super::subscription::Subscription;
use super::{Answer, Commit, Committed, KeepTold, KnownDevice, ServerEffect, ServerEvent};

/// One session.
#[derive(Debug)]
pub struct ServerSession {
    pub(super) catalog: &'static Catalog,
    pub(super) phase: Phase,
    pub(super) challenges: u32,
    has_news: bool,
}

/// How far the session is.
#[derive(Debug)]
pub(super) enum Phase {
    AwaitHello,
    Proving(Box<Hello>),
    Opening(Box<Opening>),
    Live(Box<Live>),
    Ended,
}

impl ServerSession {
    /// A session that waits for HELLO.
    pub fn new(catalog: &'static Catalog) -> Self {
        Self { catalog, phase: Phase::AwaitHello, challenges: 0, has_news: false }
    }

    /// Whom it belongs to, from the acceptance of its proof to the end.
    pub fn device(&self) -> Option<&KnownDevice> {
        match &self.phase {
            Phase::Opening(opening) => Some(&opening.device),
            Phase::Live(live) => Some(&live.device),
            Phase::AwaitHello | Phase::Proving(_) | Phase::Ended => None,
        }
    }

    /// True while a proof is being checked.
    pub fn is_proving(&self) -> bool {
        matches!(self.phase, Phase::Proving(_))
    }

    /// True once it takes pushes.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live(_))
    }

    /// True when no answer is outstanding and nothing is left to send: `POST /v1/sync` answers then.
    pub fn is_quiescent(&self) -> bool {
        let reads_totals = matches!(&self.phase, Phase::Live(live) if live.reading_totals);
        self.is_quiescent_but_for_totals() && !reads_totals
    }

    /// As [`Self::is_quiescent`], whether or not figures are being read.
    pub fn is_quiescent_but_for_totals(&self) -> bool {
        match &self.phase {
            Phase::Proving(_) | Phase::Opening(_) => false,
            Phase::AwaitHello | Phase::Ended => true,
            Phase::Live(live) => live.is_quiescent_but_for_totals(),
        }
    }

    /// While the device owes an answer to a comparison: how many it has given so far, about all its units.
    pub fn awaits(&self) -> Option<u32> {
        if let Phase::Live(live) = &self.phase { live.awaits() } else { None }
    }

    /// True once the device was told anything that it did not know, so that a request which waits for that is answered.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// Takes one event. `now` is the server's clock. After the end nothing counts any more.
    pub fn handle(&mut self, now: TimestampMs, event: ServerEvent) -> Vec<ServerEffect> {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            return effects;
        }
        let goes_on = self.on_event(now, event, &mut effects);
        let tells_news = |effect: &ServerEffect| match &self.phase {
            Phase::Live(live) => live.is_news(effect),
            Phase::AwaitHello | Phase::Proving(_) | Phase::Opening(_) | Phase::Ended => {
                matches!(effect, ServerEffect::Send(_))
            }
        };
        self.has_news = self.has_news || goes_on.is_err() || effects.iter().any(tells_news);
        if let Err(ending) = goes_on {
            self.phase = Phase::Ended;
            ending.say(&mut effects);
        }
        effects
    }

    fn on_event(&mut self, now: TimestampMs, event: ServerEvent, effects: &mut Vec<ServerEffect>) -> GoesOn {
        match event {
            ServerEvent::Frame(frame) => self.on_frame(frame, effects)?,
            ServerEvent::BadFrame(detail) => return Err(Ending::protocol(detail)),
            ServerEvent::Answer(answer) => self.on_answer(now, answer, effects)?,
            ServerEvent::Committed(committed) => {
                if let Phase::Live(live) = &mut self.phase {
                    live.on_committed(committed, effects)?;
                }
            }
            ServerEvent::Grew { unit, through } => {
                let grown = self.subscriptions().iter_mut().filter(|subscription| subscription.unit == unit);
                grown.for_each(|subscription| subscription.grow(through));
            }
            ServerEvent::Counted(through) => match &mut self.phase {
                Phase::Opening(opening) => opening.counted = opening.counted.max(through),
                Phase::Live(live) => live.counted = live.counted.max(through),
                Phase::AwaitHello | Phase::Proving(_) | Phase::Ended => {}
            },
            // Before WELCOME nothing is told, and what was decided is read with it.
            ServerEvent::Decided => {
                if let Phase::Live(live) = &mut self.phase {
                    live.on_decided(effects);
                }
            }
            ServerEvent::Shutdown => {
                return Err(Ending::Goodbye(GoodbyeCode::Shutdown, "the server is stopping".to_owned()));
            }
            ServerEvent::Shed { delay_ms } => return Err(Ending::Shed { delay_ms }),
        }
        if let Phase::Live(live) = &mut self.phase {
            live.read_wanted_page(effects);
            live.read_wanted_totals(now, effects);
        }
        Ok(())
    }

    fn subscriptions(&mut self) -> &mut [Subscription] {
        match &mut self.phase {
            Phase::Opening(opening) => &mut opening.subscriptions,
            Phase::Live(live) => &mut live.subscriptions,
            Phase::AwaitHello | Phase::Proving(_) | Phase::Ended => &mut [],
        }
    }

    fn on_answer(&mut self, now: TimestampMs, answer: Answer, effects: &mut Vec<ServerEffect>) -> GoesOn {
        match (answer, std::mem::replace(&mut self.phase, Phase::AwaitHello)) {
            (Answer::Authenticated(result), Phase::Proving(hello)) => self.on_authenticated(hello, result, effects),
            (Answer::Opened(opened), Phase::Opening(opening)) => self.on_opened(*opening, opened, effects),
            (answer, mut phase) => {
                let goes_on = match &mut phase {
                    Phase::Live(live) => live.on_answer(now, answer, effects),
                    // Nothing else was asked before.
                    Phase::AwaitHello | Phase::Proving(_) | Phase::Opening(_) | Phase::Ended => Ok(()),
                };
                self.phase = phase;
                goes_on
            }
        }
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Vec<ServerEffect>) -> GoesOn {
        let is_revoked = self.device().is_some_and(|device| device.standing.revoked);
        match (frame, &mut self.phase) {
            (Frame::Hello(hello), Phase::AwaitHello) => self.on_hello(hello, effects),
            (Frame::Push(push), Phase::Live(live)) => live.on_push(push, effects),
            (Frame::Reconcile(reconcile), Phase::Live(live)) => live.on_reconcile(reconcile, effects),
            (Frame::Want(want), Phase::Live(live)) => live.on_want(want, effects),
            (Frame::Next(next), Phase::Live(live)) => {
                live.on_next(next, effects);
                Ok(())
            }
            (Frame::Reviewed(reviewed), Phase::Live(live)) if reviewed.decisions.is_empty() => {
                live.heard = live.heard.max(Some(reviewed.number));
                let (author, number) = (live.device.author(), reviewed.number);
                effects.push(ServerEffect::Commit(Commit::KeepTold(KeepTold { author, number })));
                Ok(())
            }
            // A device that was shut out has handed over what it had.
            (Frame::Goodbye(_), _) if is_revoked => {
                let detail = "the device was revoked; ask your officer".to_owned();
                Err(Ending::Goodbye(GoodbyeCode::Revoked, detail))
            }
            (Frame::Goodbye(_), _) => Err(Ending::Left),
            (
                frame @ (Frame::Hello(_)
                | Frame::Welcome(_)
                | Frame::Challenge(_)
                | Frame::Push(_)
                | Frame::Ack(_)
                | Frame::Nack(_)
                | Frame::Delta(_)
                | Frame::Receipt(_)
                | Frame::Purge(_)
                | Frame::Erased(_)
                | Frame::RetryAfter(_)
                | Frame::Reconcile(_)
                | Frame::Want(_)
                | Frame::Reviewed(_)
                | Frame::Moved(_)
                | Frame::Next(_)),
                Phase::AwaitHello | Phase::Proving(_) | Phase::Opening(_) | Phase::Live(_) | Phase::Ended,
            ) => Err(Ending::protocol(format!("{} was not expected here", frame.name()))),
        }
    }
}

impl Live {
    fn on_answer(&mut self, now: TimestampMs, answer: Answer, effects: &mut Vec<ServerEffect>) -> GoesOn {
        match answer {
            Answer::CarriedVerified { number, author } => self.on_carried_verified(number, author, effects),
            Answer::ReturnedJudged { number, verdict } => self.on_returned_judged(number, verdict, effects),
            Answer::Page(page) => self.on_page(page, effects),
            Answer::Elements { unit, chunks } => return self.on_elements(unit, chunks, effects),
            Answer::Wanted(read) => self.on_wanted(read, effects),
            Answer::Totals { as_of, totals } => self.on_totals(now, as_of, totals, effects),
            Answer::Decisions(decisions) => self.on_decisions(decisions, effects),
            // The greeting is over: nobody waits for these.
            Answer::Authenticated(_) | Answer::Opened(_) => {}
        }
        Ok(())
    }

    fn on_committed(&mut self, committed: Committed, effects: &mut Vec<ServerEffect>) -> GoesOn {
        match committed {
            Committed::Appended { number, outcome } => return self.on_appended(number, outcome, effects),
            Committed::Held { number, outcome } => self.on_held(number, outcome, effects),
            Committed::Told => self.on_decided(effects),
        }
        Ok(())
    }
}
