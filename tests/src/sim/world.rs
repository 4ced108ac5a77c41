//! The world: virtual time, one queue of events, and everything that happens in it.

use std::collections::BTreeMap;

use toso_catalog::Catalog;
use toso_core::id::Sequence;
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitRef};
use toso_replica::exchange::TouchEvent;
use toso_server::desk::Work;
use toso_sync::AccessRole;

use super::model::Model;
use super::phone::Phone;
use super::plan::{Plan, Planted, Weather};
use super::rng::Rng;
use super::server::Server;
use super::trace::Trace;
use super::upheaval::Upheaval;

/// The true time at which a run begins.
const BEGIN_MS: u64 = 1_663_545_600_000;
/// So often in a thousand one phone's app was tampered with.
const TAMPERED_PER_MILLE: u32 = 300;
/// Events after which a run is taken to go in circles.
const EVENTS_MAX: u64 = 2_000_000;

/// Something that must never happen has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which check saw it.
    pub check: &'static str,
    /// What it saw.
    pub detail: String,
}

/// What may happen next. What belongs to a life or a connection that is over is void.
#[derive(Debug)]
pub(super) enum Event {
    /// A person saves something.
    Edit,
    /// Something breaks.
    Fault,
    /// A phone's app begins to keep in touch.
    SyncStarts { phone: usize, life: u32 },
    /// A deadline of a phone's machines has come.
    PhoneTime { phone: usize, life: u32 },
    /// A phone's platform says that its network went, or came.
    Network { phone: usize, online: bool },
    /// A phone hears that its dial came to nothing.
    NotReached { link: u64 },
    /// The upgrade request arrives, with HELLO in it.
    Upgrade { link: u64, token: String },
    /// Its answer arrives.
    Accepted { link: u64 },
    /// Its refusal arrives.
    Refused { link: u64, delay_ms: u64 },
    /// A frame arrives at the server.
    Up { link: u64, bytes: Vec<u8> },
    /// A frame arrives at a phone.
    Down { link: u64, bytes: Vec<u8> },
    /// The server pings a phone.
    Ping { link: u64 },
    /// Its ping arrives.
    Sign { link: u64 },
    /// What a phone has closed is closed for the server, too.
    Closed { link: u64 },
    /// A phone notices that its connection is gone.
    PhoneNotices { link: u64 },
    /// The server notices.
    ServerNotices { link: u64 },
    /// A phone's disk is done.
    PhoneGoesOn { phone: usize, life: u32 },
    /// A read of the server's log is done.
    Worked { link: u64, life: u32, work: Box<Work> },
    /// A flush of the server's log is done.
    Flushed { life: u32 },
    /// The server folds a page.
    Fold { life: u32 },
    /// Sessions look for news of their units.
    News { link: u64, life: u32 },
    /// A phone is switched on.
    PhoneStarts { phone: usize, life: u32 },
    /// The server is started.
    ServerStarts,
    /// Devices move, officers decide, phones are copied.
    Upheaval,
    /// A phone's disk, or the server's (`None`), has space again.
    SpaceAgain { phone: Option<usize> },
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) phone: usize,
    pub(super) alive: bool,
    /// The phone has heard that the upgrade was accepted.
    pub(super) accepted: bool,
    /// Nobody listens: the second arrival of a repeated request.
    pub(super) echo: bool,
    /// When the last frame arrives, per direction: a socket keeps its order.
    pub(super) up_at: u64,
    pub(super) down_at: u64,
}

