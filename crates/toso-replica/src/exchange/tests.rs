//! The machine without any clock: what it does at each limit and just before, and which way it goes.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use toso_core::id::{Epoch, Sequence, ServerId};
use toso_core::text::PlaceName;
use toso_core::time::TimestampMs;
use toso_store::ChunkStore;
use toso_store::memory::MemoryChunkStore;
use toso_wire::{Ack, GoodbyeCode, Proof, RootProof, Welcome, WelcomeProof, signed_welcome};

use super::report::{ANSWER_MAX, GREETING_MAX, LINGER_FOR_RECEIPT, SILENCE_MAX};
use super::*;
use crate::{Credential, Reach, Replica, TeamDraft};

const URL: &str = "https://register.invalid";

fn root() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// A phone with an unsent team whose exchange is under way; it performs what the replica is to do, and keeps the rest.
struct Rig {
    replica: Replica,
    exchange: Exchange,
    by_requests: bool,
    /// The HELLO that was last said.
    hello: Option<Hello>,
    sent: Vec<Frame>,
    /// All else, in words.
    done: Vec<String>,
    ended: Option<Result<(), SyncError>>,
    now: Moment,
}

impl Rig {
    fn begin(stays: bool, by_requests: bool) -> Self {
        Self::of(replica(), stays, by_requests)
    }

    fn of(replica: Replica, stays: bool, by_requests: bool) -> Self {
        let (exchange, first) = Exchange::start(URL, SyncOptions::default(), stays);
        let (sent, done, now) = (Vec::new(), Vec::new(), Moment(1_000));
        let mut rig = Self { replica, exchange, by_requests, hello: None, sent, done, ended: None, now };
        rig.perform(first);
        rig
    }

    /// A socket that has opened.
    fn open(stays: bool) -> Self {
        let mut rig = Self::begin(stays, false);
        rig.happens(ExchangeEvent::Dialled);
        rig
    }

    /// A socket whose server has greeted and has taken the team.
    fn acknowledged(stays: bool) -> Self {
        let mut rig = Self::open(stays);
        rig.greet();
        rig.acknowledge();
        rig
    }

    fn happens(&mut self, event: ExchangeEvent) {
        let effects = self.exchange.handle(self.now, event);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<ExchangeEffect>) {
        let credential = self.replica.credential().unwrap();
        for effect in effects {
            let answer = match effect {
                ExchangeEffect::ReadWay => ExchangeEvent::Way { by_requests: self.by_requests },
                ExchangeEffect::Begin { live } => ExchangeEvent::Begun(Box::new(Beginning {
                    start: self.replica.session_start(&credential, live).unwrap(),
                    waiting: self.replica.outbox_len().unwrap() as u64,
                    rests_for_ms: self.replica.rests_for_ms().unwrap(),
                })),
                ExchangeEffect::ReadStart => {
                    ExchangeEvent::Started(Box::new(self.replica.session_start(&credential, false).unwrap()))
                }
                ExchangeEffect::Perform { line, work } => {
                    let answers = work.into_iter().map(|work| self.replica.perform(&credential, work).unwrap());
                    ExchangeEvent::Performed { line, answers: answers.collect() }
                }
                ExchangeEffect::CountOutbox { line } => {
                    ExchangeEvent::Counted { line, waiting: self.replica.outbox_len().unwrap() as u64 }
                }
                ExchangeEffect::Dial(hello) => {
                    self.hello = Some(*hello);
                    self.done.push("dial".to_owned());
                    continue;
                }
                ExchangeEffect::Send(frame) => {
                    self.sent.push(decode(&frame).unwrap());
                    continue;
                }
                ExchangeEffect::Ask { body, polls } => {
                    self.asked(&body);
                    self.done.push(if polls { "poll" } else { "ask" }.to_owned());
                    continue;
                }
                ExchangeEffect::KeepWay { by_requests } => {
                    self.by_requests = by_requests;
                    self.done.push(format!("keep {by_requests}"));
                    continue;
                }
                ExchangeEffect::End(result) => {
                    self.ended = Some(result);
                    continue;
                }
                ExchangeEffect::Close => {
                    self.done.push("close".to_owned());
                    continue;
                }
                ExchangeEffect::Tell(ExchangeNews::UpToDate { waiting }) => {
                    self.done.push(format!("up to date but for {waiting}"));
                    continue;
                }
                ExchangeEffect::Tell(_) | ExchangeEffect::FetchPass | ExchangeEffect::LeaveRequest => continue,
            };
            self.happens(answer);
        }
    }

