//! The phone's session machine: dial → greeting → live. What each phase knows is in the phase: before the server has greeted
//! there is no epoch, and nothing is pushed but what rides in HELLO.

use toso_wire::{Frame, Goodbye, GoodbyeCode, Hello, TEMPORARY_FROM};

use super::greeting::Greeting;
use super::live::Live;
use super::{Answer, ClientEffect, ClientEvent, ClientStart, Commit, SessionEnd};

/// How long to stay away after a server that stops or cannot store: a restart takes seconds.
pub const RETRY_SOON_MS: u64 = 2_000;

/// Whether a session goes on: a room ends it by its result.
pub(super) type GoesOn = Result<(), SessionEnd>;

/// One session.
#[derive(Debug)]
pub struct ClientSession {
    phase: Phase,
    /// Each exchange is a request and its answer.
    by_request: bool,
    /// Queries and commits that are not answered yet.
    unanswered: usize,
    /// Frames so far that answered something, and the count at the end of the last answer by request.
    answers: u64,
    answers_before: u64,
}

/// How far the session is.
#[derive(Debug)]
enum Phase {
    Dialing(Box<Greeting>),
    Greeting(Box<Greeting>),
    Live(Box<Live>),
    Ended,
}

impl ClientSession {
    /// A session and the HELLO to dial with.
    pub fn new(start: ClientStart) -> (Self, Hello) {
        let by_request = start.by_request;
        let greeting = Box::new(Greeting::new(start));
        let hello = greeting.hello();
        let phase = Phase::Dialing(greeting);
        (Self { phase, by_request, unanswered: 0, answers: 0, answers_before: 0 }, hello)
    }

    /// True when everything is exchanged (see [`super::News::UpToDate`]).
    pub fn is_up_to_date(&self) -> bool {
        matches!(&self.phase, Phase::Live(live) if live.is_up_to_date())
    }

    /// True when each query and each commit so far is answered.
    pub fn is_answered(&self) -> bool {
        self.unanswered == 0 || matches!(self.phase, Phase::Ended)
    }

    /// True once the server has proved itself by WELCOME.
    pub fn is_greeted(&self) -> bool {
        !matches!(self.phase, Phase::Dialing(_) | Phase::Greeting(_))
    }

    /// True while the server owes an answer: to HELLO, a push, a comparison, or for a page.
    pub fn awaits(&self) -> bool {
        match &self.phase {
            Phase::Dialing(_) | Phase::Greeting(_) => true,
            Phase::Live(live) => live.awaits(),
            Phase::Ended => false,
        }
    }

    /// Grows with every frame that answered something, or brought a page; by nothing else that is heard.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// HELLO of a further request, from where the device stands now; `None` once the session is over.
    pub fn hello_again(&mut self, start: ClientStart, live: bool) -> Option<Hello> {
        match &mut self.phase {
            Phase::Dialing(greeting) | Phase::Greeting(greeting) => Some(greeting.hello_again(start, live)),
            Phase::Live(session) => Some(session.hello_again(start, live)),
            Phase::Ended => None,
        }
    }

