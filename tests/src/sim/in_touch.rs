//! How a simulated phone keeps in touch: the machines that phones run (`Touch` and `Exchange`), and around them what the
//! client's loop does, in virtual time. Effects are performed one after the other, on a disk that may be slow, fail, or end with
//! the process; what the line brings waits meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use toso_replica::exchange::{
    Beginning, DialFailure, Exchange, ExchangeEffect, ExchangeEvent, ExchangeNews, Moment, Touch, TouchEffect,
    TouchEvent,
};
use toso_replica::{Credential, Listens, News, Observer, Replica, ReplicaError, SyncError, SyncOptions, Work};
use toso_store::StoreError;
use toso_sync::ClientEvent;
use toso_sync::client::{Commit, Query};
use toso_wire::{Hello, decode, hello_token};

use super::world::{Event, Link, World};

/// How long a phone waits for its dial to be answered: the connection and the upgrade have half each.
const DIAL_MS_MAX: u64 = 60_000;
/// Where nobody listens, a phone hears so within this time.
const REFUSED_MS_MAX: u64 = 3_000;
/// So often in a thousand a proxy answers for a server that is away, so that the upgrade fails and not the connection.
const PROXY_PER_MILLE: u32 = 300;

/// What keeps a phone in touch, and what of it is under way.
#[derive(Default)]
pub(super) struct InTouch {
    touch: Option<Touch>,
    exchange: Option<Running>,
    /// The socket that is dialled or open.
    pub(super) link: Option<u64>,
    /// What the exchange wants done next.
    effects: VecDeque<ExchangeEffect>,
    /// What doing it brought back.
    answers: VecDeque<ExchangeEvent>,
    /// What came over the line.
    inbox: VecDeque<ExchangeEvent>,
    /// Something came into the outbox, and the exchange has not heard of it yet.
    grew: Arc<AtomicBool>,
    /// The next deadline that is in the world's queue.
    planned: Option<u64>,
}

/// An exchange, and what it began with.
struct Running {
    exchange: Exchange,
    credential: Credential,
}

impl InTouch {
    /// Of a process that starts now.
    pub(super) fn of(replica: &Replica) -> Self {
        let in_touch = Self::default();
        replica.observe(Box::new(Grew(Arc::clone(&in_touch.grew))));
        in_touch
    }

    /// Everything is exchanged, as far as the phone knows.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.exchange.as_ref().is_some_and(|running| running.exchange.is_up_to_date())
    }

    /// Nothing of the exchange counts any more.
    fn drop_exchange(&mut self) -> Option<u64> {
        self.exchange = None;
        (self.effects, self.answers, self.inbox) = Default::default();
        self.link.take()
    }

    fn deadline(&self) -> Option<u64> {
        let exchange = self.exchange.as_ref().and_then(|running| running.exchange.deadline());
        let touch = self.touch.as_ref().and_then(Touch::deadline);
        exchange.into_iter().chain(touch).map(|at| at.0).min()
    }
}

/// Keeps that the outbox grew until the loop asks.
struct Grew(Arc<AtomicBool>);

impl Observer for Grew {
    fn hear(&self, news: News<'_>) -> Listens {
        if matches!(news, News::OutboxGrew) {
            self.0.store(true, Ordering::Relaxed);
        }
        Listens::On
    }
}

impl World {
    /// The app begins to keep in touch.
    pub(super) fn sync_starts(&mut self, number: usize, life: u32) {
        let phone = &mut self.phones[number];
        if phone.life != life || phone.replica.is_none() || phone.sync.touch.is_some() {
            return;
        }
        let (touch, effects) = Touch::start(true);
        phone.sync.touch = Some(touch);
        self.touch_does(number, effects);
        self.pump_phone(number);
    }

    /// The platform or a person says something.
    pub(super) fn phone_hears(&mut self, number: usize, event: TouchEvent) {
        self.touch_hears(number, event);
        self.pump_phone(number);
    }

    /// A deadline has come.
    pub(super) fn phone_time(&mut self, number: usize, life: u32) {
        let phone = &mut self.phones[number];
        if phone.life != life {
            return;
        }
        phone.sync.planned = None;
        if phone.sync.touch.as_ref().and_then(Touch::deadline).is_some_and(|at| at.0 <= self.now) {
            self.touch_hears(number, TouchEvent::Time);
        }
        self.pump_phone(number);
    }