    /// Keeps HELLO and the frames of a request.
    fn asked(&mut self, mut body: &[u8]) {
        while let Some((length, rest)) = body.split_first_chunk() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            let frame = decode(frame).unwrap();
            if let Frame::Hello(hello) = frame {
                self.hello = Some(hello);
            } else {
                self.sent.push(frame);
            }
            body = rest;
        }
    }

    fn hears(&mut self, frame: &Frame) {
        self.happens(ExchangeEvent::Frame(encode(frame)));
    }

    /// WELCOME as the server says it that has the root key, or who showed a ticket.
    fn greet(&mut self) {
        let hello = self.hello.take().unwrap();
        let Proof::Token { signature, .. } = &hello.proof else { panic!("no ticket was given") };
        let at = TimestampMs(1_663_545_600_000);
        let root_key = root().verifying_key().to_bytes();
        let mut proof =
            RootProof { root: root_key, signature: [0; 64], token_ends: at, ticket: None, token: Vec::new() };
        proof.signature = root().sign(&signed_welcome(signature, Epoch(1), at, &proof)).to_bytes();
        let proof = WelcomeProof::Root(Box::new(proof));
        self.hears(&Frame::Welcome(Welcome { epoch: Some(Epoch(1)), at, proof, pending: 0 }));
    }

    fn acknowledge(&mut self) {
        self.hears(&Frame::Ack(Ack { number: 1, through: Sequence(1), settled: true }));
    }

    /// Nothing happens until just before the deadline, and nothing then; tells how long after `since` it is due.
    fn waits(&mut self, since: Moment) -> Duration {
        let due = self.exchange.deadline().expect("it waits for something");
        let done = self.done.clone();
        self.now = Moment(due.0 - 1);
        self.happens(ExchangeEvent::Time);
        assert_eq!((self.done.clone(), self.exchange.deadline()), (done, Some(due)), "a millisecond early");
        self.now = due;
        due.since(since)
    }

    fn times_out(&mut self) {
        self.happens(ExchangeEvent::Time);
    }
}

fn replica() -> Replica {
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
    let credential = Credential {
        server_url: URL.to_owned(),
        server_id: ServerId::from_public_key(&root().verifying_key().to_bytes()),
        token: vec![1],
        unit: "2022/00001".parse().unwrap(),
        role: "recorder".to_owned(),
        token_ends: None,
        reach: Reach::default(),
    };
    credential.keep(store.as_ref()).unwrap();
    let replica = Replica::open(store, &crate::testing::options()).unwrap();
    let hamlet = Some(PlaceName::parse("Thôn 1").unwrap());
    replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).unwrap();
    replica
}

fn unreachable() -> SyncError {
    SyncError::Unreachable { url: URL.to_owned(), detail: "nobody there".to_owned() }
}

#[test]
fn a_greeting_has_its_time_from_the_start_whatever_else_comes() {
    let mut rig = Rig::open(false);
    let begun = rig.now;
    rig.now = begun.plus_ms(30_000);
    rig.happens(ExchangeEvent::Sign);
    assert_eq!(rig.waits(begun), GREETING_MAX);
    rig.times_out();
    assert_eq!(rig.done, ["dial", "close", "ask"], "and requests are tried");
}

#[test]
fn an_answer_has_its_time_from_when_it_was_asked_for_and_pings_are_none() {
    let mut rig = Rig::open(true);
    rig.now = rig.now.plus_ms(500);
    rig.greet();
    let asked = rig.now;
    rig.now = asked.plus_ms(50_000);
    rig.happens(ExchangeEvent::Sign);
    assert_eq!(rig.waits(asked), ANSWER_MAX);
    rig.times_out();
    assert_eq!(rig.done, ["dial", "close", "ask"]);
    // Requests do not come through either: what is told is what the socket met.
    rig.happens(ExchangeEvent::Gone);
    assert!(matches!(rig.ended, Some(Err(SyncError::Stalled { seconds: 60 }))), "{:?}", rig.ended);
}

