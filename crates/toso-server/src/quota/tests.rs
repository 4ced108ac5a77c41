//! What a device may write in a day: at each limit and past it, over days, over restarts, and what costs nothing.

use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::id::{ChangeHash, DocId};
use toso_core::unit::{UnitList, UnitRef};
use toso_store::LogBatch;
use toso_store::faulty::FaultyChangeLog;
use toso_store::memory::MemoryChangeLog;

use super::*;
use crate::log_writer::{Accepted, UnitBatch, append_group};

const RECORDER: Charge = Charge::Own { role: AccessRole::Recorder };
const HOUR_MS: u64 = DAY_MS / 24;

/// A log with quotas, and a clock.
struct Centre {
    log: Arc<MemoryChangeLog>,
    quotas: Quotas,
    now: u64,
    next: u64,
}

impl Centre {
    fn new() -> Self {
        let log = Arc::new(MemoryChangeLog::new());
        let quotas = Quotas::load(Arc::clone(&log) as _, Budgets::default()).unwrap();
        Self { log, quotas, now: 1_663_545_600_000, next: 0 }
    }

    fn restart(&mut self) {
        self.quotas = Quotas::load(Arc::clone(&self.log) as _, Budgets::default()).unwrap();
    }

    /// A batch of new changes, each of a document of its own.
    fn batch(&mut self, device: u8, charge: Charge, changes: u64, bytes: usize) -> UnitBatch {
        let scope = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let items = (0..changes).map(|_| {
            self.next += 1;
            let hash = *blake3::hash(&self.next.to_be_bytes()).as_bytes();
            let unique = *hash.first_chunk().unwrap();
            Change { doc: DocId::member(scope, unique), chunk: Chunk::trusted(vec![1; bytes], ChangeHash(hash)) }
        });
        let items = items.collect();
        let batch = LogBatch { scope, author: AuthorId([device; 8]), received_at: TimestampMs(self.now), items };
        UnitBatch { batch, unit: Arc::default(), charge }
    }

    fn append(&self, batch: UnitBatch) -> Accepted {
        append_group(&*self.log, &self.quotas, vec![batch]).remove(0).unwrap()
    }

    /// Pushes until the centre takes no more; how many it took, and when it wants to be asked again.
    fn write(&mut self, device: u8, charge: Charge, changes: u64, bytes: usize) -> (u64, Option<u64>) {
        let mut new = 0;
        while new < changes {
            let batch =
                self.batch(device, charge, (changes - new).min(200).min((200_000 / bytes as u64).max(1)), bytes);
            let accepted = self.append(batch);
            new += accepted.appended.new as u64;
            if let Some(postponed) = accepted.postponed {
                return (new, Some(postponed.wait_ms));
            }
        }
        (new, None)
    }
}

#[test]
fn a_device_writes_its_changes_of_the_day_and_not_one_more() {
    let mut centre = Centre::new();
    let (new, wait) = centre.write(1, RECORDER, RECORDER_DAY.changes + 1, 1);
    assert_eq!((new, wait), (RECORDER_DAY.changes, Some(DAY_MS / REOPENS_AT)), "an eighth of a day");
    let batch = centre.batch(1, RECORDER, 1, 1);
    assert_eq!(centre.append(batch).postponed.map(|postponed| postponed.spent), Some(Spent::Device));
    let batch = centre.batch(1, RECORDER, 3, 1);
    assert_eq!(centre.append(batch).postponed.map(|postponed| postponed.from), Some(0), "nothing after it");
    assert_eq!(centre.write(2, RECORDER, 5, 1), (5, None), "another device's day is its own");
    let officer = Charge::Own { role: AccessRole::Officer };
    assert_eq!(centre.write(3, officer, OFFICER_DAY.changes + 1, 1).0, OFFICER_DAY.changes);
}

/// The change that reaches the limit still goes in, so that no device is refused for the size of what it has.
#[test]
fn a_device_writes_its_bytes_of_the_day() {
    let mut centre = Centre::new();
    let large = usize::try_from(RECORDER_DAY.bytes / 160).unwrap();
    assert_eq!(centre.write(1, RECORDER, 159, large), (159, None));
    assert_eq!(centre.write(1, RECORDER, 1, large - 1), (1, None), "one byte is left");
    assert_eq!(centre.write(1, RECORDER, 1, large), (1, None));
    assert_eq!(centre.write(1, RECORDER, 1, 1).0, 0);
}

