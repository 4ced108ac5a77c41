//! One exchange with the server, from choosing a way to the end: a machine around a session's machine.
//!
//! It says when to dial and over what, performs nothing itself, reads no clock, and keeps what an exchange has done. Its owner
//! moves bytes and time: it performs [`ExchangeEffect`]s in order, brings what they and the line answer as [`ExchangeEvent`]s,
//! and [`ExchangeEvent::Time`] when [`Exchange::deadline`] has come.
//!
//! A socket is tried first. Where it opens no way in which requests may work all the same, requests follow
//! (`exchange/requests.rs`), and that they work there is remembered for a while. [`Touch`] says which exchange follows which.

pub mod report;
mod requests;
mod step;
mod touch;
mod waits;

pub use report::{SyncError, SyncOptions, SyncReport};
pub use step::{Beginning, DialFailure, ExchangeEffect, ExchangeEvent, ExchangeNews, Moment};
pub use touch::{MOVES_MAX, SyncState, Touch, TouchEffect, TouchEvent};

use toso_sync::client::{Commit, News};
use toso_sync::{ClientEffect, ClientEvent, ClientSession, ClientStart, SessionEnd};
use toso_wire::{DecodeError, Frame, Hello, decode, encode};

use crate::replica::{SOCKET_AGAIN_MS, Work};
use requests::Requests;
use waits::Waits;

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    server_url: String,
    options: SyncOptions,
    /// It stays for live changes, and does not end by itself.
    stays: bool,
    report: SyncReport,
    /// What the lines before this one have pulled.
    pulled_before: u64,
    stage: Stage,
    way: Way,
    /// Counts the lines, so that an answer to one that is closed is known.
    line: u32,
    /// Answers that effects of this line still owe, beside those that its session waits for.
    owed: usize,
    session: Option<ClientSession>,
    waits: Waits,
    /// Frames that came over this line.
    frames_heard: u64,
    /// Something went out since the server was last heard.
    awaiting: bool,
    /// Entries that waited when the session began; grows with new ones.
    to_push: u64,
    finished: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Which way was remembered is being read.
    Choosing,
    /// What the session starts from is being read.
    Beginning,
    Dialling,
    Open,
    Over,
}

/// What a session goes over.
#[derive(Debug)]
enum Way {
    Socket,
    Requests(Box<ByRequests>),
}

/// A way by requests, and why it is gone.
#[derive(Debug)]
struct ByRequests {
    requests: Requests,
    /// Why the socket did not work just now; `None` where it did not a while ago.
    instead_of: Option<SyncError>,
    /// That requests work here is still to be kept.
    to_keep: bool,
    /// When the socket is tried again.
    socket_again: Option<Moment>,
}

/// How a line ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Everything is exchanged.
    Done,
    /// The socket is to be tried again.
    TrySocket,
}

impl Exchange {
    /// An exchange with a server, and what to do first. One that `stays` goes on with live changes.
    pub fn start(server_url: &str, options: SyncOptions, stays: bool) -> (Self, Vec<ExchangeEffect>) {
        let exchange = Self {
            server_url: server_url.to_owned(),
            options,
            stays,
            report: SyncReport::default(),
            pulled_before: 0,
            stage: Stage::Choosing,
            way: Way::Socket,
            line: 0,
            owed: 0,
            session: None,
            waits: Waits::default(),
            frames_heard: 0,
            awaiting: false,
            to_push: 0,
            finished: false,
        };
        (exchange, vec![ExchangeEffect::ReadWay])
    }

    /// What it has done so far. The bytes are its owner's to count.
    pub fn report(&self) -> SyncReport {
        self.report
    }

    /// True while everything is exchanged, but for what the centre does not take now.
    pub fn is_up_to_date(&self) -> bool {
        self.stage == Stage::Open && !self.is_owed() && self.session.as_ref().is_some_and(ClientSession::is_up_to_date)
    }

    /// When [`ExchangeEvent::Time`] is due; `None` while something else must come first.
    pub fn deadline(&self) -> Option<Moment> {
        if self.stage != Stage::Open || self.is_owed() {
            return None;
        }
        let patience = self.waits.patience(&self.options);
        let leaving = [self.waits.rests_until, self.requests().and_then(Requests::held_until)];
        let leaving = leaving.into_iter().flatten().filter(|_| self.may_be_left());
        leaving.chain([patience]).min()
    }

    /// True while an edit is news for it: [`ExchangeEvent::OutboxGrew`].
    pub fn hears_edits(&self) -> bool {
        self.stays && self.stage == Stage::Open && self.may_be_left()
    }

