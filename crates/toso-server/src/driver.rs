//! Performs what a [`ServerSession`](toso_sync::ServerSession) asks for. One driver per session, whether it speaks over a WebSocket or a POST.
//!
//! The session decides, the driver does: it checks proofs, has the log read on other threads, hands pushes to the log
//! writer, and collects encoded frames for the owner of the connection to send. It holds no clock and no socket.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use toso_core::id::{DeviceId, Sequence};
use toso_store::StoreError;
use toso_sync::server::{Answer, Appending, Committed, Hold, ReadElements, ReadWanted, RefusalKind};
use toso_sync::{Ask as _, HoldFate, KnownDevice, ServerEffect, ServerEvent};
use toso_wire::{Frame, Goodbye, GoodbyeCode, NackCode, encode};

use crate::config::{REFUSED_ITEMS_MAX, SESSIONS_PER_DEVICE_MAX, TOO_LARGE_ITEMS_MAX};
use crate::desk::{self, Work};
use crate::hub::{HubNews, Subscription};
use crate::log_writer::UnitBatch;
use crate::serving::{Proved, Proving, Serving, Step};
use crate::state::{Shared, now};
use crate::trust::Footing;
use crate::turns::{Turns, append_in_turn};

/// A session with its unfinished work.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    serving: Serving,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    counting: Option<BoxFuture<'static, Option<Sequence>>>,
    appends: usize,
    turns: Turns,
    out: VecDeque<Vec<u8>>,
    /// NACKs so far, but for those that say "later".
    refused: u32,
    /// Of them, those for size or want of room.
    too_large: u32,
    /// The session's figures wait for the views of a start.
    awaiting_views: bool,
    ended: bool,
}

