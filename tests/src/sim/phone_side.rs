//! What happens on phones: starting, dialling, frames, effects, the end of a process at any of them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use toso_replica::{Credential, ReplicaError};
use toso_server::trust::{EnrolRequest, INVITE_LIFE_MS_DEFAULT, InviteOrder};
use toso_store::StoreError;
use toso_store::faulty::WriteFault;
use toso_sync::{ClientEffect, ClientEvent, ClientSession, SessionEnd};
use toso_wire::enrol::signed_enrol;
use toso_wire::{DecodeError, Frame, decode, encode, hello_token};

use super::newer::FURTHER_FRAME;
use super::world::{Event, Link, World, communes};

/// A phone that was killed is switched on again within this time.
const PHONE_OFF_MS_MAX: u64 = 20_000;
/// After a failure that only opening the store again mends, a person restarts the app within this time.
const RESTART_MS_MAX: u64 = 10_000;
/// Silence after which a side takes its connection for gone.
const SILENCE_MS_MAX: u64 = 120_000;

impl World {
    /// Switches a phone on for the first time and joins its unit.
    pub(super) fn enrol(&mut self, number: usize) {
        let now = self.server_now();
        let phone = &mut self.phones[number];
        phone.tick(now.0);
        if let Err(error) = phone.start() {
            return self.fail("a phone starts", error.to_string());
        }
        let (Some(replica), Some(running)) = (&phone.replica, &self.server.running) else { return };
        let trust = &running.desk.trust;
        let order = InviteOrder {
            url: "https://toso.example".to_owned(),
            unit: phone.unit,
            role: phone.role,
            life_ms: INVITE_LIFE_MS_DEFAULT,
            created_by: None,
        };
        let enrolled = (|| {
            let invite = trust.invite(&order, now).map_err(|error| error.to_string())?;
            let public_key = replica.device().public_key();
            let signed = signed_enrol(trust.server(), blake3::hash(&invite.secret).as_bytes(), &public_key);
            let signature = replica.device().sign(&signed);
            let request = EnrolRequest { secret: invite.secret, public_key, signature, name: None };
            let enrolment = trust.enrol(&request, now).map_err(|error| error.to_string())?;
            let credential = Credential {
                server_url: invite.url,
                server_id: trust.server(),
                token: enrolment.token,
                unit: if phone.tampered { communes()[1] } else { enrolment.unit },
                role: enrolment.role.word().to_owned(),
                token_ends: Some(enrolment.expires_at),
                reach: toso_replica::Reach::default(),
            };
            credential.keep(replica.store()).map_err(|error| error.to_string())?;
            Ok::<_, String>(credential)
        })();
        let device = replica.device().id();
        match enrolled {
            Ok(credential) => {
                self.phones[number].device = Some(device);
                let line = format!("phone {number} joins {} as {}", credential.unit, credential.role);
                self.trace.absorb(URL_SAFE_NO_PAD.encode(&credential.token).as_bytes());
                self.phones[number].credential = Some(credential);
                self.note(&line);
            }
            Err(error) => self.fail("a device enrols", error),
        }
    }

    pub(super) fn start_phone(&mut self, number: usize, life: u32) {
        let phone = &mut self.phones[number];
        if phone.life != life || phone.replica.is_some() {
            return;
        }
        if let Err(error) = phone.start() {
            // A full disk cannot take the app's start; it is tried again.
            self.note(&format!("phone {number} does not start: {error}"));
            let life = self.phones[number].life;
            return self.after(5_000, Event::PhoneStarts { phone: number, life });
        }
        self.note(&format!("phone {number} starts"));
        self.after_restart(number);
        let life = self.phones[number].life;
        let at = self.rng.below(3_000);
        self.after(at, Event::Dial { phone: number, life });
    }

    /// Ends a phone's process at once.
    pub(super) fn kill_phone(&mut self, number: usize, why: &str) {
        if self.phones[number].replica.is_none() {
            return;
        }
        self.count("phones killed");
        self.note(&format!("phone {number} is killed: {why}"));
        if let Some((link, _)) = self.phones[number].session {
            self.cut(link);
        }
        self.phones[number].kill();
        let life = self.phones[number].life;
        let off = self.rng.between(100, PHONE_OFF_MS_MAX);
        self.after(off, Event::PhoneStarts { phone: number, life });
    }