    /// Something comes over the line that a phone listens to.
    pub(super) fn line_brings(&mut self, number: usize, event: ExchangeEvent) {
        self.phones[number].sync.inbox.push_back(event);
        self.pump_phone(number);
    }

    /// A dial came to nothing: nobody listens there, or nobody answers.
    pub(super) fn not_reached(&mut self, link: u64) {
        let Some(open) = self.links.get(&link).filter(|open| !open.accepted && !open.echo) else { return };
        let number = open.phone;
        if self.phones[number].sync.link == Some(link) {
            let error = unreachable("nobody answers");
            let by_proxy = self.rng.chance(PROXY_PER_MILLE);
            let failure = if by_proxy { DialFailure::Upgrade(error) } else { DialFailure::Final(error) };
            self.line_brings(number, ExchangeEvent::NotDialled(failure));
        }
    }

    /// Goes on until nothing is to be done, or the disk is busy.
    pub(super) fn pump_phone(&mut self, number: usize) {
        while self.violation.is_none() {
            let phone = &mut self.phones[number];
            if phone.replica.is_none() {
                return;
            }
            if phone.busy_until > self.now {
                let (at, life) = (phone.busy_until, phone.life);
                return self.at(at, Event::PhoneGoesOn { phone: number, life });
            }
            if let Some(effect) = phone.sync.effects.pop_front() {
                self.phone_does(number, effect);
                continue;
            }
            let Some(event) = self.next_of_phone(number) else { break };
            let is_time = matches!(event, ExchangeEvent::Time);
            let now = Moment(self.now);
            let sync = &mut self.phones[number].sync;
            let Some(running) = &mut sync.exchange else { continue };
            let effects = running.exchange.handle(now, event);
            let stuck = is_time && effects.is_empty() && running.exchange.deadline().is_some_and(|at| at <= now);
            sync.effects.extend(effects);
            if stuck {
                self.fail("time moves an exchange on", format!("phone {number}"));
            }
        }
        self.plan_time(number);
    }

    /// What happens next to a phone that has nothing to do. Of what is there at the same time, either may be first.
    fn next_of_phone(&mut self, number: usize) -> Option<ExchangeEvent> {
        let sync = &mut self.phones[number].sync;
        if let Some(answer) = sync.answers.pop_front() {
            return Some(answer);
        }
        let exchange = &sync.exchange.as_ref()?.exchange;
        let comes = !sync.inbox.is_empty();
        let edited = exchange.hears_edits() && sync.grew.load(Ordering::Relaxed);
        let is_due = exchange.deadline().is_some_and(|at| at.0 <= self.now);
        let ready: Vec<usize> =
            [comes, edited, is_due].into_iter().enumerate().filter_map(|(of, is)| is.then_some(of)).collect();
        let chosen = if ready.len() > 1 { self.rng.index(ready.len()) } else { 0 };
        let sync = &mut self.phones[number].sync;
        match ready.get(chosen)? {
            0 => sync.inbox.pop_front(),
            1 => {
                sync.grew.store(false, Ordering::Relaxed);
                let waiting = self.phones[number].disk_outbox_len();
                Some(ExchangeEvent::OutboxGrew { waiting })
            }
            _ => Some(ExchangeEvent::Time),
        }
    }

    fn plan_time(&mut self, number: usize) {
        let phone = &mut self.phones[number];
        let Some(at) = phone.sync.deadline() else { return };
        if phone.sync.planned.is_none_or(|planned| planned > at) {
            phone.sync.planned = Some(at);
            let life = phone.life;
            self.at(at, Event::PhoneTime { phone: number, life });
        }
    }

    fn touch_hears(&mut self, number: usize, event: TouchEvent) {
        let now = Moment(self.now);
        let Some(touch) = &mut self.phones[number].sync.touch else { return };
        let effects = touch.handle(now, event);
        self.touch_does(number, effects);
    }

    fn touch_does(&mut self, number: usize, effects: Vec<TouchEffect>) {
        for effect in effects {
            let Some(replica) = self.phones[number].replica.clone() else { return };
            match effect {
                TouchEffect::Show(_) => {}
                TouchEffect::ForgetNetwork => drop(replica.network_is_another()),
                TouchEffect::Begin => match replica.credential() {
                    Ok(credential) => {
                        let (exchange, first) = Exchange::start(&credential.server_url, SyncOptions::default(), true);
                        let phone = &mut self.phones[number];
                        phone.credential = Some(credential.clone());
                        phone.sync.exchange = Some(Running { exchange, credential });
                        phone.sync.effects.extend(first);
                    }
                    Err(error) => self.fail("an exchange begins", error.to_string()),
                },
                TouchEffect::Leave => {
                    let phone = &mut self.phones[number];
                    phone.counted = false;
                    if let Some(link) = phone.sync.drop_exchange() {
                        self.note(&format!("phone {number} leaves link {link}"));
                        self.cut(link);
                    }
                }
            }
        }
    }