    /// Takes one event. After the end nothing counts any more.
    pub fn handle(&mut self, event: ClientEvent) -> Vec<ClientEffect> {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            return effects;
        }
        if let Err(end) = self.on_event(event, &mut effects) {
            self.phase = Phase::Ended;
            effects.push(ClientEffect::End(end));
        }
        let asks = |effect: &&ClientEffect| matches!(effect, ClientEffect::Query(_) | ClientEffect::Commit(_));
        self.unanswered += effects.iter().filter(asks).count();
        effects
    }

    fn on_event(&mut self, event: ClientEvent, effects: &mut Vec<ClientEffect>) -> GoesOn {
        match event {
            ClientEvent::Connected => self.on_connected(),
            ClientEvent::Frame(frame) => self.on_frame(frame, effects)?,
            ClientEvent::Answer(answer) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.on_answer(answer, effects)?;
            }
            ClientEvent::Committed => self.unanswered = self.unanswered.saturating_sub(1),
            ClientEvent::LocalEdit => {
                // Before that, the outbox is still to be read.
                if let Phase::Live(live) = &mut self.phase {
                    live.on_local_edit();
                }
            }
            ClientEvent::Rested => match &mut self.phase {
                Phase::Dialing(greeting) | Phase::Greeting(greeting) => greeting.on_rested(effects),
                Phase::Live(live) => live.on_rested(effects),
                Phase::Ended => {}
            },
            ClientEvent::Answered { pushes_through } => {
                // Challenged, and proved since: the same goes once more.
                if let Phase::Live(live) = &mut self.phase {
                    let answered = std::mem::replace(&mut self.answers_before, self.answers) < self.answers;
                    live.on_answered(pushes_through, answered)?;
                }
            }
            ClientEvent::Disconnected => {
                match &self.phase {
                    Phase::Dialing(greeting) | Phase::Greeting(greeting) => greeting.slow_down(effects),
                    Phase::Live(live) => live.slow_down(effects),
                    Phase::Ended => {}
                }
                return Err(SessionEnd::Lost);
            }
        }
        if let Phase::Live(live) = &mut self.phase { live.go_on(effects) } else { Ok(()) }
    }

    fn on_connected(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Dialing(greeting) => Phase::Greeting(greeting),
            phase @ (Phase::Greeting(_) | Phase::Live(_) | Phase::Ended) => phase,
        };
    }

    fn on_answer(&mut self, answer: Answer, effects: &mut Vec<ClientEffect>) -> GoesOn {
        match (answer, &mut self.phase) {
            (Answer::Proved(proof), Phase::Greeting(greeting)) => {
                greeting.on_proved(proof, effects);
                Ok(())
            }
            (answer, Phase::Live(live)) => live.on_answer(answer, effects),
            // Nothing else was asked before.
            (_, Phase::Dialing(_) | Phase::Greeting(_) | Phase::Ended) => Ok(()),
        }
    }

    fn is_answer(&self, frame: &Frame) -> bool {
        match frame {
            // Each request is greeted, and opens a comparison anew.
            Frame::Welcome(_) => matches!(self.phase, Phase::Greeting(_)),
            Frame::Reconcile(reconcile) if self.by_request => !reconcile.message.is_empty(),
            other @ (Frame::Hello(_)
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
            | Frame::Moved(_)
            | Frame::Next(_)) => other.is_answer(),
        }
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Vec<ClientEffect>) -> GoesOn {
        self.answers += u64::from(self.is_answer(&frame));
        match (frame, &mut self.phase) {
            (Frame::Welcome(welcome), phase @ Phase::Greeting(_)) => {
                if let Phase::Greeting(greeting) = std::mem::replace(phase, Phase::Ended) {
                    *phase = Phase::Live(Box::new(greeting.on_welcome(welcome, effects)?));
                }
            }
            // Each request is greeted.
            (Frame::Welcome(welcome), Phase::Live(live)) if self.by_request => {
                return live.on_welcome_again(welcome, effects);
            }
            (Frame::Challenge(_), Phase::Live(_)) if self.by_request => return Err(SessionEnd::Unanswered),
            (Frame::Challenge(challenge), Phase::Greeting(greeting)) => {
                return greeting.on_challenge(challenge, effects);
            }
            (Frame::Ack(ack), Phase::Live(live)) => return live.on_ack(&ack, effects),
            (Frame::Nack(nack), Phase::Live(live)) => return live.on_nack(&nack, effects),
            (Frame::Delta(delta), Phase::Live(live)) => return live.on_delta(delta, effects),
            (Frame::Receipt(receipt), Phase::Live(live)) => live.on_receipt(receipt, effects),
            (Frame::Purge(purge), Phase::Live(live)) => live.on_purge(purge, effects),
            (Frame::Erased(erased), Phase::Live(_)) => effects.push(ClientEffect::Commit(Commit::Erase(erased))),
            (Frame::Reconcile(reconcile), Phase::Live(live)) => return live.on_reconcile(reconcile, effects),
            (Frame::Moved(moved), Phase::Live(live)) => live.on_moved(moved, effects),
            (Frame::Reviewed(reviewed), Phase::Live(live)) => live.on_reviewed(reviewed, effects),
            (Frame::RetryAfter(retry), _) => return Err(SessionEnd::RetryAfter { delay_ms: retry.delay_ms }),
            (Frame::Goodbye(goodbye), _) => return Err(of_goodbye(goodbye)),
            (Frame::Hello(_) | Frame::Push(_) | Frame::Want(_) | Frame::Next(_), _) => {
                return Err(SessionEnd::Protocol("a client's frame came"));
            }
            (Frame::Welcome(_) | Frame::Challenge(_), Phase::Live(_)) => {
                return Err(SessionEnd::Protocol("a frame of the greeting came late"));
            }
            (
                Frame::Welcome(_)
                | Frame::Challenge(_)
                | Frame::Ack(_)
                | Frame::Nack(_)
                | Frame::Delta(_)
                | Frame::Receipt(_)
                | Frame::Purge(_)
                | Frame::Erased(_)
                | Frame::Reconcile(_)
                | Frame::Moved(_)
                | Frame::Reviewed(_),
                Phase::Dialing(_) | Phase::Greeting(_) | Phase::Ended,
            ) => return Err(SessionEnd::Protocol("a frame came before WELCOME")),
        }
        Ok(())
    }
}

/// What the server's GOODBYE means.
fn of_goodbye(goodbye: Goodbye) -> SessionEnd {
    match goodbye.code {
        GoodbyeCode::Shutdown | GoodbyeCode::Overload | GoodbyeCode::Unknown(TEMPORARY_FROM..) => {
            SessionEnd::RetryAfter { delay_ms: RETRY_SOON_MS }
        }
        code @ (GoodbyeCode::Done
        | GoodbyeCode::Protocol
        | GoodbyeCode::Version
        | GoodbyeCode::Unauthorized
        | GoodbyeCode::Revoked
        | GoodbyeCode::OutOfScope
        | GoodbyeCode::Internal
        | GoodbyeCode::Unknown(_)) => SessionEnd::Refused { code, detail: goodbye.detail },
    }
}