#[test]
fn what_was_written_fades_evenly_and_a_device_is_let_in_again_after_an_eighth() {
    let mut centre = Centre::new();
    centre.write(1, RECORDER, RECORDER_DAY.changes + 1, 1);
    centre.now += 3 * HOUR_MS - 1;
    assert_eq!(centre.write(1, RECORDER, 1, 1), (0, Some(1)));
    centre.now += 1;
    let eighth = RECORDER_DAY.changes / REOPENS_AT;
    assert_eq!(centre.write(1, RECORDER, eighth + 1, 1).0, eighth);
    centre.now += DAY_MS;
    assert_eq!(centre.write(1, RECORDER, RECORDER_DAY.changes + 1, 1).0, RECORDER_DAY.changes, "a day later, a day");
    // Asked every second, an account fades as fast as one that is left alone.
    for _ in 0..3 * HOUR_MS / 1_000 {
        centre.now += 1_000;
        let mut ledger = centre.quotas.open();
        let unit = UnitRef::new(UnitList::L2022, "00001").unwrap();
        let mut asked = ledger.purse(RECORDER, AuthorId([1; 8]), unit, TimestampMs(centre.now));
        for Payer { budget, account, .. } in &mut asked.payers {
            account.wait(*budget, asked.day_ms, asked.now);
        }
        ledger.keep(asked);
    }
    assert_eq!(centre.write(1, RECORDER, 1, 1), (1, None));
}

/// The whole outbox of a season, 5,000 documents with three changes each, comes in within four days, and in one where an
/// officer allows an import day.
#[test]
fn a_phone_that_comes_home_is_rid_of_everything_in_a_few_days() {
    let outbox = 15_000;
    let mut centre = Centre::new();
    let (began, mut left) = (centre.now, outbox);
    while left > 0 {
        let (new, wait) = centre.write(1, RECORDER, left, 400);
        left -= new;
        centre.now += wait.unwrap_or_default();
    }
    assert!(centre.now - began < 4 * DAY_MS, "{} h", (centre.now - began) / HOUR_MS);
    centre.quotas.allow(AuthorId([2; 8]), TimestampMs(centre.now)).unwrap();
    assert_eq!(centre.write(2, RECORDER, outbox, 400), (outbox, None));
}

#[test]
fn an_import_day_is_as_large_as_it_says_survives_a_restart_and_ends_with_the_day() {
    let mut centre = Centre::new();
    let allowed = centre.quotas.allow(AuthorId([1; 8]), TimestampMs(centre.now)).unwrap();
    assert_eq!((allowed.changes, allowed.until.0), (IMPORT_DAY.changes, centre.now + DAY_MS));
    centre.restart();
    let both = IMPORT_DAY.changes + RECORDER_DAY.changes;
    assert_eq!(centre.write(1, RECORDER, both + 1, 1).0, both, "the device's own day comes on top");
    let again = |centre: &Centre| centre.quotas.allow(AuthorId([1; 8]), TimestampMs(centre.now));
    centre.now += DAY_MS - 1;
    assert!(
        matches!(again(&centre), Err(AllowError::AllowedToday { wait_ms: 1 })),
        "used up, and once a day all the same"
    );
    centre.now += 1;
    assert!(again(&centre).is_ok());
    centre.quotas.allow(AuthorId([2; 8]), TimestampMs(centre.now)).unwrap();
    centre.now += DAY_MS;
    assert_eq!(centre.write(2, RECORDER, both, 1).0, RECORDER_DAY.changes);
}

/// What was allowed is a decision; what is left of it follows, and a restart gives back no more than an eighth of a day.
#[test]
fn a_restart_in_an_import_day_gives_back_little_of_it() {
    let mut centre = Centre::new();
    centre.quotas.allow(AuthorId([1; 8]), TimestampMs(centre.now)).unwrap();
    let half = IMPORT_DAY.changes / 2;
    assert_eq!(centre.write(1, RECORDER, half, 1), (half, None));
    centre.restart();
    let rest = centre.write(1, RECORDER, IMPORT_DAY.changes + RECORDER_DAY.changes, 1).0;
    let due = half + RECORDER_DAY.changes;
    assert!((due..=due + RECORDER_DAY.changes / REOPENS_AT).contains(&rest), "{rest} of {due}");
}