#[test]
fn a_live_session_ends_when_nothing_at_all_is_heard() {
    let mut rig = Rig::acknowledged(true);
    let heard = rig.now.plus_ms(100_000);
    rig.now = heard;
    rig.happens(ExchangeEvent::Sign);
    assert_eq!(rig.waits(heard), SILENCE_MAX);
}

#[test]
fn a_one_shot_exchange_lingers_to_hear_that_it_was_counted_and_no_longer() {
    let mut rig = Rig::acknowledged(false);
    let exchanged = rig.now;
    assert_eq!(rig.done, ["dial", "up to date but for 0"]);
    assert_eq!(rig.waits(exchanged), LINGER_FOR_RECEIPT);
    assert!(rig.ended.is_none());
    rig.times_out();
    assert!(matches!(rig.ended, Some(Ok(()))), "{:?}", rig.ended);
    let report = rig.exchange.report();
    assert_eq!((report.pushed, report.acked, report.up_to_date, report.counted), (1, 1, true, false));
    assert_eq!(report.round_trips, 1, "the push rode in HELLO");
}

#[test]
fn a_device_that_rests_says_what_waits_and_goes_on_once_the_time_is_over() {
    const REST_MS: u64 = 5_000;
    let replica = replica();
    let credential = replica.credential().unwrap();
    replica.perform(&credential, Work::Commit(Commit::Rest { delay_ms: REST_MS, why: String::new() })).unwrap();
    let mut rig = Rig::of(replica, true, false);
    let begun = rig.now;
    rig.happens(ExchangeEvent::Dialled);
    rig.greet();
    assert_eq!(rig.done, ["dial", "up to date but for 1"]);
    let rested = rig.waits(begun);
    assert!(rested <= Duration::from_millis(REST_MS) && !rested.is_zero(), "{rested:?}");
    assert!(rig.sent.is_empty(), "nothing is pushed before");
    rig.times_out();
    assert!(matches!(rig.sent[..], [Frame::Push(_)]), "{:?}", rig.sent);
}

#[test]
fn where_a_socket_does_not_open_requests_follow_and_that_they_work_is_kept() {
    let mut rig = Rig::begin(false, false);
    rig.happens(ExchangeEvent::NotDialled(DialFailure::Upgrade(unreachable())));
    assert_eq!(rig.done, ["dial", "close", "ask"]);
    rig.greet();
    assert_eq!(rig.done, ["dial", "close", "ask", "keep true"]);
    rig.acknowledge();
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.exchange.report().acked, 1);
    assert!(rig.exchange.report().up_to_date);
}

#[test]
fn where_neither_works_the_network_has_what_the_socket_met() {
    let mut rig = Rig::begin(false, false);
    rig.happens(ExchangeEvent::NotDialled(DialFailure::Upgrade(unreachable())));
    rig.happens(ExchangeEvent::Failed(SyncError::Lost));
    assert!(matches!(rig.ended, Some(Err(SyncError::Unreachable { .. }))), "{:?}", rig.ended);
    assert!(!rig.by_requests, "nothing is kept");
}

#[test]
fn what_is_final_is_not_tried_by_requests() {
    let mut rig = Rig::begin(false, false);
    rig.happens(ExchangeEvent::NotDialled(DialFailure::Final(SyncError::RetryAfter { delay_ms: 7 })));
    assert!(matches!(rig.ended, Some(Err(SyncError::RetryAfter { delay_ms: 7 }))), "{:?}", rig.ended);
    assert_eq!(rig.done, ["dial", "close"]);
}

#[test]
fn a_way_that_was_kept_is_forgotten_when_it_is_refused_and_kept_when_the_network_is_away() {
    let mut refused = Rig::begin(false, true);
    refused.happens(ExchangeEvent::Failed(SyncError::Lost));
    assert_eq!(refused.done, ["ask", "keep false", "close"]);
    let mut away = Rig::begin(false, true);
    away.happens(ExchangeEvent::Failed(unreachable()));
    assert_eq!(away.done, ["ask", "close"]);
}

