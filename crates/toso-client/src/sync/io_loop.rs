//! The one place where a phone's session meets socket and store: performs the machine's effects in order.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use toso_replica::replica::SOCKET_AGAIN_MS;
use toso_replica::{Credential, Replica, ReplicaError};
use toso_store::StoreError;
use toso_sync::{ClientEffect, ClientEvent, ClientSession, SessionEnd};
use toso_wire::{DecodeError, Frame, Hello, decode};

use super::line::{Incoming, Line};
use super::post::PostLine;
use super::report::{SyncError, SyncOptions, SyncReport};
use super::transport::{Address, DialError, Dialled, Meter, dial};
use crate::asking::fetch_carry_pass;
use crate::listening::Watch;

/// How long a one-shot exchange waits for card and bundle key once everything is exchanged: one request over 2G.
const PASS_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(15);

/// What the loop tells its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopNews {
    /// The upgrade was accepted.
    Connected,
    /// Some of the work is done.
    Progress { done: u64, total: u64 },
    /// Everything is exchanged, but for so many changes that the centre does not take now.
    UpToDate { waiting: u64 },
}

/// How a session ends by itself.
#[derive(Debug, Clone)]
pub(super) enum Until {
    /// Once everything is exchanged (and counted, or the linger is over).
    UpToDate,
    /// Never: it stays for live changes, and is told of those made here.
    Stopped(Arc<Watch>),
}

impl Until {
    /// Waits for an edit, where the session stays.
    async fn outbox_grew(&self) {
        match self {
            Self::UpToDate => std::future::pending().await,
            Self::Stopped(watch) => watch.outbox_grew().await,
        }
    }
}

/// The bytes of a line.
struct Cost {
    meter: Arc<Meter>,
    /// HELLO's token in the upgrade request; of requests, all their frames.
    hello_bytes: u64,
    /// All else of the upgrade request; `None` of requests, where it is all else of what went up.
    http_bytes_up: Option<u64>,
}

/// How a session over requests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByRequests {
    /// Everything is exchanged.
    Done,
    /// The socket is to be tried again.
    TrySocket,
}

/// Since when an answer is awaited, and how many there were then.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    since: Instant,
    answers: u64,
}

impl Awaited {
    /// Since when an answer is awaited; from the last one when there was one.
    fn of(session: &ClientSession, before: Option<Self>) -> Option<Self> {
        let answers = session.answers();
        session.awaits().then(|| match before {
            Some(before) if before.answers == answers => before,
            _ => Self { since: Instant::now(), answers },
        })
    }
}

/// One session, from dialling to closing.
pub(super) struct IoLoop<'a> {
    pub(super) replica: Arc<Replica>,
    pub(super) credential: &'a Credential,
    pub(super) options: SyncOptions,
    pub(super) until: Until,
    pub(super) news: Option<mpsc::UnboundedSender<LoopNews>>,
    report: SyncReport,
    /// What goes through the line, once there is one.
    cost: Option<Cost>,
    /// Bytes of frames received.
    frames_down: u64,
    /// Frames that came over this line.
    frames_heard: u64,
    /// Sockets do not work here, which is remembered as soon as requests do.
    suspects_socket: bool,
    socket_again: Option<Instant>,
    /// Entries that waited when the session began; grows with new ones.
    to_push: u64,
    /// Something went out since the server was last heard.
    awaiting: bool,
    linger_until: Option<Instant>,
    /// The centre takes nothing more of this device until then.
    rests_until: Option<Instant>,
    finished: bool,
}

fn in_ms(delay_ms: u64) -> Instant {
    Instant::now() + std::time::Duration::from_millis(delay_ms)
}

/// True for what the replica performs, and for progress, which is told after that.
fn is_of_store(effect: &ClientEffect) -> bool {
    !matches!(effect, ClientEffect::Send(_) | ClientEffect::UpToDate { .. } | ClientEffect::End(_))
}

impl<'a> IoLoop<'a> {
    pub(super) fn new(
        replica: Arc<Replica>,
        credential: &'a Credential,
        options: SyncOptions,
        until: Until,
        news: Option<mpsc::UnboundedSender<LoopNews>>,
    ) -> Self {
        Self {
            replica,
            credential,
            options,
            until,
            news,
            report: SyncReport::default(),
            cost: None,
            frames_down: 0,
            frames_heard: 0,
            suspects_socket: false,
            socket_again: None,
            to_push: 0,
            awaiting: false,
            linger_until: None,
            rests_until: None,
            finished: false,
        }
    }