    /// Takes what happened and says what is to be done, in order.
    pub fn handle(&mut self, now: Moment, event: ExchangeEvent) -> Vec<ExchangeEffect> {
        let mut out = Vec::new();
        self.on_event(now, event, &mut out);
        self.settle(now, &mut out);
        out
    }

    fn on_event(&mut self, now: Moment, event: ExchangeEvent, out: &mut Vec<ExchangeEffect>) {
        match event {
            ExchangeEvent::Way { by_requests } => {
                let way = if by_requests { self.by_requests(now, None) } else { Way::Socket };
                self.begin(way, out);
            }
            ExchangeEvent::Begun(beginning) => self.begun(now, *beginning, out),
            ExchangeEvent::Dialled => {
                // The upgrade carried HELLO up and its acceptance down.
                self.report.round_trips += 1;
                out.push(ExchangeEffect::Tell(ExchangeNews::Connected));
                self.opened(now, out);
            }
            ExchangeEvent::NotDialled(DialFailure::Final(error)) => self.over(Err(error), out),
            ExchangeEvent::NotDialled(DialFailure::Upgrade(error)) => {
                if matches!(error, SyncError::Unreachable { .. }) {
                    self.cut(out);
                }
                self.go_by_requests(now, error, out);
            }
            ExchangeEvent::Performed { line, answers } => {
                for answer in answers {
                    // An answer may end the line.
                    if line == self.line {
                        self.on_session(now, answer, out);
                    }
                }
            }
            ExchangeEvent::Counted { line, waiting } => {
                if line == self.line {
                    self.owed = self.owed.saturating_sub(1);
                    self.tell_up_to_date(now, waiting, out);
                }
            }
            ExchangeEvent::Started(start) => {
                self.owed = self.owed.saturating_sub(1);
                self.ask_again(now, *start, out);
            }
            ExchangeEvent::Frame(bytes) => self.on_frame(now, &bytes, out),
            ExchangeEvent::Sign => self.waits.heard = now,
            ExchangeEvent::Answered => {
                self.waits.heard = now;
                let through = self.requests_mut().map(Requests::answered);
                if let Some(pushes_through) = through {
                    self.on_session(now, ClientEvent::Answered { pushes_through }, out);
                }
            }
            ExchangeEvent::Gone => self.on_session(now, ClientEvent::Disconnected, out),
            ExchangeEvent::Failed(error) => {
                let is_own = matches!(error, SyncError::Store(_) | SyncError::Replica(_) | SyncError::Credential(_));
                if is_own || self.stage == Stage::Over {
                    self.over(Err(error), out);
                } else {
                    self.line_ended(now, Err(error), out);
                }
            }
            ExchangeEvent::OutboxGrew { waiting } => {
                if self.hears_edits() {
                    self.leave_request(out);
                    self.to_push = self.report.acked + waiting;
                    self.on_session(now, ClientEvent::LocalEdit, out);
                }
            }
            ExchangeEvent::Time => self.on_time(now, out),
        }
    }

    /// What had to come first has come: the exchange ends, or makes its next request.
    fn settle(&mut self, now: Moment, out: &mut Vec<ExchangeEffect>) {
        if self.stage != Stage::Open || self.is_owed() {
            return;
        }
        if self.finished {
            return self.line_ended(now, Ok(Ended::Done), out);
        }
        let awaits = self.session.as_ref().is_some_and(ClientSession::awaits);
        if let Way::Requests(by) = &mut self.way
            && by.requests.is_idle()
        {
            if !awaits && by.socket_again.is_some_and(|again| again <= now) {
                return self.line_ended(now, Ok(Ended::TrySocket), out);
            }
            // Each request begins from where the device stands then, but for the first and for one that proves it anew.
            let Some(hello) = by.requests.take_hello() else {
                self.owed += 1;
                return out.push(ExchangeEffect::ReadStart);
            };
            self.ask(now, hello, out);
        }
        self.awaits(now);
    }

    fn begin(&mut self, way: Way, out: &mut Vec<ExchangeEffect>) {
        (self.way, self.stage) = (way, Stage::Beginning);
        out.push(ExchangeEffect::Begin { live: self.stays });
    }

