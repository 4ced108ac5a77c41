//! The one place where a phone's exchange meets line, store and time: performs what its machine
//! ([`toso_replica::exchange`]) wants, in order, and brings it what came.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use toso_replica::exchange::{Beginning, Exchange, ExchangeEffect, ExchangeEvent, ExchangeNews};
use toso_replica::{Credential, Replica, ReplicaError, SyncError, SyncOptions, SyncReport};
use toso_store::StoreError;

use crate::asking::carry_pass;
use crate::doing::Doing;
use crate::listening::Watch;
use crate::off_thread::off_thread;
use crate::transport::{Incoming, Line, LineBytes, Requests, Socket, Transport, until, within};

/// How long a one-shot exchange waits for card and bundle key once everything is exchanged: one request over 2G.
const PASS_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a line takes to close at most: a packet to the server and back over 2G. A network that is gone takes nothing more,
/// and what it has not acknowledged would hold the close for a quarter of an hour.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// How long an exchange goes on.
#[derive(Debug, Clone)]
pub(super) enum Length {
    /// Until everything is exchanged (and counted, or the linger is over).
    Bounded,
    /// Until it is left: it stays for live changes, and is told of those made here.
    Live(Arc<Watch>),
}

impl Length {
    /// Waits for an edit, where the exchange stays.
    async fn outbox_grew(&self) {
        match self {
            Self::Bounded => std::future::pending().await,
            Self::Live(watch) => watch.outbox_grew().await,
        }
    }
}

/// An open line.
enum OpenLine {
    Socket(Box<dyn Socket>),
    Requests(Box<dyn Requests>),
}

impl OpenLine {
    fn line(&mut self) -> &mut dyn Line {
        match self {
            Self::Socket(socket) => &mut **socket,
            Self::Requests(requests) => &mut **requests,
        }
    }

    fn bytes(&self) -> LineBytes {
        match self {
            Self::Socket(socket) => socket.bytes(),
            Self::Requests(requests) => requests.bytes(),
        }
    }
}

/// What performing an effect led to.
enum Performed {
    Nothing,
    Event(ExchangeEvent),
    End(Result<(), SyncError>),
}

/// One exchange, from dialling to closing.
pub(super) struct IoLoop<'a> {
    transport: Arc<dyn Transport>,
    replica: Arc<Replica>,
    credential: &'a Credential,
    options: SyncOptions,
    length: Length,
    news: Option<mpsc::UnboundedSender<ExchangeNews>>,
    exchange: Exchange,
    /// What the exchange wants first.
    first: Vec<ExchangeEffect>,
    open: Option<OpenLine>,
    /// The bytes of lines that are closed.
    closed: SyncReport,
    /// Held while the store works, also when the loop was dropped meanwhile.
    storing: Arc<Mutex<()>>,
    /// Asks for what is due for helping others.
    fetching: Option<Doing<'static, ()>>,
}