/// A run.
pub struct World {
    pub(super) plan: Plan,
    pub(super) weather: Weather,
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(super) next_link: u64,
    pub(super) links: BTreeMap<u64, Link>,
    pub(super) phones: Vec<Phone>,
    pub(super) server: Server,
    pub(super) model: Model,
    /// What of it came into the register; known once everything has healed.
    pub(super) registered: Model,
    pub(super) trace: Trace,
    pub(super) violation: Option<Violation>,
    /// Past the storm: nothing breaks any more.
    pub(super) healing: bool,
    /// No network anywhere until then.
    pub(super) outage_until: u64,
    /// The log up to here was checked.
    pub(super) log_checked: Sequence,
    pub(super) in_log: std::collections::BTreeSet<(toso_core::id::DocId, toso_core::chunk::ChangeHash)>,
    /// Set once the server is another than the one that gave the phones their cursors: connections after this one are
    /// with the new.
    pub(super) restored_after_link: Option<u64>,
    /// What the log had before a restore.
    pub(super) logged_before_restore: std::collections::BTreeSet<(toso_core::id::DocId, toso_core::chunk::ChangeHash)>,
    /// What phones had when they first met a restored server: this at least must be in the register in the end, or
    /// returned.
    pub(super) still_held: std::collections::BTreeSet<(toso_core::id::DocId, toso_core::chunk::ChangeHash)>,
    /// What else may happen to devices.
    pub(super) upheaval: Upheaval,
    /// How often things happened, for the report.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

/// The communes that people record in: two of one district, one of another list's number but the same district.
pub(super) fn communes() -> [Scope; 3] {
    ["2022/00001", "2022/00004", "2022/00006"].map(|unit| unit.parse().expect("a unit of the list"))
}

/// True when a right over a unit covers a commune.
pub(super) fn covers(unit: UnitRef, scope: Scope) -> bool {
    unit == scope || Catalog::shared().covers(unit, scope)
}

/// The district above them.
pub(super) fn district() -> UnitRef {
    "2022/001".parse().expect("a unit of the list")
}

impl World {
    /// A world in which everything is enrolled and nothing has happened.
    pub fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed, 0);
        let weather = Weather::of(&mut rng);
        let mut phones = Vec::new();
        for number in 0..weather.phones {
            // The first two share a commune, so that something meets; the last is an officer's of the whole district.
            let (unit, role) = match number {
                0 | 1 => (communes()[0], AccessRole::Recorder),
                _ if number + 1 == weather.phones => (district(), AccessRole::Officer),
                _ => (communes()[rng.index(3)], AccessRole::Recorder),
            };
            phones.push(Phone::new(unit, role, Rng::new(plan.seed, 100 + number as u64), plan.planted));
        }
        if rng.chance(TAMPERED_PER_MILLE) {
            let mut phone = Phone::new(communes()[0], AccessRole::Recorder, Rng::new(plan.seed, 99), plan.planted);
            phone.tampered = true;
            phones.push(phone);
        }
        let server = Server::new(Rng::new(plan.seed, 1), Rng::new(plan.seed, 2), plan.planted);
        let mut world = Self {
            plan,
            weather,
            now: 0,
            rng,
            queue: BTreeMap::new(),
            next_event: 0,
            next_link: 0,
            links: BTreeMap::new(),
            phones,
            server,
            model: Model::default(),
            registered: Model::default(),
            trace: Trace::new(plan.print),
            violation: None,
            healing: false,
            outage_until: 0,
            log_checked: Sequence::ZERO,
            in_log: std::collections::BTreeSet::new(),
            restored_after_link: None,
            logged_before_restore: std::collections::BTreeSet::new(),
            still_held: std::collections::BTreeSet::new(),
            upheaval: Upheaval::of(plan.seed),
            counts: BTreeMap::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let text = format!("seed {} {:?} planted {:?}", self.plan.seed, self.weather, self.plan.planted);
        self.note(&text);
        if let Err(error) = self.server.start(self.server_now()) {
            return self.fail("the server starts", error);
        }
        for phone in 0..self.phones.len() {
            self.enrol(phone);
            let life = self.phones[phone].life;
            let at = self.rng.below(20_000);
            self.after(at, Event::SyncStarts { phone, life });
        }
        self.after(100, Event::Edit);
        let first = self.rng.below(self.weather.fault_every_ms);
        self.after(first, Event::Fault);
        if self.upheaval.happens() {
            let first = self.rng.between(5_000, 40_000);
            self.after(first, Event::Upheaval);
        }
    }