    fn begun(&mut self, now: Moment, beginning: Beginning, out: &mut Vec<ExchangeEffect>) {
        let Beginning { mut start, waiting, rests_for_ms } = beginning;
        self.waits.rests_until = rests_for_ms.filter(|_| start.resting).map(|rest_ms| now.plus_ms(rest_ms));
        start.by_request = self.requests().is_some();
        start.live &= !start.by_request;
        self.to_push = self.report.acked + waiting;
        let riding = start.first.as_ref().map_or(0, |batch| batch.items.len() as u64);
        let (session, hello) = ClientSession::new(start);
        if hello.push.is_some() {
            self.report.pushed += riding;
        }
        self.session = Some(session);
        if let Some(requests) = self.requests_mut() {
            requests.queue(Frame::Hello(hello));
            self.opened(now, out);
        } else {
            self.stage = Stage::Dialling;
            out.push(ExchangeEffect::Dial(Box::new(hello)));
        }
    }

    fn opened(&mut self, now: Moment, out: &mut Vec<ExchangeEffect>) {
        self.stage = Stage::Open;
        self.waits.open(now);
        self.on_session(now, ClientEvent::Connected, out);
    }

    /// Hands an event to the session and passes on what it wants.
    fn on_session(&mut self, now: Moment, event: ClientEvent, out: &mut Vec<ExchangeEffect>) {
        if self.stage == Stage::Over {
            return;
        }
        let Some(session) = &mut self.session else { return };
        let mut of_store = OfStore::default();
        for effect in session.handle(event) {
            match effect {
                ClientEffect::Query(query) => of_store.work.push(Work::Query(query)),
                ClientEffect::Commit(commit) => {
                    self.note(now, &commit);
                    of_store.work.push(Work::Commit(commit));
                }
                ClientEffect::Send(frame) => {
                    self.perform(&mut of_store, out);
                    self.send(frame, out);
                }
                ClientEffect::Tell(News::Progress { pushed, pulled, pull_pending }) => {
                    let pulled = self.pulled_before + pulled;
                    self.report.pulled = pulled;
                    let total = self.to_push.max(pushed) + pulled + pull_pending;
                    of_store.progress = Some(ExchangeNews::Progress { done: pushed + pulled, total });
                }
                ClientEffect::Tell(News::UpToDate { counted }) => {
                    self.perform(&mut of_store, out);
                    self.up_to_date(now, counted, out);
                }
                ClientEffect::End(end) => {
                    self.perform(&mut of_store, out);
                    let error = self.ended(end);
                    return self.line_ended(now, Err(error), out);
                }
            }
        }
        self.perform(&mut of_store, out);
    }

    /// What the exchange itself remembers of what is kept.
    fn note(&mut self, now: Moment, commit: &Commit) {
        match commit {
            Commit::Ack { accepted, .. } => self.report.acked += accepted.len() as u64,
            Commit::Refused { refused } => {
                self.report.refused += refused.len() as u64;
                self.report.refused_carried += refused.iter().filter(|(item, ..)| item.number == 0).count() as u64;
            }
            Commit::Rest { delay_ms, .. } => {
                self.waits.rests_until = (*delay_ms > 0).then(|| now.plus_ms(*delay_ms));
            }
            Commit::KeepSession { .. }
            | Commit::Delta(_)
            | Commit::Chunks(_)
            | Commit::Reconciled { .. }
            | Commit::KeepReceipt(_)
            | Commit::Move(_)
            | Commit::KeepDecisions { .. }
            | Commit::KeepPace(_)
            | Commit::DropHeldCopies
            | Commit::Purge(_)
            | Commit::Erase(_) => {}
        }
    }

    /// True while an answer is owed to this line, or to its session.
    fn is_owed(&self) -> bool {
        self.owed > 0 || self.session.as_ref().is_some_and(|session| !session.is_answered())
    }

    /// Has effects of the store performed together; progress is told once they are.
    fn perform(&mut self, of_store: &mut OfStore, out: &mut Vec<ExchangeEffect>) {
        let OfStore { work, progress } = std::mem::take(of_store);
        if !work.is_empty() {
            out.push(ExchangeEffect::Perform { line: self.line, work });
        }
        out.extend(progress.map(ExchangeEffect::Tell));
    }

    fn send(&mut self, frame: Frame, out: &mut Vec<ExchangeEffect>) {
        if let Frame::Push(push) = &frame {
            self.report.pushed += push.items.len() as u64;
        }
        if let Some(requests) = self.requests_mut() {
            requests.queue(frame);
        } else {
            // A request counts itself.
            self.awaiting = true;
            out.push(ExchangeEffect::Send(encode(&frame)));
        }
    }

