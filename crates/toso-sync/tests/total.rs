//! Effects are total: what a session asks is answered once, by an event of its own type, and nothing else is answered.
//!
//! It used to be said in comments which event belonged to which effect, and a room that was handed another's effect answered
//! with nothing, in silence: the session then waited for ever. Now a query or a commit is a value that its answer uses up, so
//! that a second answer does not compile. What the compiler does not see is tested here: a session waits for just what it
//! asked, in whatever order it is answered, and what is answered after its end does nothing.

#![allow(clippy::unwrap_used, reason = "a test panics on what must not happen")]

use proptest::prelude::*;
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::RawChunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_sync::server::{Append, Commit, Query};
use toso_sync::{
    AccessRole, AppendOutcome, Ask as _, Authenticated, CarriedRefusal, HoldFate, HoldOutcome, Opened, OpenedInterest,
    PageRead, Principal, ReturnVerdict, ServerEffect, ServerEvent, ServerSession, Standing, WantedRead,
};
use toso_wire::{Carried, Frame, Hello, Interest, Push, Reviewed, UnitTotals};

#[path = "support/greeting.rs"]
mod greeting;

const NOW: TimestampMs = TimestampMs(1_663_545_600_000);
const DEVICE: DeviceId = DeviceId([1; 16]);

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        protocol: 1,
        proof: greeting::proof(),
        epoch: Some(Epoch(1)),
        interests: vec![Interest { unit: unit("2022/00001"), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    })
}

fn item(author: DeviceId, scope: UnitRef) -> Change<RawChunk> {
    let doc = DocId::hamlet_team(scope, "thôn 1", 0);
    let author = Author { actor: Actor::new(author, [2; 8]), at: NOW };
    let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(9)));
    Change { doc, chunk: Document::first_save(doc, author, &[edit]).unwrap().unwrap().raw() }
}

/// Own changes, for its unit and for one that it has left; carried ones; returned ones.
fn push(number: u64, kind: u8) -> Frame {
    let other = DeviceId([7; 16]);
    let (author, scope, signature) = match kind % 4 {
        0 => (DEVICE, "2022/00001", None),
        1 => (DEVICE, "2022/00004", None),
        2 => (other, "2022/00001", Some(vec![7; 64])),
        _ => (other, "2022/00001", Some(Vec::new())),
    };
    let scope = unit(scope);
    let carried = signature.map(|signature| Carried { author: author.author(), signature });
    Frame::Push(Push { number, scope, items: vec![item(author, scope)], carried })
}

/// An effect that waits for its answer.
enum Owed {
    Query(Query),
    Commit(Commit),
}

/// What a session waits for, and what has happened to it.
struct Run {
    session: ServerSession,
    owed: Vec<Owed>,
    asked: usize,
    answered: usize,
    last: u64,
    pushes: u64,
    closed: usize,
}

impl Run {
    fn handle(&mut self, event: ServerEvent) -> usize {
        let effects = self.session.handle(NOW, event);
        let count = effects.len();
        for effect in effects {
            match effect {
                ServerEffect::Query(query) => self.owed.push(Owed::Query(query)),
                ServerEffect::Commit(commit) => self.owed.push(Owed::Commit(commit)),
                ServerEffect::Send(_) | ServerEffect::CountRefusal(_) => continue,
                ServerEffect::Close => {
                    self.closed += 1;
                    continue;
                }
            }
            self.asked += 1;
        }
        count
    }

    /// Answers one of what is owed; the effects of that.
    fn answer(&mut self, which: usize) -> usize {
        let owed = self.owed.swap_remove(which % self.owed.len());
        self.answered += 1;
        let event = match owed {
            Owed::Query(query) => self.of_query(query, which),
            Owed::Commit(Commit::Append(Append { push, items })) => {
                let first = Sequence(self.last + 1);
                self.last += items.len() as u64;
                let (new, through) = (items.len() as u64, Sequence(self.last));
                let (refused, before) = (Vec::new(), None);
                push.answer(Ok(AppendOutcome {
                    first_new: Some(first),
                    new,
                    through,
                    refused,
                    postponed: None,
                    before,
                }))
            }
            Owed::Commit(Commit::Hold(hold)) => {
                let fates = vec![HoldFate::Held; hold.items.len()];
                hold.answer(Ok(HoldOutcome { fates, ..HoldOutcome::default() }))
            }
            Owed::Commit(Commit::KeepTold(told)) => told.answer(()),
        };
        self.handle(event)
    }