    fn phone_does(&mut self, number: usize, effect: ExchangeEffect) {
        if self.chance(self.weather.kill_per_mille) {
            return self.kill_phone(number, "between two effects");
        }
        let phone = &self.phones[number];
        let (Some(replica), Some(running)) = (phone.replica.clone(), &phone.sync.exchange) else { return };
        let credential = running.credential.clone();
        let done = match effect {
            ExchangeEffect::ReadWay => {
                let way = replica.goes_by_requests(&credential);
                way.map(|by_requests| Some(ExchangeEvent::Way { by_requests })).map_err(SyncError::from)
            }
            ExchangeEffect::KeepWay { by_requests: true } => {
                replica.go_by_requests(&credential).map(|()| None).map_err(SyncError::from)
            }
            ExchangeEffect::KeepWay { by_requests: false } => {
                replica.network_is_another().map(|()| None).map_err(SyncError::from)
            }
            ExchangeEffect::Begin { live } => begin(&replica, &credential, live).map(Some).map_err(SyncError::from),
            ExchangeEffect::ReadStart => {
                let start = replica.session_start(&credential, false);
                start.map(|start| Some(ExchangeEvent::Started(Box::new(start)))).map_err(SyncError::from)
            }
            ExchangeEffect::Dial(hello) => {
                self.dial(number, &hello);
                return;
            }
            ExchangeEffect::Send(frame) => {
                if let (Some(link), Ok(sent)) = (self.phones[number].sync.link, decode(&frame)) {
                    self.send_up(link, &frame, sent.name());
                }
                return;
            }
            ExchangeEffect::Ask { .. } => {
                // Nothing gets through to a server, so the network lets no requests through either.
                self.count("requests that came to nothing");
                let broken = self.rng.chance(500);
                let error = unreachable("no requests come through");
                let event = if broken { ExchangeEvent::Gone } else { ExchangeEvent::Failed(error) };
                self.phones[number].sync.inbox.push_back(event);
                return;
            }
            ExchangeEffect::Perform { line, work } => match self.perform_all(number, &replica, &credential, work) {
                Some(answers) => answers.map(|answers| Some(ExchangeEvent::Performed { line, answers })),
                None => return,
            },
            ExchangeEffect::CountOutbox { line } => {
                let waiting = self.phones[number].disk_outbox_len();
                Ok(Some(ExchangeEvent::Counted { line, waiting }))
            }
            ExchangeEffect::Tell(news) => return self.phone_is_told(number, news),
            ExchangeEffect::LeaveRequest | ExchangeEffect::FetchPass => return,
            ExchangeEffect::Close => return self.close(number),
            ExchangeEffect::End(result) => return self.exchange_ended(number, result.err()),
        };
        match done {
            Ok(event) => self.phones[number].sync.answers.extend(event),
            Err(error) => self.phone_failed(number, error),
        }
    }

    /// Performs effects on the replica; `None` when the process has ended meanwhile.
    fn perform_all(
        &mut self,
        number: usize,
        replica: &Replica,
        credential: &Credential,
        work: Vec<Work>,
    ) -> Option<Result<Vec<ClientEvent>, SyncError>> {
        let mut answers = Vec::new();
        for work in work {
            if self.chance(self.weather.kill_per_mille) {
                self.kill_phone(number, "between two effects");
                return None;
            }
            if let Work::Commit(Commit::Ack { accepted, .. }) = &work {
                for item in accepted {
                    self.acknowledged(number, item.change.doc, item.change.hash());
                }
            } else if let Work::Commit(Commit::Rest { delay_ms: 1.., .. }) = &work {
                self.count("phones told to wait");
            }
            if !matches!(work, Work::Query(Query::ReadOutbox(_) | Query::Prove(_))) {
                self.phone_disk_may_fail(number);
                let flush = self.rng.below(self.weather.flush_ms_max) + 1;
                self.phones[number].busy_until = self.now + flush;
            }
            match replica.perform(credential, work) {
                Ok(answer) => answers.push(answer),
                Err(error) => return Some(Err(error.into())),
            }
        }
        Some(Ok(answers))
    }