/// The story: a commune officer's token made device after device, and each wrote its own day until the disk was full.
#[test]
fn all_devices_of_a_unit_share_its_day() {
    let mut centre = Centre::new();
    let mut written = 0;
    for device in 0..=u8::MAX {
        written += centre.write(device, RECORDER, RECORDER_DAY.changes, 1).0;
    }
    assert_eq!(written, UNIT_DAY.changes, "256 devices");
    // The story: a phone that had written nothing was told that its own share was used up.
    let spent = |centre: &mut Centre, device| {
        let batch = centre.batch(device, RECORDER, 1, 1);
        centre.append(batch).postponed.map(|postponed| postponed.spent)
    };
    assert_eq!(spent(&mut centre, u8::MAX), Some(Spent::Unit));
    centre.restart();
    let officer = Charge::Own { role: AccessRole::Officer };
    assert!(centre.write(1, officer, OFFICER_DAY.changes, 1).0 < UNIT_DAY.changes / REOPENS_AT, "nor by a restart");
    centre.now += DAY_MS;
    assert_eq!(centre.write(77, RECORDER, 20, 1), (20, None), "the next day");
    assert_eq!(centre.write(1, Charge::Free, 100, 1), (100, None), "what officers accept is free");
}

#[test]
fn repetitions_and_what_is_accepted_cost_nothing() {
    let mut centre = Centre::new();
    let first = centre.batch(1, RECORDER, 200, 1);
    for _ in 0..50 {
        assert_eq!(centre.append(first.clone()).postponed, None);
    }
    assert_eq!(centre.write(1, Charge::Free, 2 * RECORDER_DAY.changes, 1), (2 * RECORDER_DAY.changes, None));
    assert_eq!(centre.write(1, RECORDER, RECORDER_DAY.changes, 1).0, RECORDER_DAY.changes - 200);
}

/// A carrier brings no author past its day, and has a day of its own for what it brings.
#[test]
fn what_is_carried_costs_its_author_and_its_carrier() {
    let mut centre = Centre::new();
    let carried = Charge::Carried { role: AccessRole::Recorder, carrier: AuthorId([99; 8]) };
    let each = RECORDER_DAY.changes;
    for author in 1..=10 {
        assert_eq!(centre.write(author, carried, each, 1), (each, None));
    }
    assert_eq!(10 * each, CARRIED_DAY.changes);
    assert_eq!(centre.write(1, RECORDER, 1, 1).0, 0, "the author's day is used up, however it came");
    assert_eq!(centre.write(11, carried, 1, 1).0, 0, "and the carrier's of carrying");
    assert_eq!(centre.write(99, RECORDER, each, 1), (each, None), "but not its own");
    assert_eq!(centre.write(11, RECORDER, each, 1), (each, None), "and who was not brought has paid nothing");
}

/// The story: for 90 days after a restore one rogue device could append any number of invented changes in a recorder's name.
#[test]
fn what_is_returned_after_a_restore_costs_who_returns_it_and_not_whom_it_names() {
    let mut centre = Centre::new();
    let returned = Charge::Returned { carrier: AuthorId([99; 8]) };
    // A commune's phones since a backup as old as the window.
    let days = crate::trust::RETURN_WINDOW_MS / DAY_MS;
    let honest = 22 * 20 * days;
    assert!(honest <= CARRIED_DAY.changes && honest * 2 * 1024 <= CARRIED_DAY.bytes);
    assert_eq!(centre.write(1, returned, honest, 1), (honest, None), "one phone gives all of it back in a day");
    assert_eq!(centre.write(2, returned, CARRIED_DAY.changes - honest, 1).1, None, "at the limit, in another name");
    let (none, wait) = centre.write(3, returned, 1, 1);
    assert!(none == 0 && wait.is_some(), "past it, in a third");
    for named in 1..=3 {
        assert_eq!(centre.write(named, RECORDER, RECORDER_DAY.changes, 1).1, None, "who was named pays nothing");
    }
    centre.now += DAY_MS;
    assert_eq!(centre.write(3, returned, CARRIED_DAY.changes, 1), (CARRIED_DAY.changes, None), "the next day");
}

