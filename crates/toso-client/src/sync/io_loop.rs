//! The one place where a phone's session meets socket and store: performs the machine's effects in order.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use toso_store::StoreError;
use toso_sync::{ClientEffect, ClientEvent, ClientSession, SessionEnd};
use toso_wire::{Frame, decode, encode};

use super::report::{SyncError, SyncOptions, SyncReport};
use super::transport::{Dialled, Meter, dial, message_bytes};
use crate::credential::Credential;
use crate::replica::{Replica, ReplicaError};

/// What the loop tells whoever runs it.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Once everything is exchanged (and counted, or the linger is over).
    UpToDate,
    /// Never: it stays for live changes.
    Stopped,
}

/// The bytes of a connection.
struct Line {
    meter: Arc<Meter>,
    /// HELLO's token in the request.
    hello_bytes: u64,
    /// All else of the request.
    http_bytes_up: u64,
}

/// One session, from dialling to closing.
pub(super) struct IoLoop<'a> {
    pub(super) replica: Arc<Replica>,
    pub(super) credential: &'a Credential,
    pub(super) options: SyncOptions,
    pub(super) until: Until,
    pub(super) news: Option<mpsc::UnboundedSender<LoopNews>>,
    report: SyncReport,
    /// What goes through the connection, once there is one.
    line: Option<Line>,
    /// Bytes of frames received.
    frames_down: u64,
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
            line: None,
            frames_down: 0,
            to_push: 0,
            awaiting: false,
            linger_until: None,
            rests_until: None,
            finished: false,
        }
    }

    /// What the session has cost and done so far, also when [`Self::run`] was dropped before its end.
    pub(super) fn report(&self) -> SyncReport {
        let Some(line) = &self.line else { return self.report };
        let (up, down) = (line.meter.up(), line.meter.down());
        SyncReport {
            bytes_up: line.hello_bytes + up.saturating_sub(line.hello_bytes + line.http_bytes_up),
            bytes_down: self.frames_down,
            http_bytes_up: line.http_bytes_up,
            http_bytes_down: down.saturating_sub(self.frames_down),
            ..self.report
        }
    }

    /// Runs the session.
    pub(super) async fn run(&mut self) -> Result<(), SyncError> {
        let live = self.until == Until::Stopped;
        let begin = move |replica: &Replica, credential: &Credential| {
            let start = replica.session_start(credential, live)?;
            Ok::<_, ReplicaError>((start, replica.outbox_len()?, replica.rests_for_ms()?))
        };
        let (start, to_push, rests_for_ms) = self.blocking(begin).await?;
        self.rests_until = rests_for_ms.filter(|_| start.resting).map(in_ms);
        self.to_push = to_push as u64;
        let riding = start.first.as_ref().map_or(0, |batch| batch.items.len() as u64);
        let (mut session, hello) = ClientSession::new(start);
        if hello.push.is_some() {
            self.report.pushed += riding;
        }
        let dialling = dial(&self.credential.server_url, &hello);
        let Dialled { mut socket, meter, hello_bytes, http_bytes_up } =
            tokio::time::timeout(self.options.connect_timeout, dialling).await.map_err(|_| {
                SyncError::Unreachable {
                    url: self.credential.server_url.clone(),
                    detail: format!("no answer within {} s", self.options.connect_timeout.as_secs()),
                }
            })??;
        // The upgrade carried HELLO up and its acceptance down.
        self.report.round_trips = 1;
        self.line = Some(Line { meter, hello_bytes, http_bytes_up });
        self.tell(LoopNews::Connected);
        let result = self.exchange(&mut session, &mut socket).await;
        // Dropping the socket without a close frame would look like a cut; how the peer answers no longer matters.
        let _ = socket.close(None).await;
        result
    }

    async fn exchange(
        &mut self,
        session: &mut ClientSession,
        socket: &mut super::transport::Socket,
    ) -> Result<(), SyncError> {
        let mut events = VecDeque::from([ClientEvent::Connected]);
        let mut heard = Instant::now();
        loop {
            while let Some(event) = events.pop_front() {
                let mut of_store = Vec::new();
                for effect in session.handle(event) {
                    if is_of_store(&effect) {
                        of_store.push(effect);
                        continue;
                    }
                    events.extend(self.perform_all(std::mem::take(&mut of_store)).await?);
                    if let Some(answer) = self.perform(effect, socket).await? {
                        events.push_back(answer);
                    }
                }
                events.extend(self.perform_all(of_store).await?);
            }
            if self.finished {
                return Ok(());
            }
            let deadline = self.linger_until.unwrap_or(heard + self.options.silence_max);
            tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => {
                            self.frames_down += message_bytes(&message);
                            events.extend(self.on_message(message)?);
                        }
                        Some(Err(_)) | None => events.push_back(ClientEvent::Disconnected),
                    }
                }
                () = self.replica.outbox_grew(), if self.until == Until::Stopped => {
                    self.to_push = self.report.acked
                        + self.blocking(|replica, _| replica.outbox_len()).await? as u64;
                    events.push_back(ClientEvent::LocalEdit);
                }
                () = sleep_until(self.rests_until.unwrap_or(deadline)), if self.rests_until.is_some() => {
                    self.rests_until = None;
                    events.push_back(ClientEvent::Rested);
                }
                () = sleep_until(deadline) => {
                    if self.linger_until.is_some() {
                        return Ok(());
                    }
                    return Err(SyncError::Lost);
                }
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Result<Option<ClientEvent>, SyncError> {
        match message {
            Message::Binary(bytes) => {
                if std::mem::take(&mut self.awaiting) {
                    self.report.round_trips += 1;
                }
                let frame = decode(&bytes).map_err(|error| self.protocol(&error.to_string()))?;
                Ok(Some(ClientEvent::Frame(frame)))
            }
            Message::Close(_) => Ok(Some(ClientEvent::Disconnected)),
            Message::Text(_) => Err(self.protocol("a text message came")),
            _ => Ok(None),
        }
    }

    async fn perform(
        &mut self,
        effect: ClientEffect,
        socket: &mut super::transport::Socket,
    ) -> Result<Option<ClientEvent>, SyncError> {
        match effect {
            ClientEffect::Send(frame) => {
                if let Frame::Push(push) = &frame {
                    self.report.pushed += push.items.len() as u64;
                }
                self.awaiting = true;
                // A socket that does not take a frame in this time is as good as gone.
                let sent = tokio::time::timeout(self.options.silence_max, socket.send(Message::binary(encode(&frame))));
                if !matches!(sent.await, Ok(Ok(()))) {
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
                if self.until == Until::UpToDate {
                    self.finished = counted;
                    self.linger_until.get_or_insert_with(|| Instant::now() + self.options.linger);
                }
            }
            ClientEffect::End(end) => return Err(self.ended(end)),
            other => return Ok(self.perform_all(vec![other]).await?.pop()),
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
                _ => {}
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
            _ => SyncError::Lost,
        }
    }

    fn protocol(&self, detail: &str) -> SyncError {
        SyncError::Protocol { url: self.credential.server_url.clone(), detail: detail.to_owned() }
    }

    fn tell(&self, news: LoopNews) {
        if let Some(listener) = &self.news {
            // Whoever stopped listening does not want to know.
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
