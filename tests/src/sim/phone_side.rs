//! What happens to phones: joining, starting, the end of a process, and their lines.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use toso_replica::exchange::{DialFailure, ExchangeEvent};
use toso_replica::{Credential, SyncError};
use toso_server::trust::{EnrolRequest, INVITE_LIFE_MS_DEFAULT, InviteOrder};
use toso_store::faulty::WriteFault;
use toso_wire::enrol::signed_enrol;
use toso_wire::{DecodeError, Frame, decode};

use super::in_touch::unreachable;
use super::newer::FURTHER_FRAME;
use super::world::{Event, Link, World, communes};

/// A phone that was killed is switched on again within this time.
const PHONE_OFF_MS_MAX: u64 = 20_000;
/// After a failure that only opening the store again mends, a person restarts the app within this time.
const RESTART_MS_MAX: u64 = 10_000;
/// Silence after which a side takes its connection for gone.
const SILENCE_MS_MAX: u64 = 120_000;
/// Of the connections that end, so many in a thousand look open to their phone for as long as it waits.
const UNNOTICED_PER_MILLE: u32 = 150;

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
        self.after(at, Event::SyncStarts { phone: number, life });
    }

    /// Ends a phone's process at once.
    pub(super) fn kill_phone(&mut self, number: usize, why: &str) {
        if self.phones[number].replica.is_none() {
            return;
        }
        self.count("phones killed");
        self.note(&format!("phone {number} is killed: {why}"));
        if let Some(link) = self.phones[number].sync.link {
            self.cut(link);
        }
        self.phones[number].kill();
        let life = self.phones[number].life;
        let off = self.rng.between(100, PHONE_OFF_MS_MAX);
        self.after(off, Event::PhoneStarts { phone: number, life });
    }

    /// Now and then the upgrade request arrives twice.
    pub(super) fn upgrade_twice(&mut self, number: usize, token: &str) {
        if self.chance(self.weather.twice_per_mille) {
            self.next_link += 1;
            let echo = self.next_link;
            let at = self.now + self.rng.below(2 * self.weather.delay_ms_max + 1);
            let open = Link { phone: number, alive: true, accepted: false, echo: true, up_at: at, down_at: at };
            self.links.insert(echo, open);
            self.count("upgrades repeated");
            self.note(&format!("the request comes twice, link {echo}"));
            self.at(at, Event::Upgrade { link: echo, token: token.to_owned() });
            let gone = self.rng.below(SILENCE_MS_MAX);
            self.after(gone, Event::ServerNotices { link: echo });
        }
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
            if let Some(open) = self.links.get_mut(&link) {
                open.accepted = true;
            }
            self.line_brings(number, ExchangeEvent::Dialled);
        }
    }

    pub(super) fn on_refused(&mut self, link: u64, delay_ms: u64) {
        if let Some(number) = self.listener(link) {
            self.note(&format!("phone {number} is shed for {delay_ms} ms"));
            let failure = DialFailure::Final(SyncError::RetryAfter { delay_ms });
            self.line_brings(number, ExchangeEvent::NotDialled(failure));
        }
    }

    /// The server's ping arrives.
    pub(super) fn on_sign(&mut self, link: u64) {
        if let Some(number) = self.listener(link) {
            self.line_brings(number, ExchangeEvent::Sign);
        }
    }

    pub(super) fn on_down(&mut self, link: u64, bytes: Vec<u8>) {
        let Some(number) = self.listener(link) else { return };
        match decode(&bytes) {
            Ok(frame) => {
                self.note(&format!("phone {number} gets {} of {} bytes", frame.name(), bytes.len()));
                if matches!(frame, Frame::Welcome(_)) {
                    self.welcomed(number, link);
                }
            }
            Err(DecodeError::UnknownType { .. }) => self.count("frames of a further type passed over"),
            Err(error) => return self.fail("frames can be read", error.to_string()),
        }
        self.line_brings(number, ExchangeEvent::Frame(bytes));
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
        self.phones[open.phone].sync.link.filter(|own| *own == link).map(|_| open.phone)
    }

    pub(super) fn phone_notices(&mut self, link: u64) {
        let Some(open) = self.links.get(&link).filter(|open| !open.echo) else { return };
        let (number, accepted) = (open.phone, open.accepted);
        if self.phones[number].sync.link == Some(link) {
            let broke = || DialFailure::Upgrade(unreachable("the connection broke while it was being set up"));
            let event = if accepted { ExchangeEvent::Gone } else { ExchangeEvent::NotDialled(broke()) };
            self.line_brings(number, event);
        }
    }

    pub(super) fn phone_goes_on(&mut self, number: usize, life: u32) {
        if self.phones[number].life == life {
            self.pump_phone(number);
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

    pub(super) fn send_up(&mut self, link: u64, bytes: &[u8], name: &str) {
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

    /// A connection ends. What is under way is lost; each side notices in its own time, and a phone now and then not before
    /// it has waited in vain.
    pub(super) fn cut(&mut self, link: u64) {
        let Some(open) = self.links.get_mut(&link).filter(|open| open.alive) else { return };
        open.alive = false;
        let longest = if self.healing { 2_000 } else { SILENCE_MS_MAX };
        let soon = if self.rng.chance(700) { 500 } else { longest };
        let (phone, server) = (self.rng.below(soon), self.rng.below(longest));
        if !self.chance(UNNOTICED_PER_MILLE) {
            self.after(phone, Event::PhoneNotices { link });
        }
        self.after(server, Event::ServerNotices { link });
    }

    /// A phone has closed its line.
    pub(super) fn on_closed(&mut self, link: u64) {
        if let Some(open) = self.links.get_mut(&link) {
            open.alive = false;
        }
        self.drop_serving(link);
    }

    /// Chance of the storm; never while healing.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        !self.healing && self.rng.chance(per_mille)
    }

    /// A saved edit waits to be sent.
    pub(super) fn local_edit(&mut self, number: usize) {
        self.phones[number].counted = false;
        self.pump_phone(number);
    }
}

/// A replica that is shared only for the length of a call.
pub(super) type SharedReplica = Arc<toso_replica::Replica>;