impl<'a> IoLoop<'a> {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        replica: Arc<Replica>,
        credential: &'a Credential,
        options: SyncOptions,
        length: Length,
        news: Option<mpsc::UnboundedSender<ExchangeNews>>,
    ) -> Self {
        let stays = matches!(length, Length::Live(_));
        let (exchange, first) = Exchange::start(&credential.server_url, options, stays);
        let (open, closed, storing, fetching) = (None, SyncReport::default(), Arc::default(), None);
        Self { transport, replica, credential, options, length, news, exchange, first, open, closed, storing, fetching }
    }

    /// What the exchange has cost and done so far, also when [`Self::run`] was dropped before its end.
    pub(super) fn report(&self) -> SyncReport {
        let open = self.open.as_ref().map(|open| open.bytes().report()).unwrap_or_default();
        SyncReport {
            bytes_up: self.closed.bytes_up + open.bytes_up,
            bytes_down: self.closed.bytes_down + open.bytes_down,
            http_bytes_up: self.closed.http_bytes_up + open.http_bytes_up,
            http_bytes_down: self.closed.http_bytes_down + open.http_bytes_down,
            ..self.exchange.report()
        }
    }

    /// Waits until the store is done with what it was at when [`Self::run`] was dropped.
    pub(super) async fn stored(&mut self) {
        drop(self.storing.lock().await);
    }

    /// Runs the exchange, and fetches what is due for helping others once everything is exchanged.
    pub(super) async fn run(&mut self) -> Result<(), SyncError> {
        self.exchange().await?;
        // Only an exchange that ends by itself comes here; one that stays has fetched it already.
        self.fetch_pass().await?;
        if let Some(fetching) = self.fetching.take() {
            // Without it everything is exchanged all the same, and the next exchange asks again.
            within(&*self.transport, PASS_TIME_MAX, fetching).await;
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
                    Ok(Performed::End(result)) => {
                        if let Some(shut_out) = SyncError::shut_out(&result) {
                            // That it is not kept (a full disk) says less than how the exchange ended.
                            let _ = self.blocking(move |replica, _| replica.note_shut_out(shut_out)).await;
                        }
                        return result;
                    }
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
            effects = self.exchange.handle(self.transport.now(), event);
        }
    }

    /// Waits for what comes over the line, for an edit, or for the time that the exchange has set.
    async fn next(&mut self) -> Result<ExchangeEvent, SyncError> {
        let hears_edits = self.exchange.hears_edits();
        let Self { transport, exchange, open, length, fetching, .. } = self;
        let incoming = async {
            match open {
                Some(open) => open.line().next().await,
                None => std::future::pending().await,
            }
        };
        let fetched = async {
            if let Some(doing) = fetching.as_mut() {
                doing.await;
                *fetching = None;
            }
            std::future::pending::<Infallible>().await
        };
        let incoming = tokio::select! {
            incoming = incoming => incoming,
            () = length.outbox_grew(), if hears_edits => {
                let waiting = self.blocking(|replica, _| replica.outbox_len()).await? as u64;
                return Ok(ExchangeEvent::OutboxGrew { waiting });
            }
            () = until(&**transport, exchange.deadline()) => return Ok(ExchangeEvent::Time),
            never = fetched => match never {},
        };
        Ok(match incoming {
            Incoming::Frame(bytes) => ExchangeEvent::Frame(bytes),
            Incoming::Sign => ExchangeEvent::Sign,
            Incoming::Answered => ExchangeEvent::Answered,
            Incoming::Gone => ExchangeEvent::Gone,
            Incoming::Failed(error) => ExchangeEvent::Failed(error),
        })
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
                let (url, reach) = (&self.credential.server_url, &self.credential.reach);
                match self.transport.dial(url, reach, &hello, self.options.connect_timeout).await {
                    Ok(socket) => {
                        self.open = Some(OpenLine::Socket(socket));
                        ExchangeEvent::Dialled
                    }
                    Err(failure) => ExchangeEvent::NotDialled(failure),
                }
            }
            ExchangeEffect::Send(frame) => {
                // What is said by requests stands in their bodies.
                let Some(OpenLine::Socket(socket)) = &mut self.open else {
                    return Ok(Performed::Event(ExchangeEvent::Gone));
                };
                if within(&*self.transport, self.options.silence_max, socket.send(frame)).await == Some(true) {
                    return Ok(Performed::Nothing);
                }
                ExchangeEvent::Gone
            }
            ExchangeEffect::Ask { body, polls } => {
                self.ask(body, polls)?;
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::LeaveRequest => {
                if let Some(OpenLine::Requests(requests)) = &mut self.open {
                    requests.leave();
                }
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::Perform { line, work } => {
                let perform = move |replica: &Replica, credential: &Credential| {
                    let answers = work.into_iter().map(|work| replica.perform(credential, work));
                    answers.collect::<Result<Vec<_>, StoreError>>()
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
                self.fetch_pass().await?;
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::Close => {
                if let Some(open) = &mut self.open {
                    // A line that does not close in time is dropped. Until then its bytes count as those of an open one.
                    within(&*self.transport, CLOSE_TIME_MAX, open.line().close()).await;
                }
                if let Some(open) = self.open.take() {
                    self.closed.add(&open.bytes().report());
                }
                return Ok(Performed::Nothing);
            }
            ExchangeEffect::End(result) => return Ok(Performed::End(result)),
        };
        Ok(Performed::Event(event))
    }

    /// What an exchange begins with.
    async fn begin(&mut self, live: bool) -> Result<Beginning, SyncError> {
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
            let requests = self.transport.requests(&self.credential.server_url, &self.credential.reach)?;
            self.open = Some(OpenLine::Requests(requests));
        }
        if let Some(OpenLine::Requests(requests)) = &mut self.open {
            requests.ask(body, polls);
        }
        Ok(())
    }

    /// Begins to ask for the device's card and its unit's bundle key, when that is due.
    async fn fetch_pass(&mut self) -> Result<(), SyncError> {
        if self.fetching.is_none() && self.blocking(|replica, _| replica.pass_is_due()).await? {
            let (transport, replica) = (Arc::clone(&self.transport), Arc::clone(&self.replica));
            let fetching = carry_pass(transport, replica, self.credential.clone());
            // Still due when it fails.
            self.fetching = Some(Box::pin(async move { drop(fetching.await) }));
        }
        Ok(())
    }

    /// Does work on the replica, to its end also when nobody waits for it any more.
    async fn blocking<T, E>(
        &mut self,
        work: impl FnOnce(&Replica, &Credential) -> Result<T, E> + Send + 'static,
    ) -> Result<T, SyncError>
    where
        T: Send + 'static,
        E: Into<SyncError> + Send + 'static,
    {
        if !self.replica.store().waits_for_disk() {
            return work(&self.replica, self.credential).map_err(Into::into);
        }
        let (storing, credential) = (Arc::clone(&self.storing).lock_owned().await, self.credential.clone());
        off_thread(&self.replica, move |replica| {
            let _storing = storing;
            work(replica, &credential)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