    pub(super) fn dial(&mut self, number: usize, life: u32) {
        let phone = &self.phones[number];
        if phone.life != life || phone.session.is_some() {
            return;
        }
        let Some(replica) = phone.replica.clone() else { return };
        if phone.no_network_until > self.now || self.outage_until > self.now {
            return self.dial_later(number, 0);
        }
        let start = match replica.credential() {
            Ok(credential) => {
                let start = replica.session_start(&credential, true);
                self.phones[number].credential = Some(credential);
                if let Err(ReplicaError::Store(error @ (StoreError::Io { .. } | StoreError::Poisoned { .. }))) = &start
                {
                    // What was left is forgotten first, and that is a write.
                    self.count("phone writes failed");
                    self.note(&format!("phone {number} cannot store: {error}"));
                    self.phone_disk_failed(number);
                    return self.dial_later(number, 0);
                }
                start.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let start = match start {
            Ok(start) => start,
            Err(error) => return self.fail("a session starts", error),
        };
        let (session, hello) = ClientSession::new(start);
        let token = hello_token(&hello);
        self.next_link += 1;
        let link = self.next_link;
        self.links.insert(link, Link { phone: number, alive: true, echo: false, up_at: self.now, down_at: self.now });
        if let Ok(Some(rest_ms)) = replica.rests_for_ms() {
            self.after(rest_ms, Event::Rested { link });
        }
        self.phones[number].session = Some((link, session));
        self.phones[number].counted = false;
        self.trace.absorb(token.as_bytes());
        self.count("dials");
        self.note(&format!("phone {number} dials, link {link}, HELLO of {} characters", token.len()));
        if self.server.running.is_none() {
            self.cut(link);
            let heard = self.rng.below(3_000);
            return self.after(heard, Event::PhoneNotices { link });
        }
        if self.chance(self.weather.twice_per_mille) {
            self.next_link += 1;
            let echo = self.next_link;
            let at = self.now + self.rng.below(2 * self.weather.delay_ms_max + 1);
            self.links.insert(echo, Link { phone: number, alive: true, echo: true, up_at: at, down_at: at });
            self.count("upgrades repeated");
            self.note(&format!("the request comes twice, link {echo}"));
            self.at(at, Event::Upgrade { link: echo, token: token.clone() });
            let gone = self.rng.below(SILENCE_MS_MAX);
            self.after(gone, Event::ServerNotices { link: echo });
        }
        let at = self.arrival(link, true);
        self.at(at, Event::Upgrade { link, token });
    }

    fn dial_later(&mut self, number: usize, at_least_ms: u64) {
        let entropy = self.rng.next_u64();
        let phone = &mut self.phones[number];
        let delay = phone.backoff.next_delay_ms(entropy, at_least_ms).max(10);
        let life = phone.life;
        self.after(delay, Event::Dial { phone: number, life });
    }

    /// When a frame sent now arrives: sockets keep their order.
    pub(super) fn arrival(&mut self, link: u64, up: bool) -> u64 {
        let delay = self.rng.below(self.weather.delay_ms_max) + 1;
        let at = self.now + delay;
        let Some(link) = self.links.get_mut(&link) else { return at };
        let last = if up { &mut link.up_at } else { &mut link.down_at };
        *last = at.max(*last);
        *last
    }

    pub(super) fn on_accepted(&mut self, link: u64) {
        if let Some(number) = self.listener(link) {
            self.phones[number].inbox.push_back(ClientEvent::Connected);
            self.pump_phone(number);
        }
    }

    pub(super) fn on_refused(&mut self, link: u64, delay_ms: u64) {
        if let Some(number) = self.listener(link) {
            self.note(&format!("phone {number} is shed for {delay_ms} ms"));
            self.cut(link);
            self.phones[number].session = None;
            self.phones[number].inbox.clear();
            self.dial_later(number, delay_ms);
        }
    }

    pub(super) fn on_down(&mut self, link: u64, bytes: &[u8]) {
        let Some(number) = self.listener(link) else { return };
        match decode(bytes) {
            Ok(frame) => {
                self.note(&format!("phone {number} gets {} of {} bytes", frame.name(), bytes.len()));
                if matches!(frame, Frame::Welcome(_)) {
                    self.welcomed(number, link);
                }
                self.phones[number].inbox.push_back(ClientEvent::Frame(frame));
                self.pump_phone(number);
            }
            Err(DecodeError::UnknownType { .. }) => self.count("frames of a further type passed over"),
            Err(error) => self.fail("frames can be read", error.to_string()),
        }
    }

    /// What a phone has when a restored server first greets it is not lost, and must not be from then on.
    fn welcomed(&mut self, number: usize, link: u64) {
        let phone = &mut self.phones[number];
        let restored = self.restored_after_link.is_some_and(|last| link > last);
        if restored && !phone.tampered && !std::mem::replace(&mut phone.met_restored, true) {
            let here = phone.chunks_here();
            self.still_held.extend(here);
        }
    }

    /// The phone that a live connection belongs to.
    fn listener(&self, link: u64) -> Option<usize> {
        let open = self.links.get(&link).filter(|open| open.alive && !open.echo)?;
        self.phones[open.phone].session.as_ref().filter(|(own, _)| *own == link).map(|_| open.phone)
    }

    pub(super) fn phone_notices(&mut self, link: u64) {
        let Some(number) = self.links.get(&link).filter(|open| !open.echo).map(|open| open.phone) else { return };
        if self.phones[number].session.as_ref().is_some_and(|(own, _)| *own == link) {
            self.phones[number].inbox.push_back(ClientEvent::Disconnected);
            self.pump_phone(number);
        }
    }

    /// The time that the centre asked for is over.
    pub(super) fn rested(&mut self, link: u64) {
        if let Some(number) = self.listener(link) {
            self.phones[number].inbox.push_back(ClientEvent::Rested);
            self.pump_phone(number);
        }
    }

    pub(super) fn phone_goes_on(&mut self, number: usize, life: u32) {
        if self.phones[number].life == life {
            self.pump_phone(number);
        }
    }

    /// Handles what has arrived, until the disk is busy.
    pub(super) fn pump_phone(&mut self, number: usize) {
        while self.violation.is_none() {
            let phone = &mut self.phones[number];
            if phone.busy_until > self.now {
                let (at, life) = (phone.busy_until, phone.life);
                return self.at(at, Event::PhoneGoesOn { phone: number, life });
            }
            let Some(event) = phone.inbox.pop_front() else { return };
            self.phone_handles(number, event);
        }
    }

    fn phone_handles(&mut self, number: usize, event: ClientEvent) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some((link, session)) = &mut self.phones[number].session else { return };
            let link = *link;
            for effect in session.handle(event) {
                if self.chance(self.weather.kill_per_mille) {
                    return self.kill_phone(number, "between two effects");
                }
                match effect {
                    ClientEffect::Send(frame) => self.send_up(link, &encode(&frame), frame.name()),
                    ClientEffect::Progress { .. } => {}
                    ClientEffect::UpToDate { counted } => {
                        self.phones[number].backoff.reset();
                        self.phones[number].counted = counted;
                        self.note(&format!("phone {number} is up to date, counted: {counted}"));
                    }
                    ClientEffect::Rest { delay_ms } => {
                        if delay_ms > 0 {
                            self.count("phones told to wait");
                            self.after(delay_ms, Event::Rested { link });
                        }
                        if self.perform(number, ClientEffect::Rest { delay_ms }).is_err() {
                            return;
                        }
                    }
                    ClientEffect::End(end) => return self.session_ended(number, link, &end),
                    other @ (ClientEffect::Prove(_)
                    | ClientEffect::ReadOutbox { .. }
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
                    | ClientEffect::Erase(_)) => match self.perform(number, other) {
                        Ok(answer) => events.extend(answer),
                        Err(()) => return,
                    },
                }
            }
        }
    }