    /// What the session has cost and done so far, also when [`Self::run`] was dropped before its end.
    pub(super) fn report(&self) -> SyncReport {
        let Some(cost) = &self.cost else { return self.report };
        let (up, down) = (cost.meter.up(), cost.meter.down());
        let http_bytes_up = cost.http_bytes_up.unwrap_or_else(|| up.saturating_sub(cost.hello_bytes));
        let of_line = SyncReport {
            bytes_up: cost.hello_bytes + up.saturating_sub(cost.hello_bytes + http_bytes_up),
            bytes_down: self.frames_down,
            http_bytes_up,
            http_bytes_down: down.saturating_sub(self.frames_down),
            ..SyncReport::default()
        };
        SyncReport {
            bytes_up: self.report.bytes_up + of_line.bytes_up,
            bytes_down: self.report.bytes_down + of_line.bytes_down,
            http_bytes_up: self.report.http_bytes_up + of_line.http_bytes_up,
            http_bytes_down: self.report.http_bytes_down + of_line.http_bytes_down,
            ..self.report
        }
    }

    fn stays(&self) -> bool {
        matches!(self.until, Until::Stopped(_))
    }

    /// Runs the session, and fetches what is due for helping others once everything is exchanged.
    pub(super) async fn run(&mut self) -> Result<(), SyncError> {
        self.exchange_by_any_way().await?;
        // Only a session that ends by itself comes here; one that stays has fetched it already.
        if let Some(fetching) = self.fetch_pass().await? {
            // Without it everything is exchanged all the same, and the next session asks again.
            let _ = timeout(PASS_TIME_MAX, fetching).await;
        }
        Ok(())
    }

    /// Over a socket, and by requests where sockets do not work.
    async fn exchange_by_any_way(&mut self) -> Result<(), SyncError> {
        loop {
            let remembered = self.blocking(Replica::goes_by_requests).await?;
            let failed = if remembered { None } else { self.by_socket().await? };
            let Some(failed) = failed else {
                if !remembered || self.by_requests_again().await? == ByRequests::Done {
                    return Ok(());
                }
                self.new_line();
                continue;
            };
            self.new_line();
            self.suspects_socket = true;
            return match self.by_requests().await {
                Ok(_) => Ok(()),
                // Requests did not come through either: the network has what the socket said of it.
                Err(error) if self.frames_heard == 0 => Err(failed.and_by_requests(&error)),
                Err(error) => Err(error),
            };
        }
    }

    /// One session over a socket. `Some` when it did not work in a way in which requests may work all the same.
    async fn by_socket(&mut self) -> Result<Option<SyncError>, SyncError> {
        let (mut session, hello) = self.begin(false).await?;
        let meter = Arc::new(Meter::default());
        let dialling =
            dial(&self.credential.server_url, &self.credential.reach, &hello, &meter, self.options.connect_timeout);
        let Dialled { socket, hello_bytes, http_bytes_up } = match dialling.await {
            Ok(dialled) => dialled,
            Err(DialError::Final(error)) => return Err(error),
            Err(DialError::Upgrade(error)) => {
                if matches!(error, SyncError::Unreachable { .. }) {
                    self.cut(&mut session).await?;
                }
                return Ok(Some(error));
            }
        };
        // The upgrade carried HELLO up and its acceptance down.
        self.report.round_trips += 1;
        self.cost = Some(Cost { meter, hello_bytes, http_bytes_up: Some(http_bytes_up) });
        self.tell(LoopNews::Connected);
        let mut line = Line::Socket(Box::new(socket));
        let result = self.exchange(&mut session, &mut line).await;
        line.close().await;
        match result {
            Err(error @ SyncError::Stalled { .. }) => Ok(Some(error)),
            Err(error @ (SyncError::Lost | SyncError::Protocol { .. })) if self.frames_heard == 0 => Ok(Some(error)),
            result => result.map(|_| None),
        }
    }

    /// One session where requests worked before. The next one tries a socket, when it is time to or they did not.
    async fn by_requests_again(&mut self) -> Result<ByRequests, SyncError> {
        let ended = self.by_requests().await;
        let refused = self.frames_heard == 0 && !matches!(ended, Err(SyncError::Unreachable { .. }));
        if refused || matches!(ended, Ok(ByRequests::TrySocket)) {
            self.blocking(|replica, _| replica.network_is_another()).await?;
        }
        ended
    }