    fn up_to_date(&mut self, now: Moment, counted: bool, out: &mut Vec<ExchangeEffect>) {
        (self.report.up_to_date, self.report.counted) = (true, counted);
        let SyncReport { acked, refused, refused_carried, .. } = self.report;
        // Of what waited when the session began, something was not offered, or not taken now.
        let is_left = self.to_push > acked + refused.saturating_sub(refused_carried);
        if is_left || self.waits.rests_until.is_some() {
            self.owed += 1;
            out.push(ExchangeEffect::CountOutbox { line: self.line });
        } else {
            self.tell_up_to_date(now, 0, out);
        }
    }

    fn tell_up_to_date(&mut self, now: Moment, waiting: u64, out: &mut Vec<ExchangeEffect>) {
        self.report.waiting = waiting;
        out.push(ExchangeEffect::Tell(ExchangeNews::UpToDate { waiting }));
        if self.stays {
            out.push(ExchangeEffect::FetchPass);
        } else {
            self.finished = self.report.counted;
            self.waits.linger_until.get_or_insert(now.plus(self.options.linger));
        }
    }

    fn on_frame(&mut self, now: Moment, bytes: &[u8], out: &mut Vec<ExchangeEffect>) {
        self.waits.heard = now;
        if std::mem::take(&mut self.awaiting) {
            self.report.round_trips += 1;
        }
        let mut frame = match decode(bytes) {
            Ok(frame) => frame,
            // A newer server says something that this version need not know: it would say GOODBYE otherwise.
            Err(DecodeError::UnknownType { .. }) => {
                self.report.unknown += 1;
                return;
            }
            Err(error) => {
                let error = self.protocol(&error.to_string());
                return self.line_ended(now, Err(error), out);
            }
        };
        self.frames_heard += 1;
        if let Way::Requests(by) = &mut self.way {
            if std::mem::take(&mut by.to_keep) {
                // Requests work: what is wrong with the socket is no reason to end when it is tried again.
                by.instead_of = None;
                out.push(ExchangeEffect::KeepWay { by_requests: true });
            }
            frame = by.requests.numbered(frame);
        }
        self.on_session(now, ClientEvent::Frame(frame), out);
    }

    fn on_time(&mut self, now: Moment, out: &mut Vec<ExchangeEffect>) {
        if self.stage != Stage::Open {
            return;
        }
        if self.may_be_left() && self.waits.rests_until.is_some_and(|until| until <= now) {
            self.waits.rests_until = None;
            self.leave_request(out);
            return self.on_session(now, ClientEvent::Rested, out);
        }
        if let Some(asked) = self.requests_mut().and_then(|requests| requests.due(now)) {
            return out.push(asked);
        }
        if self.waits.patience(&self.options) > now {
            return;
        }
        if self.waits.linger_until.is_some() {
            return self.line_ended(now, Ok(Ended::Done), out);
        }
        // What was awaited was too much for the link, or never came through.
        self.cut(out);
        let seconds = self.waits.awaited_for(now).as_secs();
        self.line_ended(now, Err(SyncError::Stalled { seconds }), out);
    }

    /// Makes a request from where the device stands now. It waits for news when there is nothing else to say.
    fn ask_again(&mut self, now: Moment, start: ClientStart, out: &mut Vec<ExchangeEffect>) {
        let (Some(session), Way::Requests(by)) = (&mut self.session, &self.way) else { return };
        let live = !session.awaits() && !by.requests.has_queued();
        if let Some(hello) = session.hello_again(start, live) {
            self.ask(now, hello, out);
        }
    }

    fn ask(&mut self, now: Moment, hello: Hello, out: &mut Vec<ExchangeEffect>) {
        let Some(requests) = self.requests_mut() else { return };
        out.extend(requests.ask(now, hello));
        self.waits.heard = now;
        self.report.round_trips += 1;
        if self.report.round_trips == 1 {
            out.push(ExchangeEffect::Tell(ExchangeNews::Connected));
        }
    }

    /// The connection is gone before the session has ended: it says what is to be kept.
    fn cut(&mut self, out: &mut Vec<ExchangeEffect>) {
        let Some(session) = &mut self.session else { return };
        let kept = session.handle(ClientEvent::Disconnected).into_iter().filter_map(|effect| match effect {
            ClientEffect::Query(query) => Some(Work::Query(query)),
            ClientEffect::Commit(commit) => Some(Work::Commit(commit)),
            ClientEffect::Send(_) | ClientEffect::Tell(_) | ClientEffect::End(_) => None,
        });
        let mut of_store = OfStore { work: kept.collect(), progress: None };
        self.perform(&mut of_store, out);
    }

