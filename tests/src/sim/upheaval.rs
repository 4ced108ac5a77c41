//! Devices move to other communes, officers decide what was held, phones come back from older copies or become two.
//!
//! Which of these a seed has is decided by its number; when and to whom they happen, by chance. A move leaves late edits to
//! the review queue, so an edit ends in the register or returned to its author, and every phone that waited must have
//! read how. What only a phone had that was replaced by an older copy of itself is gone with it, and is the one loss that the
//! checks allow.

use std::collections::BTreeSet;
use std::sync::Arc;

use toso_core::chunk::ChangeHash;
use toso_core::id::{DeviceId, DocId, Sequence};
use toso_core::unit::UnitRef;
use toso_replica::HeldState;
use toso_server::log_writer::append_group;
use toso_server::review::ReviewStatus;
use toso_store::LogBatch;
use toso_store::faulty::FaultyChunkStore;
use toso_sync::AccessRole;

use super::phone::Phone;
use super::rng::Rng;
use super::world::{Event, World, communes};

/// One seed in so many has devices that move.
const MOVES_EVERY: u64 = 3;
/// One seed in so many has phones from older copies, and phones that become two.
const COPIES_EVERY: u64 = 5;
/// Clones of a seed.
const CLONES_MAX: usize = 2;
/// Copies of phones that lie about.
const COPIES_MAX: usize = 3;

/// What a seed has of all this.
#[derive(Default)]
pub(super) struct Upheaval {
    /// Devices move.
    pub(super) moves: bool,
    copies: bool,
    lying_about: Vec<Copy>,
    clones: usize,
    /// Saves that only a phone had which an older copy replaced.
    lost: BTreeSet<(DocId, ChangeHash)>,
    /// Officers have looked at a restored server.
    looked_after: bool,
}

/// A phone as it was.
struct Copy {
    number: usize,
    disk: FaultyChunkStore,
    outbox_seen: u64,
    returned: BTreeSet<(DocId, ChangeHash)>,
}

impl Upheaval {
    /// What a seed has.
    pub(super) fn of(seed: u64) -> Self {
        let moves = seed.is_multiple_of(MOVES_EVERY);
        Self { moves, copies: seed.is_multiple_of(COPIES_EVERY), ..Self::default() }
    }

    /// True when anything of it may happen.
    pub(super) fn happens(&self) -> bool {
        self.moves || self.copies
    }
}

impl World {
    pub(super) fn turn_upside_down(&mut self) {
        if self.healing {
            return;
        }
        let number = self.rng.index(self.phones.len());
        match self.rng.below(100) {
            0..30 if self.upheaval.moves => self.move_somebody(number),
            30..65 if self.upheaval.moves => self.decide_something(),
            65..80 if self.upheaval.copies => self.copy_phone(number),
            80..95 if self.upheaval.copies => self.go_back_to_a_copy(),
            95..100 if self.upheaval.copies => self.clone_phone(number),
            _ => {}
        }
        let wait = self.rng.between(500, 12_000);
        self.after(wait, Event::Upheaval);
    }

    /// An officer puts a device into another commune, or back.
    fn move_somebody(&mut self, number: usize) {
        let phone = &self.phones[number];
        if phone.tampered || phone.role != AccessRole::Recorder {
            return;
        }
        let unit = communes()[self.rng.index(3)];
        let Some(device) = self.phones[number].device.filter(|_| unit != self.phones[number].unit) else { return };
        if !self.move_device(device, unit) {
            return;
        }
        self.count("devices moved");
        for phone in self.phones.iter_mut().filter(|phone| phone.device == Some(device)) {
            phone.unit = unit;
            phone.units.push(unit);
            phone.counted = false;
        }
    }

    /// `false` when the server is away, or cannot write.
    fn move_device(&mut self, device: DeviceId, unit: UnitRef) -> bool {
        let now = self.server_now();
        let Some(running) = &self.server.running else { return false };
        if !running.desk.trust.move_device(device, unit, None, now).is_ok_and(|moved| moved) {
            return false;
        }
        running.hub.moved(device.author());
        self.note(&format!("device {device} is moved to {unit}"));
        self.tell_news();
        true
    }

    /// Sessions look for news.
    pub(super) fn tell_news(&mut self) {
        let life = self.server.life;
        let Some(running) = &self.server.running else { return };
        let links: Vec<u64> = running.sessions.keys().copied().collect();
        for link in links {
            let wait = self.rng.below(5);
            self.after(wait, Event::News { link, life });
        }
    }

    /// An officer accepts or returns something that is held.
    fn decide_something(&mut self) {
        let Some(running) = &self.server.running else { return };
        let open = running.desk.review.list(0, usize::MAX, |record| record.status == ReviewStatus::Open);
        let Some((item, record)) = open.get(self.rng.index(open.len())).cloned() else { return };
        let accepts = self.rng.chance(600);
        // What others bring back was in the register before.
        self.decide(item, accepts || record.returned_by.is_some());
    }

