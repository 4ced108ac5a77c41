//! The one place where a phone's exchange meets socket, store and time: performs what its machine
//! ([`toso_replica::exchange`]) wants, in order, and brings it what came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use toso_replica::exchange::{Beginning, Exchange, ExchangeEffect, ExchangeEvent, ExchangeNews, Moment};
use toso_replica::{Credential, Replica, ReplicaError, SyncError, SyncOptions, SyncReport};
use toso_store::StoreError;

use super::line::{Incoming, Line};
use super::post::PostLine;
use super::transport::{Address, Dialled, Meter, dial};
use crate::asking::fetch_carry_pass;
use crate::listening::Watch;

/// How long a one-shot exchange waits for card and bundle key once everything is exchanged: one request over 2G.
const PASS_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a line takes to close at most: a packet to the server and back over 2G. A network that is gone takes nothing more,
/// and what it has not acknowledged would hold the close for a quarter of an hour.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

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
    /// Bytes of frames received.
    frames_down: u64,
}

impl Cost {
    fn report(&self) -> SyncReport {
        let (up, down) = (self.meter.up(), self.meter.down());
        let http_bytes_up = self.http_bytes_up.unwrap_or_else(|| up.saturating_sub(self.hello_bytes));
        SyncReport {
            bytes_up: self.hello_bytes + up.saturating_sub(self.hello_bytes + http_bytes_up),
            bytes_down: self.frames_down,
            http_bytes_up,
            http_bytes_down: down.saturating_sub(self.frames_down),
            ..SyncReport::default()
        }
    }
}

/// An open line, and what goes through it.
struct OpenLine {
    line: Line,
    cost: Cost,
}

/// What performing an effect led to.
enum Performed {
    Nothing,
    Event(ExchangeEvent),
    End(Result<(), SyncError>),
}

/// One session, from dialling to closing.
pub(super) struct IoLoop<'a> {
    replica: Arc<Replica>,
    credential: &'a Credential,
    options: SyncOptions,
    until: Until,
    news: Option<mpsc::UnboundedSender<ExchangeNews>>,
    exchange: Exchange,
    /// What the exchange wants first.
    first: Vec<ExchangeEffect>,
    /// Where its time begins.
    begun: Instant,
    open: Option<OpenLine>,
    /// The bytes of lines that are closed.
    closed: SyncReport,
}

impl<'a> IoLoop<'a> {
    pub(super) fn new(
        replica: Arc<Replica>,
        credential: &'a Credential,
        options: SyncOptions,
        until: Until,
        news: Option<mpsc::UnboundedSender<ExchangeNews>>,
    ) -> Self {
        let stays = matches!(until, Until::Stopped(_));
        let (exchange, first) = Exchange::start(&credential.server_url, options, stays);
        let (begun, closed) = (Instant::now(), SyncReport::default());
        Self { replica, credential, options, until, news, exchange, first, begun, open: None, closed }
    }

    /// What the session has cost and done so far, also when [`Self::run`] was dropped before its end.
    pub(super) fn report(&self) -> SyncReport {
        let open = self.open.as_ref().map(|open| open.cost.report()).unwrap_or_default();
        SyncReport {
            bytes_up: self.closed.bytes_up + open.bytes_up,
            bytes_down: self.closed.bytes_down + open.bytes_down,
            http_bytes_up: self.closed.http_bytes_up + open.http_bytes_up,
            http_bytes_down: self.closed.http_bytes_down + open.http_bytes_down,
            ..self.exchange.report()
        }
    }