    /// One session by requests.
    async fn by_requests(&mut self) -> Result<ByRequests, SyncError> {
        let (mut session, hello) = self.begin(true).await?;
        let address = Address::of(&self.credential.server_url, &self.credential.reach)?;
        let meter = Arc::new(Meter::default());
        self.cost = Some(Cost { meter: Arc::clone(&meter), hello_bytes: 0, http_bytes_up: None });
        let again = std::time::Duration::from_millis(SOCKET_AGAIN_MS);
        self.socket_again = self.stays().then(|| Instant::now() + again);
        let mut line = Line::Post(Box::new(PostLine::new(address, meter, hello)));
        let result = self.exchange(&mut session, &mut line).await;
        line.close().await;
        self.socket_again = None;
        result
    }

    /// The machine of a session, and its first HELLO.
    async fn begin(&mut self, by_request: bool) -> Result<(ClientSession, Hello), SyncError> {
        let live = self.stays();
        let begin = move |replica: &Replica, credential: &Credential| {
            let start = replica.session_start(credential, live)?;
            Ok::<_, ReplicaError>((start, replica.outbox_len()?, replica.rests_for_ms()?))
        };
        let (mut start, to_push, rests_for_ms) = self.blocking(begin).await?;
        self.rests_until = rests_for_ms.filter(|_| start.resting).map(in_ms);
        (start.by_request, start.live) = (by_request, start.live && !by_request);
        self.to_push = self.report.acked + to_push as u64;
        let riding = start.first.as_ref().map_or(0, |batch| batch.items.len() as u64);
        let (session, hello) = ClientSession::new(start);
        if hello.push.is_some() {
            self.report.pushed += riding;
        }
        Ok((session, hello))
    }

    /// The connection broke before the session began.
    async fn cut(&mut self, session: &mut ClientSession) -> Result<(), SyncError> {
        let of_store = session.handle(ClientEvent::Disconnected).into_iter().filter(is_of_store).collect();
        self.perform_all(of_store).await.map(drop)
    }

    /// What the line has cost stays in the report; the next one counts anew.
    fn new_line(&mut self) {
        self.report = self.report();
        // What was on its way goes again.
        self.report.pushed = self.report.acked + self.report.refused;
        (self.cost, self.frames_down, self.frames_heard, self.awaiting) = (None, 0, 0, false);
        self.linger_until = None;
    }

    async fn exchange(&mut self, session: &mut ClientSession, line: &mut Line) -> Result<ByRequests, SyncError> {
        let mut events = VecDeque::from([ClientEvent::Connected]);
        let begun = Instant::now();
        let mut heard = begun;
        let mut awaited: Option<Awaited> = None;
        loop {
            while let Some(event) = events.pop_front() {
                let mut of_store = Vec::new();
                for effect in session.handle(event) {
                    if is_of_store(&effect) {
                        of_store.push(effect);
                        continue;
                    }
                    events.extend(self.perform_all(std::mem::take(&mut of_store)).await?);
                    if let Some(answer) = self.perform(effect, line).await? {
                        events.push_back(answer);
                    }
                }
                events.extend(self.perform_all(of_store).await?);
            }
            if self.finished {
                return Ok(ByRequests::Done);
            }
            if let Line::Post(post) = line
                && post.is_idle()
            {
                if !session.awaits() && self.socket_again.is_some_and(|again| again <= Instant::now()) {
                    return Ok(ByRequests::TrySocket);
                }
                self.next_request(session, post).await?;
                heard = Instant::now();
            }
            awaited = Awaited::of(session, awaited);
            let greeting_since = (!session.is_greeted()).then_some(begun);
            let deadline = self.deadline(heard, awaited, greeting_since);
            tokio::select! {
                incoming = line.next() => {
                    heard = Instant::now();
                    events.extend(self.on_incoming(incoming, line).await?);
                }
                () = self.until.outbox_grew(), if self.stays() && line.may_be_left() => {
                    if let Line::Post(post) = line {
                        post.leave();
                    }
                    self.to_push = self.report.acked
                        + self.blocking(|replica, _| replica.outbox_len()).await? as u64;
                    events.push_back(ClientEvent::LocalEdit);
                }
                () = sleep_until(self.rests_until.unwrap_or(deadline)), if self.rests_until.is_some() && line.may_be_left() => {
                    if let Line::Post(post) = line {
                        post.leave();
                    }
                    self.rests_until = None;
                    events.push_back(ClientEvent::Rested);
                }
                () = sleep_until(deadline) => {
                    if self.linger_until.is_some() {
                        return Ok(ByRequests::Done);
                    }
                    // What was awaited was too much for the link, or never came through.
                    self.cut(session).await?;
                    let since = greeting_since.or(awaited.map(|awaited| awaited.since)).unwrap_or(heard);
                    let seconds = (Instant::now() - since).as_secs();
                    return Err(SyncError::Stalled { seconds });
                }
            }
        }
    }