    /// The device itself failed: what was not done yet is dropped.
    fn phone_failed(&mut self, number: usize, error: SyncError) {
        let of_disk = if let SyncError::Store(error) | SyncError::Replica(ReplicaError::Store(error)) = &error {
            matches!(error, StoreError::Io { .. } | StoreError::Poisoned { .. } | StoreError::Full { .. })
        } else {
            false
        };
        if !of_disk {
            return self.fail("an exchange goes on", format!("phone {number}: {error}"));
        }
        self.count("phone writes failed");
        self.note(&format!("phone {number} cannot store: {error}"));
        if self.chance(500) {
            return self.kill_phone(number, "while it wrote");
        }
        let sync = &mut self.phones[number].sync;
        sync.effects.clear();
        sync.answers = VecDeque::from([ExchangeEvent::Failed(error)]);
        if let Some(link) = sync.link.filter(|_| self.phones[number].disk.is_poisoned()) {
            self.cut(link);
        }
        self.phone_disk_failed(number);
    }

    fn phone_is_told(&mut self, number: usize, news: ExchangeNews) {
        if let ExchangeNews::UpToDate { .. } = news {
            let phone = &mut self.phones[number];
            let counted = phone.sync.exchange.as_ref().is_some_and(|running| running.exchange.report().counted);
            phone.counted = counted;
            self.note(&format!("phone {number} is up to date, counted: {counted}"));
        }
        self.touch_hears(number, TouchEvent::News(news));
    }

    fn exchange_ended(&mut self, number: usize, error: Option<SyncError>) {
        self.count("exchanges ended");
        let why = error.as_ref().map_or_else(|| "all is exchanged".to_owned(), ToString::to_string);
        self.note(&format!("phone {number} ends its exchange: {why}"));
        if matches!(error, Some(SyncError::Stalled { .. })) {
            self.count("answers awaited in vain");
        }
        if let Some(error @ (SyncError::Protocol { .. } | SyncError::NotProved { .. })) = &error {
            self.fail("no side breaks the protocol", format!("phone {number}: {error}"));
        }
        let phone = &mut self.phones[number];
        phone.counted = false;
        phone.sync.drop_exchange();
        let entropy = self.rng.next_u64();
        self.touch_hears(number, TouchEvent::Ended { error, entropy });
    }

    fn dial(&mut self, number: usize, hello: &Hello) {
        let token = hello_token(hello);
        self.next_link += 1;
        let link = self.next_link;
        let (up_at, down_at) = (self.now, self.now);
        self.links.insert(link, Link { phone: number, alive: true, accepted: false, echo: false, up_at, down_at });
        let phone = &mut self.phones[number];
        (phone.sync.link, phone.counted) = (Some(link), false);
        let away = phone.no_network_until > self.now || self.outage_until > self.now;
        self.trace.absorb(token.as_bytes());
        self.count("dials");
        self.note(&format!("phone {number} dials, link {link}, HELLO of {} characters", token.len()));
        if away || self.server.running.is_none() {
            if let Some(open) = self.links.get_mut(&link) {
                open.alive = false;
            }
            let heard = self.rng.below(REFUSED_MS_MAX);
            return self.after(heard, Event::NotReached { link });
        }
        self.after(DIAL_MS_MAX, Event::NotReached { link });
        self.upgrade_twice(number, &token);
        let at = self.arrival(link, true);
        self.at(at, Event::Upgrade { link, token });
    }

    /// The phone closes its line: what it has sent still arrives.
    fn close(&mut self, number: usize) {
        let sync = &mut self.phones[number].sync;
        sync.inbox.clear();
        if let Some(link) = sync.link.take()
            && self.links.get(&link).is_some_and(|open| open.alive)
        {
            let at = self.arrival(link, true);
            self.at(at + 1, Event::Closed { link });
        }
    }
}

/// What an exchange begins with, as the client's loop reads it.
fn begin(replica: &Replica, credential: &Credential, live: bool) -> Result<ExchangeEvent, ReplicaError> {
    let start = replica.session_start(credential, live)?;
    let waiting = replica.outbox_len()? as u64;
    Ok(ExchangeEvent::Begun(Box::new(Beginning { start, waiting, rests_for_ms: replica.rests_for_ms()? })))
}

pub(super) fn unreachable(detail: &str) -> SyncError {
    SyncError::Unreachable { url: "https://toso.example".to_owned(), detail: detail.to_owned() }
}