    /// Runs storm and healing, and returns what must not have happened.
    pub fn run(&mut self) -> Option<Violation> {
        self.storm();
        if self.violation.is_none() {
            self.heal();
        }
        self.violation.clone()
    }

    /// Lets time pass up to `end`, or until something is wrong.
    pub(super) fn until(&mut self, end: u64) {
        while self.violation.is_none() && self.step(end) {}
        self.now = self.now.max(end);
    }

    /// One event; `false` when there is none before `end`.
    pub(super) fn step(&mut self, end: u64) -> bool {
        let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= end) else { return false };
        let ((at, _), event) = first.remove_entry();
        self.now = self.now.max(at);
        for phone in &self.phones {
            phone.tick(BEGIN_MS + self.now);
        }
        self.happen(event);
        if self.next_event > EVENTS_MAX {
            self.fail("a run ends", format!("more than {EVENTS_MAX} events"));
        }
        self.check_always();
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Edit => self.edit_somewhere(),
            Event::Fault => self.break_something(),
            Event::SyncStarts { phone, life } => self.sync_starts(phone, life),
            Event::PhoneTime { phone, life } => self.phone_time(phone, life),
            Event::Network { phone, online } => self.phone_hears(phone, TouchEvent::Network { online }),
            Event::NotReached { link } => self.not_reached(link),
            Event::Upgrade { link, token } => self.on_upgrade(link, &token),
            Event::Accepted { link } => self.on_accepted(link),
            Event::Refused { link, delay_ms } => self.on_refused(link, delay_ms),
            Event::Up { link, bytes } => self.on_up(link, &bytes),
            Event::Down { link, bytes } => self.on_down(link, bytes),
            Event::Ping { link } => self.ping(link),
            Event::Sign { link } => self.on_sign(link),
            Event::Closed { link } => self.on_closed(link),
            Event::PhoneNotices { link } => self.phone_notices(link),
            Event::ServerNotices { link } => self.drop_serving(link),
            Event::PhoneGoesOn { phone, life } => self.phone_goes_on(phone, life),
            Event::Worked { link, life, work } => self.on_worked(link, life, *work),
            Event::Flushed { life } => self.on_flushed(life),
            Event::Fold { life } => self.on_fold(life),
            Event::News { link, life } => self.on_news(link, life),
            Event::PhoneStarts { phone, life } => self.start_phone(phone, life),
            Event::ServerStarts => self.start_server(),
            Event::Upheaval => self.turn_upside_down(),
            Event::SpaceAgain { phone: Some(phone) } => self.phones[phone].disk.set_full(false),
            Event::SpaceAgain { phone: None } => self.server.disk.set_full(false),
        }
    }

    /// Plans an event.
    pub(super) fn after(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now + delay_ms, event);
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.queue.insert((at.max(self.now), self.next_event), event);
    }

    /// The server's clock.
    pub(super) fn server_now(&self) -> TimestampMs {
        TimestampMs((BEGIN_MS + self.now).saturating_add_signed(self.server.skew_ms))
    }

    pub(super) fn note(&mut self, text: &str) {
        self.trace.note(self.now, text);
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn planted(&self, bug: Planted) -> bool {
        self.plan.planted == Some(bug)
    }

    /// The first violation counts.
    pub(super) fn fail(&mut self, check: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        self.note(&format!("VIOLATION: {check}: {detail}"));
        self.violation.get_or_insert(Violation { check, detail });
    }

    /// A hash over everything that happened.
    pub fn trace_hash(&self) -> String {
        self.trace.hash()
    }

    /// The last lines of what happened.
    pub fn trace_tail(&self) -> Vec<String> {
        self.trace.tail()
    }

    /// How often things happened.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }
}