/// Else someone who can make a server restart writes without end.
#[test]
fn a_restart_gives_back_less_than_an_eighth_of_the_day() {
    let mut centre = Centre::new();
    centre.write(1, RECORDER, RECORDER_DAY.changes, 1);
    centre.restart();
    assert!(centre.write(1, RECORDER, RECORDER_DAY.changes, 1).0 < RECORDER_DAY.changes / REOPENS_AT);
}

/// A disk that is full for an hour must not use up the day of every phone that tries meanwhile.
#[test]
fn what_the_log_did_not_take_costs_nothing() {
    let disk = FaultyChangeLog::new();
    let mut centre = Centre::new();
    let batch = centre.batch(1, RECORDER, 200, 1);
    disk.set_full(true);
    for _ in 0..100 {
        let outcome = append_group(&disk, &centre.quotas, vec![batch.clone()]).remove(0);
        assert!(outcome.is_err());
    }
    disk.set_full(false);
    assert_eq!(centre.write(1, RECORDER, RECORDER_DAY.changes, 1), (RECORDER_DAY.changes, None));
}

/// What an officer has allowed is not lost to a full disk, and does not become the device's own day instead.
#[test]
fn what_the_log_did_not_take_goes_back_to_the_import_day_that_paid_it() {
    let disk = FaultyChangeLog::new();
    let mut centre = Centre::new();
    let five = Budget { changes: 5, ..RECORDER_DAY };
    let budgets = Budgets { recorder: five, import: five, ..Budgets::default() };
    centre.quotas = Quotas::load(Arc::clone(&centre.log) as _, budgets).unwrap();
    centre.quotas.allow(AuthorId([1; 8]), TimestampMs(centre.now)).unwrap();
    // More than the import day has, so that it is used up and the device's own day pays the rest.
    let batch = centre.batch(1, RECORDER, 7, 1);
    disk.set_full(true);
    assert!(append_group(&disk, &centre.quotas, vec![batch]).remove(0).is_err());

    assert_eq!(centre.write(1, RECORDER, 5, 1), (5, None), "from the import day");
    assert_eq!(centre.write(1, RECORDER, 6, 1).0, 5, "from the device's own");
}

/// Phones with a day's work leave nothing behind: neither in memory, once it has faded, nor in the store.
#[test]
fn honest_phones_are_forgotten() {
    let mut centre = Centre::new();
    for device in 0..=u8::MAX {
        centre.write(device, RECORDER, 20, 500);
    }
    assert!(centre.log.records(QUOTA_TABLE, &[]).unwrap().is_empty(), "and cost no write");
    centre.write(7, RECORDER, RECORDER_DAY.changes, 1);
    assert_eq!(centre.log.records(QUOTA_TABLE, &[]).unwrap().len(), 1, "the unit's eighth is not reached");
    centre.now += 2 * DAY_MS;
    centre.quotas.known.lock().swept_at = 0;
    centre.write(1, RECORDER, 1, 1);
    assert_eq!(centre.quotas.known.lock().accounts.len(), 2, "the device's and the unit's");
    centre.write(1, RECORDER, 1, 1);
    assert!(centre.log.records(QUOTA_TABLE, &[]).unwrap().is_empty(), "its record goes with it");
}

#[test]
fn a_clock_that_goes_back_neither_opens_nor_shuts() {
    let mut centre = Centre::new();
    centre.write(1, RECORDER, RECORDER_DAY.changes + 1, 1);
    centre.now -= DAY_MS;
    assert_eq!(centre.write(1, RECORDER, 1, 1).0, 0);
    assert_eq!(centre.write(2, RECORDER, 1, 1).0, 1);
    centre.now += 3 * HOUR_MS;
    assert_eq!(centre.write(1, RECORDER, 1, 1).0, 1, "from then on it fades as ever");
}