    fn line_ended(&mut self, now: Moment, ended: Result<Ended, SyncError>, out: &mut Vec<ExchangeEffect>) {
        let silent = self.frames_heard == 0;
        match &mut self.way {
            Way::Socket => match ended {
                Err(error @ SyncError::Stalled { .. }) => self.go_by_requests(now, error, out),
                Err(error @ (SyncError::Lost | SyncError::Protocol { .. })) if silent => {
                    self.go_by_requests(now, error, out);
                }
                ended => self.over(ended.map(|_| ()), out),
            },
            Way::Requests(by) => match (by.instead_of.take(), ended) {
                // Requests did not come through either: the network has what the socket said of it.
                (Some(failed), Err(error)) if silent => self.over(Err(failed.and_by_requests(&error)), out),
                (Some(_), ended) => self.over(ended.map(|_| ()), out),
                (None, ended) => {
                    let refused = silent && !matches!(ended, Err(SyncError::Unreachable { .. }));
                    let again = matches!(ended, Ok(Ended::TrySocket));
                    if refused || again {
                        out.push(ExchangeEffect::KeepWay { by_requests: false });
                    }
                    if again {
                        self.next_line(out);
                        self.stage = Stage::Choosing;
                        out.push(ExchangeEffect::ReadWay);
                    } else {
                        self.over(ended.map(|_| ()), out);
                    }
                }
            },
        }
    }

    /// The socket did not work in a way in which requests may work all the same.
    fn go_by_requests(&mut self, now: Moment, failed: SyncError, out: &mut Vec<ExchangeEffect>) {
        self.next_line(out);
        let way = self.by_requests(now, Some(failed));
        self.begin(way, out);
    }

    fn by_requests(&self, now: Moment, instead_of: Option<SyncError>) -> Way {
        let socket_again = self.stays.then(|| now.plus_ms(SOCKET_AGAIN_MS));
        let to_keep = instead_of.is_some();
        Way::Requests(Box::new(ByRequests { requests: Requests::default(), instead_of, to_keep, socket_again }))
    }

    /// What the line has done stays in the report; the next one counts anew.
    fn next_line(&mut self, out: &mut Vec<ExchangeEffect>) {
        out.push(ExchangeEffect::Close);
        // What was on its way goes again.
        self.report.pushed = self.report.acked + self.report.refused;
        self.pulled_before = self.report.pulled;
        self.line += 1;
        (self.owed, self.frames_heard, self.awaiting, self.session) = (0, 0, false, None);
        self.waits = Waits::default();
    }

    fn over(&mut self, result: Result<(), SyncError>, out: &mut Vec<ExchangeEffect>) {
        self.stage = Stage::Over;
        self.line += 1;
        out.extend([ExchangeEffect::Close, ExchangeEffect::End(result)]);
    }

    fn leave_request(&mut self, out: &mut Vec<ExchangeEffect>) {
        if let Some(requests) = self.requests_mut() {
            requests.leave();
            out.push(ExchangeEffect::LeaveRequest);
        }
    }

    /// True when something else may be done before the next frame has come.
    fn may_be_left(&self) -> bool {
        self.requests().is_none_or(Requests::may_be_left)
    }

    fn requests(&self) -> Option<&Requests> {
        match &self.way {
            Way::Socket => None,
            Way::Requests(by) => Some(&by.requests),
        }
    }

    fn requests_mut(&mut self) -> Option<&mut Requests> {
        match &mut self.way {
            Way::Socket => None,
            Way::Requests(by) => Some(&mut by.requests),
        }
    }

    fn awaits(&mut self, now: Moment) {
        if let Some(session) = &self.session {
            self.waits.look_at(session, now);
        }
    }

    fn ended(&self, end: SessionEnd) -> SyncError {
        match end {
            SessionEnd::Moved => SyncError::Moved,
            SessionEnd::RetryAfter { delay_ms } => SyncError::RetryAfter { delay_ms },
            SessionEnd::Refused { code, detail } => SyncError::Refused { code, detail },
            SessionEnd::Protocol(detail) => self.protocol(detail),
            SessionEnd::NotProved => SyncError::NotProved { url: self.server_url.clone() },
            SessionEnd::Lost | SessionEnd::Unanswered => SyncError::Lost,
        }
    }

    fn protocol(&self, detail: &str) -> SyncError {
        SyncError::Protocol { url: self.server_url.clone(), detail: detail.to_owned() }
    }
}

/// What the replica does, one after the other.
#[derive(Debug, Default)]
struct OfStore {
    work: Vec<Work>,
    progress: Option<ExchangeNews>,
}

#[cfg(test)]
mod tests;