    fn decide(&mut self, number: u64, accepts: bool) {
        let now = self.server_now();
        let dies = self.server_may_die();
        let Some(running) = &mut self.server.running else { return };
        let review = &running.desk.review;
        let Some(record) = review.item(number) else { return };
        if !accepts {
            let returned = review.give_back(&*self.server.disk, number, None, "thử".to_owned(), now).is_ok();
            // Also when it was not: it may have turned out to be in the register, which its author is told.
            running.hub.decided(record.author);
            if returned {
                self.count("edits returned");
            }
            self.note(&format!("item {number} is {}", if returned { "returned" } else { "not returned" }));
            self.tell_news();
            return;
        }
        let Ok(deciding) = review.begin_accept(number) else { return };
        let items = vec![deciding.change.clone()];
        let batch = LogBatch { scope: record.scope, author: record.author, received_at: now, items };
        if record.returned_by.is_some_and(|by| running.desk.note_returned(&batch, by).is_err()) {
            return;
        }
        let Some(Ok(accepted)) = append_group(&*self.server.disk, &running.quotas, vec![batch.into()]).pop() else {
            return;
        };
        if dies {
            return self.crash_server("between the log and the review queue");
        }
        if let Some(first) = accepted.appended.first_new {
            running.hub.grew(record.scope, Sequence(first.0));
        }
        if deciding.accept(None, now).is_ok() {
            running.hub.decided(record.author);
            self.count("edits accepted");
            self.note(&format!("item {number} is accepted"));
        }
        self.tell_news();
        self.plan_fold();
    }

    fn copy_phone(&mut self, number: usize) {
        let phone = &self.phones[number];
        if phone.tampered || phone.disk.is_poisoned() || phone.unanswered.is_some() {
            return;
        }
        let (disk, returned) = ((*phone.disk).clone(), phone.returned.clone());
        let copy = Copy { number, disk, outbox_seen: phone.outbox_seen, returned };
        self.note(&format!("phone {number}'s disk is copied"));
        if self.upheaval.lying_about.len() >= COPIES_MAX {
            self.upheaval.lying_about.remove(0);
        }
        self.upheaval.lying_about.push(copy);
    }

    /// A phone is lost, and a copy of it as it was takes its place.
    fn go_back_to_a_copy(&mut self) {
        if self.upheaval.lying_about.is_empty() {
            return;
        }
        let place = self.rng.index(self.upheaval.lying_about.len());
        let Copy { number, disk, outbox_seen, returned } = self.upheaval.lying_about.remove(place);
        if self.phones[number].replica.is_none() || self.phones[number].unanswered.is_some() {
            return;
        }
        self.kill_phone(number, "for good; an older copy takes its place");
        self.count("phones from older copies");
        let phone = &mut self.phones[number];
        let gone = phone.returned.difference(&returned).copied().filter(|save| !phone.acked.contains(save));
        self.upheaval.lost.extend(gone);
        phone.disk = Arc::new(disk);
        phone.disk.set_full(false);
        (phone.outbox_seen, phone.returned, phone.checked_commits) = (outbox_seen, returned, 0);
    }

    /// A phone becomes two, which both go on.
    fn clone_phone(&mut self, number: usize) {
        let phone = &self.phones[number];
        let unfit = phone.tampered || phone.disk.is_poisoned() || phone.unanswered.is_some() || phone.device.is_none();
        if unfit || self.upheaval.clones >= CLONES_MAX {
            return;
        }
        self.upheaval.clones += 1;
        let random = Rng::new(self.plan.seed, 200 + self.phones.len() as u64);
        let mut clone = Phone::new(phone.unit, phone.role, random, None);
        clone.disk = Arc::new((*phone.disk).clone());
        clone.disk.set_full(false);
        (clone.device, clone.units, clone.credential) = (phone.device, phone.units.clone(), phone.credential.clone());
        (clone.returned, clone.acked) = (phone.returned.clone(), phone.acked.clone());
        clone.outbox_seen = phone.outbox_seen;
        let (clone_number, life) = (self.phones.len(), clone.life);
        self.phones.push(clone);
        self.count("phones cloned");
        self.note(&format!("phone {number} becomes two, the other is phone {clone_number}"));
        let on = self.rng.below(5_000);
        self.after(on, Event::PhoneStarts { phone: clone_number, life });
    }