    /// Makes the next request, from where the device stands now. It waits for news when there is nothing else to say.
    async fn next_request(&mut self, session: &mut ClientSession, post: &mut PostLine) -> Result<(), SyncError> {
        let hello = if let Some(hello) = post.ready_hello() {
            hello
        } else {
            let start = self.blocking(|replica, credential| replica.session_start(credential, false)).await?;
            let live = !session.awaits() && !post.has_queued();
            session.hello_again(start, live)
        };
        post.ask(hello);
        self.report.round_trips += 1;
        if let Some(cost) = &mut self.cost {
            cost.hello_bytes = post.frames_up;
        }
        if self.report.round_trips == 1 {
            self.tell(LoopNews::Connected);
        }
        Ok(())
    }

    /// When the session ends, if nothing comes. What only shows that the other side is there does not count while an
    /// answer is awaited. Until WELCOME the time counts from the start: a CHALLENGE does not begin it anew.
    fn deadline(&self, heard: Instant, awaited: Option<Awaited>, greeting_since: Option<Instant>) -> Instant {
        if let Some(until) = self.linger_until {
            return until;
        }
        let silent = heard + self.options.silence_max;
        if let Some(begun) = greeting_since {
            return silent.min(begun + self.options.greeting_max);
        }
        let Some(Awaited { since, .. }) = awaited else { return silent };
        silent.min(since + self.options.answer_max)
    }

    async fn on_incoming(&mut self, incoming: Incoming, line: &mut Line) -> Result<Option<ClientEvent>, SyncError> {
        match incoming {
            Incoming::Frame(bytes, of_line) => {
                self.frames_down += of_line;
                if std::mem::take(&mut self.awaiting) {
                    self.report.round_trips += 1;
                }
                let frame = match decode(&bytes) {
                    Ok(frame) => frame,
                    // A newer server says something that this version need not know: it would say GOODBYE otherwise.
                    Err(DecodeError::UnknownType { .. }) => {
                        self.report.unknown += 1;
                        return Ok(None);
                    }
                    Err(error) => return Err(self.protocol(&error.to_string())),
                };
                self.frames_heard += 1;
                let Line::Post(post) = line else { return Ok(Some(ClientEvent::Frame(frame))) };
                if std::mem::take(&mut self.suspects_socket) {
                    self.blocking(Replica::go_by_requests).await?;
                }
                Ok(Some(ClientEvent::Frame(post.numbered(frame))))
            }
            Incoming::Answered { pushes_through } => Ok(Some(ClientEvent::Answered { pushes_through })),
            Incoming::Sign(of_line) => {
                self.frames_down += of_line;
                Ok(None)
            }
            Incoming::Gone => Ok(Some(ClientEvent::Disconnected)),
            Incoming::Failed(error) => Err(error),
        }
    }

    /// Begins to ask for the device's card and its unit's bundle key, when that is due.
    async fn fetch_pass(&self) -> Result<Option<JoinHandle<()>>, SyncError> {
        let is_due = self.blocking(|replica, _| replica.pass_is_due()).await?;
        let replica = Arc::clone(&self.replica);
        Ok(is_due.then(|| {
            tokio::task::spawn_blocking(move || {
                // Still due when it fails.
                let _ = fetch_carry_pass(&replica, None);
            })
        }))
    }

    async fn perform(&mut self, effect: ClientEffect, line: &mut Line) -> Result<Option<ClientEvent>, SyncError> {
        match effect {
            ClientEffect::Send(frame) => {
                if let Frame::Push(push) = &frame {
                    self.report.pushed += push.items.len() as u64;
                }
                // Each request counts itself.
                self.awaiting |= matches!(line, Line::Socket(_));
                // A socket that does not take a frame in this time is as good as gone.
                let sent = timeout(self.options.silence_max, line.send(frame));
                if sent.await != Ok(true) {
                    return Ok(Some(ClientEvent::Disconnected));
                }
            }
            ClientEffect::UpToDate { counted } => {
                self.report.up_to_date = true;
                self.report.counted = counted;
                self.report.waiting = match self.rests_until {
                    Some(_) => self.blocking(|replica, _| replica.outbox_len()).await? as u64,
                    None => 0,
                };
                self.tell(LoopNews::UpToDate { waiting: self.report.waiting });
                if !self.stays() {
                    self.finished = counted;
                    self.linger_until.get_or_insert_with(|| Instant::now() + self.options.linger);
                } else {
                    // Nothing waits for it.
                    drop(self.fetch_pass().await?);
                }
            }
            ClientEffect::End(end) => return Err(self.ended(end)),
            other @ (ClientEffect::Prove(_)
            | ClientEffect::ReadOutbox { .. }
            | ClientEffect::Rest { .. }
            | ClientEffect::KeepSession { .. }
            | ClientEffect::CommitDelta(_)
            | ClientEffect::ReadElements { .. }
            | ClientEffect::CommitChunks(_)
            | ClientEffect::CommitReconciled { .. }
            | ClientEffect::CommitAck { .. }
            | ClientEffect::CommitRefused { .. }
            | ClientEffect::KeepReceipt(_)
            | ClientEffect::Move(_)
            | ClientEffect::KeepDecisions { .. }
            | ClientEffect::KeepPace(_)
            | ClientEffect::DropHeldCopies
            | ClientEffect::Purge(_)
            | ClientEffect::Erase(_)
            | ClientEffect::Progress { .. }) => return Ok(self.perform_all(vec![other]).await?.pop()),
        }
        Ok(None)
    }