/// Something that the driver waited for.
pub(crate) enum Done {
    /// Work that is done.
    Event(ServerEvent),
    /// What a proof came to.
    Proved(Proved),
    /// A push that is kept.
    Committed(ServerEvent),
    /// News of followed units.
    News(HubNews),
    /// The projection has come this far.
    Counted(Option<Sequence>),
    /// The store failed: the session cannot go on.
    Failed,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let serving = Serving::new(shared.catalog);
        Self {
            shared,
            serving,
            work: FuturesUnordered::new(),
            counting: None,
            appends: 0,
            turns: Turns::default(),
            out: VecDeque::new(),
            refused: 0,
            too_large: 0,
            awaiting_views: false,
            ended: false,
        }
    }

    /// Takes one event and does everything that follows from it at once.
    pub(crate) fn feed(&mut self, event: ServerEvent) {
        self.go_on(VecDeque::from([event]));
    }

    fn go_on(&mut self, mut ready: VecDeque<ServerEvent>) {
        while !self.ended {
            let Some(event) = ready.pop_front() else {
                // One reading decides both what is told and whether to wait, so that no progress falls between the two.
                let current = self.shared.counted.current();
                match self.serving.tell_counted(current) {
                    Some(counted) => ready.push_back(counted),
                    None => return self.await_count(current),
                }
                continue;
            };
            for effect in self.serving.handle(now(), event) {
                if let Some(answer) = self.perform(effect) {
                    ready.push_back(answer);
                }
            }
            self.end_when_too_much_is_refused();
        }
    }

    /// Waits for unfinished work or news; pending for ever when there is none. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Done {
        tokio::select! {
            // Its own push first: news of it are none then.
            biased;
            Some(done) = self.work.next() => done,
            news = news(self.serving.subscription()) => Done::News(news),
            counted = poll(&mut self.counting) => {
                self.counting = None;
                Done::Counted(counted)
            }
        }
    }

    /// Goes on with what [`Self::next`] brought.
    pub(crate) fn take(&mut self, done: Done) {
        match done {
            Done::Event(event) => {
                // Totals that come here are those that waited; all others are read at once.
                self.awaiting_views &= !matches!(event, ServerEvent::Answer(Answer::Totals { .. }));
                self.feed(event);
            }
            Done::Proved(proved) => {
                let event = self.serving.proved(&self.shared.hub, proved);
                self.feed(event);
            }
            Done::Committed(event) => {
                self.appends = self.appends.saturating_sub(1);
                self.feed(event);
            }
            Done::News(HubNews::Grew(grown)) => {
                for (unit, through) in grown {
                    self.feed(ServerEvent::Grew { unit, through });
                }
            }
            Done::News(HubNews::Revoked) => self.revoke(),
            Done::News(HubNews::Replaced) => {
                let detail =
                    format!("the device has opened a newer session; at most {SESSIONS_PER_DEVICE_MAX} are kept");
                self.say_goodbye(GoodbyeCode::Overload, &detail);
            }
            Done::News(HubNews::Moved) => self.moved(),
            Done::News(HubNews::Decided) => self.feed(ServerEvent::Decided),
            Done::Counted(Some(_)) => self.go_on(VecDeque::new()),
            Done::Counted(None) => {}
            Done::Failed => self.say_goodbye(GoodbyeCode::Internal, "the server could not read its store; try later"),
        }
    }

    /// Encoded frames to send, oldest first.
    pub(crate) fn pop_out(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// True once the connection is to be closed, after what is still to be sent.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Pushes on their way to the disk.
    pub(crate) fn appends(&self) -> usize {
        self.appends
    }

    /// True when the session waits for nothing and has said everything.
    pub(crate) fn is_quiescent(&self) -> bool {
        let session = self.serving.session();
        // Figures that wait for the views of a start keep no answer back.
        let quiescent =
            if self.awaiting_views { session.is_quiescent_but_for_totals() } else { session.is_quiescent() };
        quiescent && self.work.len() == usize::from(self.awaiting_views)
    }

    /// While the device owes an answer: how many it has given so far.
    pub(crate) fn awaits(&self) -> Option<u32> {
        self.serving.session().awaits()
    }

    /// True once the device was told anything that it did not know.
    pub(crate) fn has_news(&self) -> bool {
        self.ended || self.serving.session().has_news()
    }

    /// True once HELLO was accepted.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.serving.session().device().is_some()
    }

    /// True when the session only lets its device hand over what it has, and leave.
    pub(crate) fn is_leaving(&self) -> bool {
        self.serving.session().device().is_some_and(KnownDevice::is_leaving)
    }

    /// True once the session takes pushes.
    pub(crate) fn is_open(&self) -> bool {
        self.serving.session().is_live()
    }

    /// True while a HELLO is checked.
    pub(crate) fn is_proving(&self) -> bool {
        !self.ended && self.serving.session().is_proving()
    }

    /// True while a HELLO is checked, and from its acceptance to the session's first read of the log.
    pub(crate) fn is_opening(&self) -> bool {
        self.serving.is_opening()
    }

    /// True when there is nothing to wait for.
    pub(crate) fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Ends the session for a reason of the connection's owner.
    pub(crate) fn say_goodbye(&mut self, code: GoodbyeCode, detail: &str) {
        if !self.ended {
            self.shared.metrics.refused(RefusalKind::Goodbye(code));
            self.send(&Frame::Goodbye(Goodbye { code, detail: detail.to_owned() }));
            self.ended = true;
        }
    }

    fn perform(&mut self, effect: ServerEffect) -> Option<ServerEvent> {
        match self.serving.step(&self.shared.desk, &self.shared.hub, now(), effect) {
            Step::Answer(event) => return Some(event),
            Step::Work(work) => self.work(work),
            Step::Prove(proving) => self.prove(proving),
            Step::Append(push, batch) => self.append(push, batch),
            Step::Hold(hold) => self.hold(hold),
            Step::Send(frame) => self.send(&frame),
            Step::Count(refusal) => {
                self.shared.metrics.refused(refusal);
                if matches!(refusal, RefusalKind::Nack(code) if !code.is_temporary()) {
                    self.refused += 1;
                }
                self.too_large += u32::from(refusal == RefusalKind::Nack(NackCode::TooLarge));
            }
            Step::Moved(_) => self.moved(),
            Step::Ended => self.token_ended(),
            Step::Close => self.ended = true,
        }
        None
    }

    fn append(&mut self, push: Appending, batch: UnitBatch) {
        self.appends += 1;
        self.shared.metrics.pushes.inc();
        let returned_by = push.returned.then_some(push.by.device);
        if let Some(by) = returned_by {
            let (author, chunks) = (push.author, batch.batch.items.len());
            self.shared.metrics.returned_chunks.inc_by(chunks as u64);
            tracing::info!(%author, %by, chunks, "chunks returned that the log had lost");
        }
        let writer = self.shared.writer.clone();
        let shared = Arc::clone(&self.shared);
        let turn = self.turns.take();
        self.work.push(Box::pin(async move {
            let of_note = returned_by.map(|by| (by.author(), batch.batch.clone()));
            let noted = async {
                let Some((by, of_batch)) = of_note else { return true };
                let tasks = shared.tasks.clone();
                let noted = tasks.spawn_blocking(move || shared.note_returned(&of_batch, by)).await;
                noted.is_ok_and(|noted| noted.is_ok())
            };
            let outcome = append_in_turn(&writer, turn, batch, noted).await.map(desk::outcome);
            Done::Committed(push.answer(outcome))
        }));
    }

    /// After the whole answer to a push, so that its device keeps what was said of each item and does not bring it again.
    fn end_when_too_much_is_refused(&mut self) {
        let detail = if self.refused > REFUSED_ITEMS_MAX {
            format!("more than {REFUSED_ITEMS_MAX} items of this session were refused")
        } else if self.too_large > TOO_LARGE_ITEMS_MAX {
            format!("more than {TOO_LARGE_ITEMS_MAX} items of this session were too large, or found no room")
        } else {
            return;
        };
        self.say_goodbye(GoodbyeCode::Overload, &detail);
    }

    /// As durable as a push to the log, and counted like one: the server stops only once it is answered.
    fn hold(&mut self, pushed: Hold) {
        self.appends += 1;
        let shared = Arc::clone(&self.shared);
        self.work.push(Box::pin(async move {
            let tasks = shared.tasks.clone();
            let held = tasks.spawn_blocking(move || {
                let event = shared.desk.hold(pushed, now());
                if let ServerEvent::Committed(Committed::Held { outcome: Ok(outcome), .. }) = &event {
                    let held = outcome.fates.iter().filter(|fate| **fate == HoldFate::Held).count();
                    shared.metrics.review_held.inc_by(held as u64);
                }
                event
            });
            held.await.map_or(Done::Failed, Done::Committed)
        }));
    }

    fn prove(&mut self, proving: Proving) {
        self.shared.metrics.hellos_signed.inc();
        let shared = Arc::clone(&self.shared);
        self.work.push(Box::pin(async move {
            let of_check = Arc::clone(&shared);
            let proved = shared.checks.run(move || proving.check(&of_check.desk, now())).await;
            proved.map_or(Done::Failed, Done::Proved)
        }));
    }

    /// What may wait for the disk is not done here: the readers do what is short, and what walks through a whole unit gets a
    /// thread of its own, so that nobody's page waits for it.
    fn work(&mut self, work: Work) {
        match work {
            Work::Open(_) | Work::ReadPage(_) => self.read(work, false),
            // What a device has kept is noted also when it hangs up at once.
            Work::KeepTold(_) => self.read(work, true),
            Work::ReadElements(ReadElements { device, .. }) | Work::ReadWanted(ReadWanted { device, .. }) => {
                self.walk(work, device);
            }
            Work::VerifyCarried(_) => {
                let shared = Arc::clone(&self.shared);
                self.work.push(Box::pin(async move {
                    let of_check = Arc::clone(&shared);
                    work_done(shared.checks.run(move || of_check.perform(work, now())).await)
                }));
            }
            // A start reads what was stored of the views after it has begun to answer; nothing else of the session waits.
            Work::ReadTotals(_) => {
                let shared = Arc::clone(&self.shared);
                self.awaiting_views = true;
                self.work.push(Box::pin(async move {
                    shared.views.whole().await;
                    work_done(Some(shared.perform(work, now())))
                }));
            }
        }
    }

    fn read(&mut self, work: Work, needed: bool) {
        let shared = Arc::clone(&self.shared);
        // Held until the read is done, so that the server's end waits for it even when the session is gone.
        let task = shared.tasks.token();
        self.work.push(Box::pin(async move {
            let of_read = Arc::clone(&shared);
            let read = shared.readers.run(needed, move || {
                let answer = of_read.perform(work, now());
                drop(of_read);
                drop(task);
                answer
            });
            work_done(read.await)
        }));
    }

    fn walk(&mut self, work: Work, device: DeviceId) {
        let shared = Arc::clone(&self.shared);
        self.work.push(Box::pin(async move {
            let Some(place) = shared.read_places.take(Some(device)).await else { return Done::Failed };
            // Tracked, for the same reason.
            let tasks = shared.tasks.clone();
            let read = tasks.spawn_blocking(move || {
                let answer = shared.perform(work, now());
                drop(place);
                answer
            });
            work_done(read.await.ok())
        }));
    }

    fn send(&mut self, frame: &Frame) {
        if matches!(frame, Frame::Ack(_)) {
            self.shared.metrics.acks.inc();
        }
        let bytes = encode(frame);
        self.shared.metrics.frames_sent.inc();
        self.shared.metrics.bytes_sent.inc_by(bytes.len() as u64);
        self.out.push_back(bytes);
    }

    /// The next HELLO tells where.
    fn moved(&mut self) {
        self.say_goodbye(GoodbyeCode::Shutdown, "the device was moved to another unit; connect again");
    }

    fn token_ended(&mut self) {
        self.say_goodbye(GoodbyeCode::Unauthorized, "the device's token has ended; enrol again with a new invite");
    }

    /// Ends the session of a device whose record no longer says what the session began with, or whose token has ended. Who
    /// changes a record tells its sessions at once; a token ends by itself, so the owner of the connection asks now and then.
    pub(crate) fn look_at_footing(&mut self) {
        let device = self.serving.session().device();
        let Some(KnownDevice { principal, standing, .. }) = device.filter(|device| !device.is_leaving()) else {
            return;
        };
        match self.shared.trust.footing(principal, standing.revoked, now()) {
            Footing::Firm => {}
            Footing::Another => self.moved(),
            Footing::Ended => self.token_ended(),
        }
    }

    fn revoke(&mut self) {
        self.say_goodbye(GoodbyeCode::Revoked, "the device was revoked; ask your officer");
    }

    /// Waits for more to be counted than is, when the session wants that.
    fn await_count(&mut self, current: Sequence) {
        if self.counting.is_none()
            && let Some(target) = self.serving.awaits_count(current)
        {
            let counted = Arc::clone(&self.shared.counted);
            self.counting = Some(Box::pin(async move { counted.reached(target).await }));
        }
    }
}

/// What work comes to; `None` when it panicked.
fn work_done(work: Option<Result<ServerEvent, StoreError>>) -> Done {
    match work {
        Some(Ok(event)) => return Done::Event(event),
        Some(Err(error)) => tracing::error!(%error, "a session's read failed"),
        None => {}
    }
    Done::Failed
}

async fn news(subscription: Option<&Subscription>) -> HubNews {
    match subscription {
        Some(subscription) => subscription.news().await,
        None => std::future::pending().await,
    }
}

async fn poll<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