    /// Performs an effect on the replica; `Err` when the session is over by it.
    fn perform(&mut self, number: usize, effect: ClientEffect) -> Result<Option<ClientEvent>, ()> {
        let Some(replica) = self.phones[number].replica.clone() else { return Err(()) };
        let Some(credential) = self.phones[number].credential.clone() else { return Err(()) };
        if let ClientEffect::CommitAck { accepted, .. } = &effect {
            for item in accepted {
                self.acknowledged(number, item.change.doc, item.change.hash());
            }
        }
        let writes = !matches!(effect, ClientEffect::ReadOutbox { .. } | ClientEffect::Prove(_));
        if writes {
            self.phone_disk_may_fail(number);
            let flush = self.rng.below(self.weather.flush_ms_max) + 1;
            self.phones[number].busy_until = self.now + flush;
        }
        match replica.perform(&credential, effect) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.count("phone writes failed");
                self.note(&format!("phone {number} cannot store: {error}"));
                if self.chance(500) {
                    self.kill_phone(number, "while it wrote");
                } else {
                    self.leave(number);
                    self.phone_disk_failed(number);
                }
                Err(())
            }
        }
    }

    /// A write of a phone meets a fault now and then.
    pub(super) fn phone_disk_may_fail(&mut self, number: usize) {
        if self.chance(self.weather.phone_disk_per_mille) {
            let fault = [WriteFault::Full, WriteFault::Lost, WriteFault::Unanswered][self.rng.index(3)];
            self.phones[number].disk.fail_next(fault);
        }
    }

    /// The store refuses until it is opened again; sooner or later somebody does.
    pub(super) fn phone_disk_failed(&mut self, number: usize) {
        if self.phones[number].disk.is_poisoned() {
            self.phones[number].kill();
            let life = self.phones[number].life;
            let off = self.rng.between(100, RESTART_MS_MAX);
            self.after(off, Event::PhoneStarts { phone: number, life });
        }
    }

    /// The phone ends its session and comes back later.
    fn leave(&mut self, number: usize) {
        if let Some((link, _)) = self.phones[number].session.take() {
            self.cut(link);
        }
        self.phones[number].inbox.clear();
        self.phones[number].counted = false;
        self.dial_later(number, 0);
    }

    fn session_ended(&mut self, number: usize, link: u64, end: &SessionEnd) {
        self.note(&format!("phone {number} ends its session: {end:?}"));
        self.count("sessions ended");
        self.cut(link);
        let phone = &mut self.phones[number];
        (phone.session, phone.counted) = (None, false);
        phone.inbox.clear();
        match end {
            SessionEnd::RetryAfter { delay_ms } => self.dial_later(number, *delay_ms),
            SessionEnd::Protocol(detail) => {
                self.fail("no side breaks the protocol", format!("phone {number}: {detail}"));
            }
            SessionEnd::Lost
            | SessionEnd::Moved
            | SessionEnd::Refused { .. }
            | SessionEnd::NotProved
            | SessionEnd::Unanswered => self.dial_later(number, 0),
        }
    }

    fn send_up(&mut self, link: u64, bytes: &[u8], name: &str) {
        self.trace.absorb(bytes);
        if !self.links.get(&link).is_some_and(|open| open.alive) {
            return;
        }
        self.note(&format!("link {link} up {name} of {} bytes", bytes.len()));
        if self.cut_within_frame(link) {
            return;
        }
        if self.goes_further() {
            let at = self.arrival(link, true);
            self.at(at, Event::Up { link, bytes: FURTHER_FRAME.to_vec() });
        }
        let at = self.arrival(link, true);
        self.at(at, Event::Up { link, bytes: bytes.to_vec() });
    }

    /// Now and then a connection ends within a frame, which then never arrives.
    pub(super) fn cut_within_frame(&mut self, link: u64) -> bool {
        let cut = self.chance(self.weather.cut_per_mille);
        if cut {
            self.count("connections cut");
            self.note(&format!("link {link} breaks within a frame"));
            self.cut(link);
        }
        cut
    }

    /// A connection ends. What is under way is lost; each side notices in its own time.
    pub(super) fn cut(&mut self, link: u64) {
        let Some(open) = self.links.get_mut(&link).filter(|open| open.alive) else { return };
        open.alive = false;
        let longest = if self.healing { 2_000 } else { SILENCE_MS_MAX };
        let soon = if self.rng.chance(700) { 500 } else { longest };
        let (phone, server) = (self.rng.below(soon), self.rng.below(longest));
        self.after(phone, Event::PhoneNotices { link });
        self.after(server, Event::ServerNotices { link });
    }

    /// Chance of the storm; never while healing.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        !self.healing && self.rng.chance(per_mille)
    }

    /// A saved edit is announced to the phone's session.
    pub(super) fn local_edit(&mut self, number: usize) {
        if self.phones[number].session.is_some() {
            self.phones[number].counted = false;
            self.phones[number].inbox.push_back(ClientEvent::LocalEdit);
            self.pump_phone(number);
        }
    }
}

/// A replica that is shared only for the length of a call.
pub(super) type SharedReplica = Arc<toso_replica::Replica>;
