//! What a phone refuses by its clock and the server's word, what it shows, and what it remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use toso_core::change::Change;
use toso_core::edit::{EditError, MemberEdit, TeamEdit};
use toso_core::finding::Finding;
use toso_core::id::{DocId, DocKind, Epoch};
use toso_core::time::TimestampMs;
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, Transaction};

use super::super::tests::{all_of, commune, draft, replica};
use super::*;
use crate::ReplicaOptions;
use crate::credential::SERVER_TIME_KEPT_MS;

/// 30/11/2026, noon in Vietnam.
const NOW_MS: u64 = 1_796_014_800_000;
const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// A phone whose clock the test sets.
fn phone(clock_ms: u64) -> (Arc<MemoryChunkStore>, Arc<AtomicU64>, Replica) {
    let (store, _) = replica();
    let clock = Arc::new(AtomicU64::new(clock_ms));
    let shown = Arc::clone(&clock);
    let options = ReplicaOptions {
        clock: Arc::new(move || TimestampMs(shown.load(Ordering::Relaxed))),
        ..crate::testing::options()
    };
    let replica = Replica::open(Arc::clone(&store) as Arc<dyn ChunkStore>, &options).unwrap();
    (store, clock, replica)
}

fn joined(day: &str) -> DocEdit {
    DocEdit::parse(DocKind::Member, "joined_on", day).unwrap()
}