    fn of_query(&self, query: Query, which: usize) -> ServerEvent {
        let through = Sequence(self.last);
        let principal = Principal { device: DEVICE, role: AccessRole::Recorder, unit: unit("2022/00001") };
        match query {
            Query::Authenticate(proof) => {
                let standing = Standing { former: vec![unit("2022/00004")], ..Standing::default() };
                let greeting = greeting::greeting(Epoch(1), NOW);
                proof.answer(Ok(Authenticated { principal, greeting, standing }))
            }
            Query::Open(open) => {
                let of = |interest: &Interest| {
                    let (cursor, last) = (interest.cursor, through);
                    OpenedInterest { cursor, reconcile: None, last, pending: last.0 - cursor.0 }
                };
                let interests = open.interests.iter().map(of).collect();
                open.answer(Opened { epoch: Epoch(1), takes_returns: true, interests, page: None })
            }
            Query::VerifyCarried(verify) => {
                let author = Principal { device: DeviceId([7; 16]), ..principal };
                verify.answer(if which.is_multiple_of(2) { Ok(author) } else { Err(CarriedRefusal::BadSignature) })
            }
            Query::JudgeReturned(judge) => {
                let verdict = if which.is_multiple_of(2) { ReturnVerdict::Take } else { ReturnVerdict::Hold };
                judge.answer(verdict)
            }
            Query::ReadDecisions(read) => read.answer(None),
            Query::ReadPage(read) => {
                let unit = read.unit;
                read.answer(PageRead { unit, entries: Vec::new(), through, more: false })
            }
            Query::ReadElements(read) => read.answer(Vec::new()),
            Query::ReadWanted(read) => {
                let (unit, through) = (read.unit, read.at);
                read.answer(WantedRead { unit, entries: Vec::new(), through, more: false })
            }
            Query::ReadTotals(read) => {
                let of = |unit: &UnitRef| UnitTotals { unit: *unit, teams: 0, members: 0 };
                let totals = read.0.iter().map(of).collect();
                read.answer((through, totals))
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Push(u8),
    Answer(usize),
    Decided,
    Told,
    Grew,
    Counted,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Push),
        5 => any::<usize>().prop_map(Step::Answer),
        1 => Just(Step::Decided),
        1 => Just(Step::Told),
        1 => Just(Step::Grew),
        1 => Just(Step::Counted),
    ]
}

proptest! {
    #[test]
    fn what_is_asked_is_answered_once_in_any_order_and_what_comes_after_the_end_does_nothing(
        steps in proptest::collection::vec(step(), 1..60),
        shut_down in any::<bool>(),
    ) {
        let session = ServerSession::new(Catalog::shared());
        let mut run = Run { session, owed: Vec::new(), asked: 0, answered: 0, last: 3, pushes: 0, closed: 0 };
        run.handle(ServerEvent::Frame(hello()));
        for step in steps {
            match step {
                // As a device that waits for WELCOME, and for answers when its window is full.
                Step::Push(kind) if run.session.is_live() && run.owed.len() < toso_wire::limits::PUSH_WINDOW => {
                    run.pushes += 1;
                    run.handle(ServerEvent::Frame(push(run.pushes, kind)));
                }
                Step::Answer(which) if !run.owed.is_empty() => {
                    run.answer(which);
                }
                Step::Told if run.session.is_live() => {
                    let reviewed = Reviewed { number: 1, decisions: Vec::new() };
                    run.handle(ServerEvent::Frame(Frame::Reviewed(reviewed)));
                }
                Step::Decided => {
                    run.handle(ServerEvent::Decided);
                }
                Step::Grew => {
                    run.last += 1;
                    let through = Sequence(run.last);
                    run.handle(ServerEvent::Grew { unit: unit("2022/00001"), through });
                }
                Step::Counted => {
                    run.handle(ServerEvent::Counted(Sequence(run.last)));
                }
                Step::Push(_) | Step::Answer(_) | Step::Told => {}
            }
        }
        prop_assert_eq!(run.closed, 0, "nothing here ends a session");
        if shut_down {
            run.handle(ServerEvent::Shutdown);
            prop_assert_eq!(run.closed, 1);
            prop_assert!(run.session.is_quiescent() && run.session.device().is_none());
            while !run.owed.is_empty() {
                prop_assert_eq!(run.answer(0), 0, "an answer to a session that is over");
            }
        } else {
            let mut answers = 0;
            while !run.owed.is_empty() {
                run.answer(answers);
                answers += 1;
                prop_assert!(answers < 1_000, "the session keeps itself busy");
            }
            prop_assert!(run.session.is_live());
        }
        prop_assert_eq!(run.asked, run.answered);
        prop_assert!(run.session.is_quiescent(), "it waits for nothing that it has not asked");
    }
}