    /// Performs effects of the store one after the other, on one thread; tells progress once they are done.
    async fn perform_all(&mut self, effects: Vec<ClientEffect>) -> Result<Vec<ClientEvent>, SyncError> {
        if effects.is_empty() {
            return Ok(Vec::new());
        }
        let mut progress = None;
        for effect in &effects {
            match effect {
                ClientEffect::CommitAck { accepted, .. } => self.report.acked += accepted.len() as u64,
                ClientEffect::CommitRefused { refused } => self.report.refused += refused.len() as u64,
                ClientEffect::Rest { delay_ms } => {
                    self.rests_until = (*delay_ms > 0).then(|| in_ms(*delay_ms));
                }
                ClientEffect::Progress { pushed, pulled, pull_pending } => {
                    self.report.pulled = *pulled;
                    let total = self.to_push.max(*pushed) + pulled + pull_pending;
                    progress = Some(LoopNews::Progress { done: pushed + pulled, total });
                }
                ClientEffect::Prove(_)
                | ClientEffect::Send(_)
                | ClientEffect::ReadOutbox { .. }
                | ClientEffect::KeepSession { .. }
                | ClientEffect::CommitDelta(_)
                | ClientEffect::ReadElements { .. }
                | ClientEffect::CommitChunks(_)
                | ClientEffect::CommitReconciled { .. }
                | ClientEffect::KeepReceipt(_)
                | ClientEffect::Move(_)
                | ClientEffect::KeepDecisions { .. }
                | ClientEffect::KeepPace(_)
                | ClientEffect::DropHeldCopies
                | ClientEffect::Purge(_)
                | ClientEffect::Erase(_)
                | ClientEffect::UpToDate { .. }
                | ClientEffect::End(_) => {}
            }
        }
        let perform = move |replica: &Replica, credential: &Credential| {
            let answers = effects.into_iter().map(|effect| replica.perform(credential, effect));
            answers.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()
        };
        let answers = self.blocking(perform).await?;
        if let Some(progress) = progress {
            self.tell(progress);
        }
        Ok(answers)
    }

    fn ended(&self, end: SessionEnd) -> SyncError {
        match end {
            SessionEnd::Moved => SyncError::Moved,
            SessionEnd::RetryAfter { delay_ms } => SyncError::RetryAfter { delay_ms },
            SessionEnd::Refused { code, detail } => SyncError::Refused { code, detail },
            SessionEnd::Protocol(detail) => self.protocol(detail),
            SessionEnd::NotProved => SyncError::NotProved { url: self.credential.server_url.clone() },
            SessionEnd::Lost | SessionEnd::Unanswered => SyncError::Lost,
        }
    }

    fn protocol(&self, detail: &str) -> SyncError {
        SyncError::Protocol { url: self.credential.server_url.clone(), detail: detail.to_owned() }
    }

    fn tell(&self, news: LoopNews) {
        if let Some(listener) = &self.news {
            // A listener that has gone does not want to know.
            let _ = listener.send(news);
        }
    }

    /// Store calls that wait for a disk get a thread of their own.
    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Replica, &Credential) -> Result<T, E> + Send + 'static,
    ) -> Result<T, SyncError>
    where
        T: Send + 'static,
        E: Into<SyncError> + Send + 'static,
    {
        if !self.replica.store().waits_for_disk() {
            return work(&self.replica, self.credential).map_err(Into::into);
        }
        let (replica, credential) = (Arc::clone(&self.replica), self.credential.clone());
        match tokio::task::spawn_blocking(move || work(&replica, &credential)).await {
            Ok(result) => result.map_err(Into::into),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(SyncError::Lost),
        }
    }
}

#[cfg(test)]
mod tests;