    /// Runs the session, and fetches what is due for helping others once everything is exchanged.
    pub(super) async fn run(&mut self) -> Result<(), SyncError> {
        self.exchange().await?;
        // Only a session that ends by itself comes here; one that stays has fetched it already.
        if let Some(fetching) = self.fetch_pass().await? {
            // Without it everything is exchanged all the same, and the next session asks again.
            let _ = timeout(PASS_TIME_MAX, fetching).await;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<(), SyncError> {
        let mut events = VecDeque::new();
        let mut effects = std::mem::take(&mut self.first);
        loop {
            for effect in effects {
                match self.perform(effect).await {
                    Ok(Performed::Nothing) => {}
                    Ok(Performed::Event(event)) => events.push_back(event),
                    Ok(Performed::End(result)) => return result,
                    Err(error) => {
                        events = VecDeque::from([ExchangeEvent::Failed(error)]);
                        break;
                    }
                }
            }
            let event = match events.pop_front() {
                Some(event) => event,
                None => self.next().await.unwrap_or_else(ExchangeEvent::Failed),
            };
            effects = self.exchange.handle(self.now(), event);
        }
    }

    /// Time as the exchange counts it.
    fn now(&self) -> Moment {
        Moment::default().plus(self.begun.elapsed())
    }

    /// Waits for what comes over the line, for an edit, or for the time that the exchange has set.
    async fn next(&mut self) -> Result<ExchangeEvent, SyncError> {
        let deadline = self.exchange.deadline().map(|at| self.begun + at.since(Moment::default()));
        let hears_edits = self.exchange.hears_edits();
        let incoming = async {
            match &mut self.open {
                Some(open) => open.line.next().await,
                None => std::future::pending().await,
            }
        };
        let time = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let incoming = tokio::select! {
            incoming = incoming => incoming,
            () = self.until.outbox_grew(), if hears_edits => {
                let waiting = self.blocking(|replica, _| replica.outbox_len()).await? as u64;
                return Ok(ExchangeEvent::OutboxGrew { waiting });
            }
            () = time => return Ok(ExchangeEvent::Time),
        };
        Ok(match incoming {
            Incoming::Frame(bytes, of_line) => {
                self.count_down(of_line);
                ExchangeEvent::Frame(bytes)
            }
            Incoming::Sign(of_line) => {
                self.count_down(of_line);
                ExchangeEvent::Sign
            }
            Incoming::Answered => ExchangeEvent::Answered,
            Incoming::Gone => ExchangeEvent::Gone,
            Incoming::Failed(error) => ExchangeEvent::Failed(error),
        })
    }

    fn count_down(&mut self, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.cost.frames_down += bytes;
        }
    }

    async fn perform(&mut self, effect: ExchangeEffect) -> Result<Performed, SyncError> {
        let event = match effect {
            ExchangeEffect::ReadWay => {
                ExchangeEvent::Way { by_requests: self.blocking(Replica::goes_by_requests).await? }
            }
            ExchangeEffect::KeepWay { by_requests: true } => {
                self.blocking(Replica::go_by_requests).await?;
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::KeepWay { by_requests: false } => {
                self.blocking(|replica, _| replica.network_is_another()).await?;
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::Begin { live } => ExchangeEvent::Begun(Box::new(self.begin(live).await?)),
            ExchangeEffect::ReadStart => {
                let start = self.blocking(|replica, credential| replica.session_start(credential, false)).await?;
                ExchangeEvent::Started(Box::new(start))
            }
            ExchangeEffect::Dial(hello) => {
                let meter = Arc::new(Meter::default());
                let (url, reach) = (&self.credential.server_url, &self.credential.reach);
                match dial(url, reach, &hello, &meter, self.options.connect_timeout).await {
                    Ok(Dialled { socket, hello_bytes, http_bytes_up }) => {
                        let cost = Cost { meter, hello_bytes, http_bytes_up: Some(http_bytes_up), frames_down: 0 };
                        self.open = Some(OpenLine { line: Line::Socket(Box::new(socket)), cost });
                        ExchangeEvent::Dialled
                    }
                    Err(failure) => ExchangeEvent::NotDialled(failure),
                }
            }
            ExchangeEffect::Send(frame) => {
                let Some(open) = &mut self.open else { return Ok(Performed::Event(ExchangeEvent::Gone)) };
                if timeout(self.options.silence_max, open.line.send(frame)).await == Ok(true) {
                    return Ok(Performed::Nothing);
                }
                ExchangeEvent::Gone
            }
            ExchangeEffect::Ask { body, polls } => {
                self.ask(body, polls)?;
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::LeaveRequest => {
                if let Some(OpenLine { line: Line::Post(post), .. }) = &mut self.open {
                    post.leave();
                }
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::Perform { line, effects } => {
                let perform = move |replica: &Replica, credential: &Credential| {
                    let answers = effects.into_iter().map(|effect| replica.perform(credential, effect));
                    answers.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()
                };
                ExchangeEvent::Performed { line, answers: self.blocking(perform).await? }
            }
            ExchangeEffect::CountOutbox { line } => {
                let waiting = self.blocking(|replica, _| replica.outbox_len()).await? as u64;
                ExchangeEvent::Counted { line, waiting }
            }
            ExchangeEffect::Tell(news) => {
                if let Some(listener) = &self.news {
                    // A listener that has gone does not want to know.
                    let _ = listener.send(news);
                }
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::FetchPass => {
                drop(self.fetch_pass().await?);
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::Close => {
                if let Some(open) = &mut self.open {
                    // A line that does not close in time is dropped. Until then its cost counts as that of an open one.
                    let _ = timeout(CLOSE_TIME_MAX, open.line.close()).await;
                }
                if let Some(OpenLine { cost, .. }) = self.open.take() {
                    self.closed.add(&cost.report());
                }
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::End(result) => return Ok(Performed::End(result)),
        };
        Ok(Performed::Event(event))
    }

    /// What a session begins with.
    async fn begin(&self, live: bool) -> Result<Beginning, SyncError> {
        let begin = move |replica: &Replica, credential: &Credential| {
            let start = replica.session_start(credential, live)?;
            let waiting = replica.outbox_len()? as u64;
            Ok::<_, ReplicaError>(Beginning { start, waiting, rests_for_ms: replica.rests_for_ms()? })
        };
        self.blocking(begin).await
    }

    /// Makes a request; the first one of a line opens it.
    fn ask(&mut self, body: Vec<u8>, polls: bool) -> Result<(), SyncError> {
        if self.open.is_none() {
            let address = Address::of(&self.credential.server_url, &self.credential.reach)?;
            let meter = Arc::new(Meter::default());
            let cost = Cost { meter: Arc::clone(&meter), hello_bytes: 0, http_bytes_up: None, frames_down: 0 };
            self.open = Some(OpenLine { line: Line::Post(Box::new(PostLine::new(address, meter))), cost });
        }
        if let Some(OpenLine { line: Line::Post(post), cost }) = &mut self.open {
            post.ask(body, polls);
            cost.hello_bytes = post.frames_up;
        }
        Ok(())
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