fn is_refused(result: Result<bool, ReplicaError>) -> bool {
    match result {
        Ok(_) => false,
        Err(ReplicaError::Edit(EditError::DayToCome { .. })) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_phone_refuses_what_lies_ahead_of_its_clock_and_of_the_servers_word() {
    let (_store, clock, phone) = phone(NOW_MS);
    let team = phone.add_team(draft("Thôn 1")).unwrap();
    let to_come = |day: &str| MemberEdit::JoinedOn(Date::parse(day).ok());
    let refused = phone.add_member(team, vec![to_come("2/12/2026")]).unwrap_err();
    assert!(matches!(&refused, ReplicaError::Edit(EditError::DayToCome { field, .. }) if field == "joined_on"));
    let member = phone.add_member(team, vec![to_come("1/12/2026")]).unwrap();
    let found = Finding::DayToCome { document: member, field: "joined_on".to_owned() };
    assert!(!phone.findings().unwrap().contains(&found), "what is taken is not found fault with");
    clock.fetch_sub(24 * 60 * 60 * 1000, Ordering::Relaxed);
    assert!(phone.findings().unwrap().contains(&found), "a clock that was ahead was set right");
    clock.fetch_add(24 * 60 * 60 * 1000, Ordering::Relaxed);
    let edit = TeamEdit::DecisionDate(Date::parse("1/1/2100").ok());
    assert!(is_refused(phone.edit(team, &[DocEdit::Team(edit)])));
    assert!(is_refused(
        phone
            .edit_commune(None, &[DocEdit::parse(DocKind::Commune, "signed_off_on", "1/1/2100").unwrap()])
            .map(|_| true)
    ));
    // Against what the record has.
    phone.edit(member, &[joined("1/9/2022")]).unwrap();
    let left = DocEdit::parse(DocKind::Member, "left_on", "1/8/2022").unwrap();
    assert!(matches!(phone.edit(member, &[left]), Err(ReplicaError::Edit(EditError::DaysOutOfOrder { .. }))));
}

#[test]
fn a_clock_that_is_years_behind_costs_nothing_once_the_server_was_met() {
    let (store, clock, phone) = phone(NOW_MS - 7 * YEAR_MS);
    let team = phone.add_team(draft("Thôn 1")).unwrap();
    let member = phone.add_member(team, Vec::new()).unwrap();
    assert!(!is_refused(phone.edit(member, &[joined("30/11/2026")])), "nobody has told it the time");
    assert!(is_refused(phone.edit(member, &[joined("1/1/2100")])));
    phone.keep_session(Some(Epoch(1)), None, TimestampMs(NOW_MS), None).unwrap();
    assert!(is_refused(phone.edit(member, &[joined("2/12/2026")])));
    // Weeks without a network: its clock runs on, as far behind.
    clock.fetch_add(21 * 24 * 60 * 60 * 1000, Ordering::Relaxed);
    assert!(!is_refused(phone.edit(member, &[joined("21/12/2026")])));
    // The battery was taken out: the server's last word is the latest that is known.
    clock.store(0, Ordering::Relaxed);
    assert!(!is_refused(phone.edit(member, &[joined("1/12/2026")])));
    assert!(is_refused(phone.edit(member, &[joined("2/12/2026")])));
    drop(store);
}

#[test]
fn the_servers_time_is_written_down_every_twelve_hours() {
    let (store, clock, phone) = phone(NOW_MS);
    let kept = || SessionMemory::load(store.as_ref()).unwrap().server_at;
    let meet = |later_ms: u64| {
        clock.store(NOW_MS + later_ms, Ordering::Relaxed);
        phone.keep_session(Some(Epoch(1)), None, TimestampMs(NOW_MS + later_ms), None).unwrap();
        kept().0 - NOW_MS
    };
    assert_eq!(meet(0), 0);
    assert_eq!(meet(SERVER_TIME_KEPT_MS), 0);
    assert_eq!(meet(SERVER_TIME_KEPT_MS + 1), SERVER_TIME_KEPT_MS + 1);
}

/// The story: a build without the rule, or a phone whose clock is years ahead, brings such a day to everybody.
#[test]
fn what_arrives_all_the_same_is_shown() {
    let (store, clock, phone) = phone(NOW_MS);
    let team = phone.add_team(draft("Thôn 1")).unwrap();
    let id = DocId::member(commune(), [7; 11]);
    let author = toso_core::document::Author {
        actor: toso_core::id::Actor::new(toso_core::id::DeviceId([9; 16]), [9; 8]),
        at: TimestampMs(NOW_MS),
    };
    let edits = [DocEdit::Member(MemberEdit::Team(Some(team))), joined("1/1/2100")];
    let chunk = Document::first_save(id, author, &edits).unwrap().unwrap();
    let chunks = vec![(commune(), Change { doc: id, chunk })];
    store.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    let found = Finding::DayToCome { document: id, field: "joined_on".to_owned() };
    assert!(phone.findings().unwrap().contains(&found));
    let phone_number = DocEdit::parse(DocKind::Member, "phone", "0912 000 001").unwrap();
    assert!(phone.edit(id, &[phone_number]).unwrap(), "other fields can be corrected");
    // A clock that is ahead takes what it cannot know to be wrong, and shows it once the server has been met.
    phone.keep_session(Some(Epoch(1)), None, TimestampMs(NOW_MS), None).unwrap();
    clock.store(NOW_MS + 100 * YEAR_MS, Ordering::Relaxed);
    phone.keep_session(Some(Epoch(1)), None, TimestampMs(NOW_MS), None).unwrap();
    assert!(phone.findings().unwrap().contains(&found));
}

#[test]
fn one_hamlet_in_two_spellings_is_nothing_to_settle() {
    let ((a_store, a), (b_store, b)) = (replica(), replica());
    let team = a.add_team(draft("Thôn 01")).unwrap();
    assert_eq!(b.add_team(draft("thôn\u{2011}1")).unwrap(), team);
    for (from, to) in [(&a_store, &b_store), (&b_store, &a_store)] {
        let chunks = all_of(from.as_ref(), team);
        to.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
    }
    let shown: Vec<_> = [a_store, b_store]
        .into_iter()
        .map(|store| {
            let phone = Replica::open(store as Arc<dyn ChunkStore>, &crate::testing::options()).unwrap();
            assert!(phone.conflicts().unwrap().is_empty());
            let none = phone.resolve(team, "hamlet", "Thôn 1").unwrap_err();
            assert!(matches!(none, ReplicaError::NoConflict { .. }));
            phone.team(team).unwrap().record.hamlet
        })
        .collect();
    assert_eq!(shown.first(), shown.last());
}