    /// Moves that a restored server has forgotten: it learns of them from the devices that had heard of them. Of others
    /// nobody knows, so officers make them again, and some that need not be, and some to another unit.
    fn move_again(&mut self) {
        let first = !std::mem::replace(&mut self.upheaval.looked_after, true);
        for number in 0..self.phones.len() {
            let phone = &self.phones[number];
            let (Some(device), Some(running)) = (phone.device.filter(|_| !phone.tampered), &self.server.running) else {
                continue;
            };
            let (wanted, known) = (phone.unit, running.desk.trust.device(device).map(|record| record.unit));
            let heard = |phone: &Phone| phone.device == Some(device) && phone.believed_unit() == wanted;
            let is_told = self.phones.iter().any(heard);
            if first && phone.was_moved() && self.rng.chance(200) {
                self.move_somebody(number);
            } else if known.is_some_and(|known| known != wanted) && (!is_told || first && self.rng.chance(300)) {
                self.move_device(device, wanted);
            }
        }
    }

    /// After the storm: officers look after moves that were forgotten, and decide all that waits.
    pub(super) fn settle(&mut self) {
        if !(self.upheaval.moves || self.restored_after_link.is_some()) {
            return;
        }
        if self.upheaval.moves && self.restored_after_link.is_some() {
            self.move_again();
        }
        let Some(running) = &self.server.running else { return };
        for (item, record) in running.desk.review.list(0, usize::MAX, |record| record.status == ReviewStatus::Open) {
            self.count(if record.returned_by.is_some() { "returned edits held" } else { "late edits held" });
            self.decide(item, !item.is_multiple_of(3) || record.returned_by.is_some());
        }
    }

    /// Why devices or edits are not where they are to be; `None` when they are.
    pub(super) fn unsettled(&self) -> Option<String> {
        if !(self.upheaval.moves || self.restored_after_link.is_some()) {
            return None;
        }
        let open = self.server.running.as_ref().map_or(0, |running| running.desk.review.open_len());
        if open > 0 {
            return Some(format!("{open} edits wait for a decision"));
        }
        for (number, phone) in self.phones.iter().enumerate().filter(|(_, phone)| !phone.tampered) {
            let Some(replica) = &phone.replica else { return Some(format!("phone {number} is off")) };
            if replica.credential().map(|credential| credential.unit).ok() != Some(phone.unit) {
                return Some(format!("phone {number} has not heard that it was moved to {}", phone.unit));
            }
            let held = replica.held().unwrap_or_default();
            if let Some(held) = held.iter().find(|held| held.state == HeldState::Waiting) {
                let (doc, hash) = (held.doc, held.hash);
                return Some(format!("phone {number} has not heard what was decided of {doc} {hash}"));
            }
        }
        None
    }

    /// Everything that anybody saved is in the register, or was returned, or went with the only phone that had it; and
    /// phones show of what was held what the centre decided.
    pub(super) fn check_ends(&mut self) {
        let Some(running) = &self.server.running else { return };
        let items = running.desk.review.list(0, usize::MAX, |_| true);
        let status = |doc: DocId, hash: ChangeHash| {
            items.iter().find(|(_, record)| record.doc == doc && record.hash == hash).map(|(_, record)| record.status)
        };
        // A restored server has lost for good what no phone had any more.
        let restored = self.restored_after_link.is_some();
        let nowhere: Vec<_> = self
            .model
            .saves()
            .filter(|(doc, hash)| {
                !self.in_log.contains(&(*doc, *hash))
                    && status(*doc, *hash) != Some(ReviewStatus::Returned)
                    && !self.upheaval.lost.contains(&(*doc, *hash))
            })
            .collect();
        let (nowhere, gone): (Vec<_>, Vec<_>) =
            nowhere.into_iter().partition(|save| !restored || self.still_held.contains(save));
        if !gone.is_empty() {
            *self.counts.entry("edits that only the lost server had").or_default() += gone.len() as u64;
        }
        let nowhere = nowhere.first();
        let mut wrong = nowhere.map(|(doc, hash)| format!("{doc} {hash} is nowhere"));
        for (number, phone) in self.phones.iter().enumerate() {
            let held = phone.replica.as_ref().and_then(|replica| replica.held().ok()).unwrap_or_default();
            for held in held {
                let ended = match held.state {
                    HeldState::Accepted => self.in_log.contains(&(held.doc, held.hash)),
                    HeldState::Returned => status(held.doc, held.hash) == Some(ReviewStatus::Returned),
                    HeldState::Refused | HeldState::Waiting => phone.tampered,
                };
                if !ended {
                    wrong.get_or_insert(format!("phone {number} shows {:?} of {} {}", held.state, held.doc, held.hash));
                }
            }
        }
        if let Some(wrong) = wrong {
            self.fail("an edit ends in the register or returned, and its author sees which", wrong);
        }
    }

    /// Chunks of a phone that are in its unit and were returned: here and not at the centre.
    pub(super) fn returned_here(&self, number: usize) -> BTreeSet<(DocId, ChangeHash)> {
        let held = self.phones[number].replica.as_ref().and_then(|replica| replica.held().ok()).unwrap_or_default();
        let returned = held.into_iter().filter(|held| held.state == HeldState::Returned);
        returned.map(|held| (held.doc, held.hash)).collect()
    }
}