/// By requests, with everything exchanged and nothing to say.
fn polling() -> Rig {
    let mut rig = Rig::begin(true, true);
    rig.greet();
    rig.acknowledge();
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.done.last().map(String::as_str), Some("poll"), "{:?}", rig.done);
    rig
}

#[test]
fn requests_that_bring_nothing_begin_a_while_apart() {
    const APART: Duration = Duration::from_secs(15);
    let mut rig = polling();
    let asked = rig.now;
    let polls = rig.done.len();
    rig.now = asked.plus_ms(20);
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.waits(asked), APART);
    assert_eq!(rig.done.len(), polls);
    rig.times_out();
    assert_eq!(rig.done.len(), polls + 1);
    assert_eq!(rig.done.last().map(String::as_str), Some("poll"));
}

#[test]
fn an_edit_is_not_held_back_by_a_request_that_waits_for_news() {
    let mut rig = polling();
    assert!(rig.exchange.hears_edits());
    let hamlet = Some(PlaceName::parse("Thôn 2").unwrap());
    rig.replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).unwrap();
    rig.happens(ExchangeEvent::OutboxGrew { waiting: 1 });
    assert_eq!(rig.done.last().map(String::as_str), Some("ask"));
    assert!(!rig.exchange.hears_edits(), "until it is answered");
    assert_eq!(rig.exchange.report().pushed, 2);
}

#[test]
fn the_socket_is_tried_again_after_a_while_by_requests() {
    let mut rig = polling();
    rig.now = Moment(1_000 + SOCKET_AGAIN_MS - 1);
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.done.last().map(String::as_str), Some("poll"), "a millisecond early");
    rig.now = Moment(1_000 + SOCKET_AGAIN_MS);
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.done[rig.done.len() - 3..], ["keep false", "close", "dial"]);
}

/// The story: a phone whose socket had failed ended the whole exchange when it came to try the socket again.
#[test]
fn the_socket_is_tried_again_where_it_failed_within_the_same_exchange() {
    let mut rig = Rig::open(true);
    rig.exchange.report.pulled = 5;
    rig.now = rig.now.plus(GREETING_MAX);
    let by_requests_since = rig.now;
    rig.times_out();
    rig.greet();
    rig.acknowledge();
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.done.last().map(String::as_str), Some("poll"), "{:?}", rig.done);
    assert_eq!(rig.exchange.report().pulled, 5, "what the socket pulled is still counted");
    rig.now = Moment(by_requests_since.0 + SOCKET_AGAIN_MS);
    rig.happens(ExchangeEvent::Answered);
    assert_eq!(rig.done[rig.done.len() - 3..], ["keep false", "close", "dial"]);
    assert!(rig.ended.is_none(), "{:?}", rig.ended);
}

#[test]
fn a_store_that_fails_ends_the_exchange_whatever_the_line_does() {
    for mut rig in [Rig::open(true), polling()] {
        rig.happens(ExchangeEvent::Failed(SyncError::Store(toso_store::StoreError::NotFound(
            toso_core::chunk::ChangeHash([0; 32]),
        ))));
        assert!(matches!(rig.ended, Some(Err(SyncError::Store(_)))), "{:?}", rig.ended);
    }
}

#[test]
fn answers_to_a_line_that_is_closed_change_nothing() {
    let mut rig = Rig::open(false);
    rig.now = rig.now.plus(GREETING_MAX);
    rig.times_out();
    let before = rig.exchange.deadline();
    rig.happens(ExchangeEvent::Performed { line: 0, answers: vec![ClientEvent::Committed] });
    rig.happens(ExchangeEvent::Counted { line: 0, waiting: 9 });
    assert_eq!((rig.exchange.deadline(), rig.exchange.report().waiting), (before, 0));
}

#[test]
fn only_the_server_says_whether_a_device_is_shut_out() {
    let refused = |code| Err(SyncError::Refused { code, detail: String::new() });
    assert_eq!(SyncError::shut_out(&Ok(())), Some(false));
    assert_eq!(SyncError::shut_out(&refused(GoodbyeCode::Revoked)), Some(true));
    assert_eq!(SyncError::shut_out(&refused(GoodbyeCode::Unauthorized)), None);
    assert_eq!(SyncError::shut_out(&Err(SyncError::Lost)), None);
}
