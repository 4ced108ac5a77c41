//! What is set aside counts as if it had never been written, and undone as if it had never been set aside; through folding
//! that goes on meanwhile, restarts, and a recount from the log.

use std::sync::Arc;

use toso_core::change::{Body, Change, Entry};
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId};
use toso_projection::{Projector, Row};
use toso_store::memory::MemoryChangeLog;
use toso_store::{Index as _, Log as _, LogBatch};

use super::*;
use crate::folding::{FoldByPage, Loaded};
use crate::views::Views;

const ROGUE: u8 = 9;

fn commune(number: usize) -> UnitRef {
    ["2022/00001", "2022/00004"].get(number % 2).unwrap().parse().unwrap()
}

fn time(sequence: u64) -> TimestampMs {
    TimestampMs(1_663_545_600_000 + sequence)
}

/// A centre without threads, and the devices that write at it.
struct Centre {
    log: Arc<MemoryChangeLog>,
    aside: Arc<SetAside>,
    views: Arc<Views>,
    folder: FoldByPage,
    documents: HashMap<DocId, Document>,
    saves: u64,
}

impl Centre {
    fn new() -> Self {
        Self::over(Arc::new(MemoryChangeLog::new()))
    }

    fn over(log: Arc<MemoryChangeLog>) -> Self {
        let catalog = Catalog::shared();
        let aside = Arc::new(SetAside::load(catalog, &*log, Arc::clone(&log) as _).unwrap());
        let mut projector = Projector::new(catalog);
        let loaded = Loaded::load(&*log, log.last(), &mut projector, || Projector::new(catalog)).unwrap();
        let views = Arc::new(Views::new(projector));
        let (shared, kept) = (Arc::clone(&views), Arc::clone(&aside));
        let folder = FoldByPage::new(Arc::clone(&log) as _, Arc::clone(&log) as _, shared, loaded, 2, kept);
        Self { log, aside, views, folder, documents: HashMap::new(), saves: 0 }
    }

    fn restart(&mut self) {
        let next = Self::over(Arc::clone(&self.log));
        (self.aside, self.views, self.folder) = (next.aside, next.views, next.folder);
    }

    /// A device saves a number into a team, on top of everything there is.
    fn save(&mut self, device: u8, unit: UnitRef, team: u32) {
        let doc = DocId::hamlet_team(unit, &format!("thôn {team}"), 0);
        self.saves += 1;
        let author = Author { actor: Actor::new(DeviceId([device; 16]), [1; 8]), at: time(self.saves) };
        let edit = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(u32::try_from(self.saves).unwrap())));
        let document = self.documents.entry(doc).or_insert_with(|| Document::new(doc).unwrap());
        let change = document.edit(author, &[edit]).unwrap().unwrap();
        let items = vec![Change { doc, chunk: change }];
        let received_at = time(self.saves);
        self.log.append(&[LogBatch { scope: unit, author: AuthorId([device; 8]), received_at, items }]).unwrap();
    }

    fn fold(&mut self) {
        while self.folder.fold_page().unwrap().is_some() {}
    }

    fn order(unit: UnitRef) -> Order {
        Order {
            author: AuthorId([ROGUE; 8]),
            unit,
            since: None,
            document: None,
            by: None,
            why: "máy bị mất".to_owned(),
        }
    }

    fn set_aside(&self, order: Order) -> u32 {
        self.aside.set_aside(&*self.log, order, time(0)).unwrap().0
    }

    /// What the log gives without a shortcut: every document from its entries, those left out that `aside` says.
    fn recounted(&self, aside: impl Fn(&Entry) -> bool) -> Projector {
        let mut projector = Projector::new(Catalog::shared());
        for unit in [commune(0), commune(1)] {
            for doc in self.log.documents(unit).unwrap() {
                let entries = self.log.document(doc).unwrap();
                let changes: Vec<&Chunk> = entries.iter().filter_map(|entry| entry.change.chunk()).collect();
                let kept = without(doc.kind().unwrap(), &changes, |place| aside(&entries[place]));
                let chunks = kept.iter().map(|kept| Chunk::parse(kept.chunk.bytes()).unwrap());
                let chunks: Vec<_> = chunks.collect();
                if !chunks.is_empty() {
                    projector.apply(unit, doc, Row::from_record(&Document::fold(doc, &chunks).unwrap().0.read()));
                }
            }
        }
        projector
    }

    fn assert_views(&self, aside: impl Fn(&Entry) -> bool, why: &str) {
        let mut expected = self.recounted(aside);
        assert_eq!(self.views.lock().first_difference(&mut expected), None, "{why}");
    }
}

/// A change that nobody has erased.
fn whole(change: &Change<Body>) -> Change {
    Change { doc: change.doc, chunk: change.chunk().unwrap().clone() }
}

fn of_rogue(entry: &Entry) -> bool {
    entry.author == AuthorId([ROGUE; 8])
}

#[test]
fn what_is_set_aside_is_not_counted_and_undone_it_is() {
    let mut centre = Centre::new();
    for team in 0..20 {
        centre.save(1, commune(0), team);
        centre.save(ROGUE, commune(0), team);
        centre.save(ROGUE, commune(1), 100 + team);
        if team % 2 == 0 {
            centre.save(2, commune(0), team);
        }
    }
    centre.fold();
    centre.assert_views(|_| false, "all counts");
    let number = centre.set_aside(Centre::order(commune(0)));
    assert!(matches!(
        centre.aside.set_aside(&*centre.log, Centre::order(commune(0)), time(0)),
        Err(SetAsideError::Nothing)
    ));
    centre.fold();
    let there = |entry: &Entry| of_rogue(entry) && entry.scope == commune(0);
    centre.assert_views(there, "set aside, and in the other commune not");
    assert!(centre.aside.record(number).unwrap().settled);
    let everywhere = centre.set_aside(Centre::order("2022/01".parse().unwrap()));
    centre.fold();
    centre.assert_views(of_rogue, "teams that only it has made are gone");
    centre.restart();
    centre.fold();
    centre.assert_views(of_rogue, "after a restart");
    centre.aside.undo(&*centre.log, everywhere, None, "nhầm".to_owned(), time(1)).unwrap();
    centre.fold();
    centre.assert_views(there, "the first decision still holds");
    centre.aside.undo(&*centre.log, number, None, "nhầm".to_owned(), time(1)).unwrap();
    assert!(matches!(
        centre.aside.undo(&*centre.log, number, None, "nhầm".to_owned(), time(1)),
        Err(SetAsideError::Undone(of)) if of == number
    ));
    centre.fold();
    centre.assert_views(|_| false, "as it was before");
}

/// By time and by document; and what the device brings later counts.
#[test]
fn a_decision_covers_what_it_says_and_what_there_was() {
    let mut centre = Centre::new();
    for team in 0..6 {
        centre.save(1, commune(0), team);
        centre.save(ROGUE, commune(0), team);
    }
    let since = time(7);
    centre.set_aside(Order { since: Some(since), ..Centre::order(commune(0)) });
    let last = centre.log.last();
    centre.save(ROGUE, commune(0), 5);
    centre.fold();
    let late = move |entry: &Entry| of_rogue(entry) && entry.received_at >= since && entry.sequence <= last;
    centre.assert_views(late, "since a time, until the decision");
    let document = DocId::hamlet_team(commune(0), "thôn 0", 0);
    centre.set_aside(Order { document: Some(document), ..Centre::order(commune(0)) });
    centre.fold();
    centre
        .assert_views(move |entry| late(entry) || of_rogue(entry) && entry.change.doc == document, "and one document");
}

/// The list of decisions was one answer, however many there were.
#[test]
fn decisions_are_listed_in_pages_newest_first() {
    let mut centre = Centre::new();
    let documents: Vec<DocId> = (0..4).map(|team| DocId::hamlet_team(commune(0), &format!("thôn {team}"), 0)).collect();
    for (team, document) in (0..).zip(&documents) {
        centre.save(ROGUE, commune(0), team);
        centre.set_aside(Order { document: Some(*document), ..Centre::order(commune(0)) });
    }
    let page = |before, limit| {
        let (found, more) = centre.aside.page(before, limit, |record| record.document != Some(documents[2]));
        (found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None, 3), (vec![3, 1, 0], false), "at the limit");
    assert_eq!(page(None, 2), (vec![3, 1], true), "past it");
    assert_eq!(page(Some(1), 2), (vec![0], false), "the rest");
    assert_eq!(page(Some(0), 2), (vec![], false), "before the first");
    assert_eq!(page(Some(99), 3), (vec![3, 1, 0], false), "before one that is not there");
}

/// Saves, decisions, pages and restarts in any order: the views are always those of the log without what is set aside, and
/// a recount from nothing gives the same.
#[test]
fn views_follow_decisions_through_everything() {
    for seed in 1..25_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut centre = Centre::new();
        let mut decisions: Vec<(u32, UnitRef, Sequence)> = Vec::new();
        for _ in 0..120 {
            match draw(12) {
                0..=6 => {
                    let device = if draw(3) == 0 { ROGUE } else { 1 + u8::try_from(draw(2)).unwrap() };
                    let unit = commune(usize::try_from(draw(2)).unwrap());
                    centre.save(device, unit, u32::try_from(draw(8)).unwrap());
                }
                7 | 8 => _ = centre.folder.fold_page().unwrap(),
                9 => centre.restart(),
                10 => {
                    let unit = commune(usize::try_from(draw(2)).unwrap());
                    if let Ok((number, record)) = centre.aside.set_aside(&*centre.log, Centre::order(unit), time(0)) {
                        decisions.push((number, unit, record.through));
                    }
                }
                _ if decisions.is_empty() => {}
                _ => {
                    let (number, ..) = decisions.swap_remove(usize::try_from(draw(decisions.len() as u64)).unwrap());
                    centre.aside.undo(&*centre.log, number, None, "nhầm".to_owned(), time(0)).unwrap();
                }
            }
        }
        centre.fold();
        let aside = |entry: &Entry| {
            let covered =
                |(_, unit, through): &(u32, UnitRef, Sequence)| *unit == entry.scope && entry.sequence <= *through;
            of_rogue(entry) && decisions.iter().any(covered)
        };
        centre.assert_views(aside, &format!("seed {seed}"));
        let fresh = Arc::new(MemoryChangeLog::new());
        for entry in centre.log.read(Sequence::ZERO, usize::MAX, usize::MAX).unwrap().entries {
            let Entry { scope, author, received_at, change, .. } = entry;
            fresh.append(&[LogBatch { scope, author, received_at, items: vec![whole(&change)] }]).unwrap();
        }
        // Only the decisions: what follows from them is found again.
        let decided = centre.log.records(SET_ASIDE_TABLE, &[]).unwrap().into_iter();
        let decided = decided.map(|(key, value)| RecordChange {
            table: SET_ASIDE_TABLE.to_owned(),
            key,
            value: Some(value),
            expect: None,
        });
        fresh.command(time(0), &decided.collect::<Vec<_>>()).unwrap();
        let mut recount = Centre::over(fresh);
        recount.fold();
        recount.assert_views(aside, &format!("counted from the log alone, seed {seed}"));
    }
}

/// The story: an officer's token in a loop of setting aside and undoing stopped the counting of the whole country, since
/// every decision's documents were made again before anything fresh.
#[test]
fn fresh_pages_come_before_what_is_made_again_and_it_comes_all_the_same() {
    let mut centre = Centre::new();
    for team in 0..200 {
        centre.save(ROGUE, commune(0), team);
    }
    centre.fold();
    let number = centre.set_aside(Centre::order(commune(0)));
    centre.folder.fold_page().unwrap();
    assert!(!centre.aside.unsettled().is_empty(), "the decision is under way");
    centre.save(1, commune(1), 1_000);
    centre.folder.fold_page().unwrap();
    assert_eq!(centre.folder.counted(), centre.log.last(), "the very next page");
    // However much is written, the decision is followed.
    let mut pages = 0;
    while !centre.aside.record(number).unwrap().settled {
        centre.save(1, commune(1), 1_001 + pages);
        centre.folder.fold_page().unwrap();
        pages += 1;
        assert!(pages < 40, "200 documents are seven parts, each after one page at most");
    }
    centre.fold();
    centre.assert_views(of_rogue, "and both are right");
}

/// Lists and progress may be lost, the decision may not: it holds, is followed once more, and can be undone.
#[test]
fn a_decision_alone_says_all_that_follows_from_it() {
    let mut centre = Centre::new();
    for team in 0..10 {
        centre.save(1, commune(0), team);
        centre.save(ROGUE, commune(0), team);
    }
    let number = centre.set_aside(Centre::order(commune(0)));
    centre.fold();
    centre.restart();
    assert!(centre.aside.record(number).unwrap().settled, "what was followed is not followed again");
    for table in [SET_ASIDE_DOCS_TABLE, SET_ASIDE_FOLLOWED_TABLE] {
        let rows = centre.log.records(table, &[]).unwrap().into_iter();
        let gone = rows.map(|(key, _)| RecordChange { table: table.to_owned(), key, value: None, expect: None });
        centre.log.derive(&gone.collect::<Vec<_>>()).unwrap();
    }
    centre.restart();
    assert_eq!(centre.aside.unsettled().len(), 10, "all of it is made again");
    centre.fold();
    assert!(centre.aside.record(number).unwrap().settled);
    centre.assert_views(of_rogue, "followed once more");
    centre.aside.undo(&*centre.log, number, None, "nhầm".to_owned(), time(1)).unwrap();
    centre.fold();
    centre.assert_views(|_| false, "undone by a list that was not there");
}

/// The story: an officer was told to come back when the oldest decision is a day old, though its few documents made no room.
#[test]
fn the_wait_that_is_told_is_the_one_after_which_there_is_room() {
    let taken = [(time(5), 50), (time(1), 1), (time(9), 49)];
    let room = |more| room_after(taken.into_iter(), more, 100);
    assert_eq!(room(0), None);
    assert_eq!(room(1), Some(time(1).plus_ms(DAY_MS)));
    assert_eq!(room(2), Some(time(5).plus_ms(DAY_MS)));
    assert_eq!(room(51), Some(time(5).plus_ms(DAY_MS)));
    assert_eq!(room(52), Some(time(9).plus_ms(DAY_MS)));
    assert_eq!(room_after(std::iter::empty(), 100, 100), None);
}

/// An officer's loop ends at the day's bound, and what was undone leaves no list of documents behind.
#[test]
fn decisions_of_a_day_are_bounded_and_undone_ones_leave_little_behind() {
    let mut centre = Centre::new();
    centre.save(ROGUE, commune(0), 1);
    let decide = |centre: &Centre, by: u8, at: u64| {
        let order = Order { by: Some(AuthorId([by; 8])), ..Centre::order(commune(0)) };
        centre.aside.set_aside(&*centre.log, order, time(at)).map(|(number, _)| number)
    };
    let day = |centre: &mut Centre, by: u8, at: u64| {
        let mut made = 0;
        while let Ok(number) = decide(centre, by, at) {
            centre.aside.undo(&*centre.log, number, Some(AuthorId([by; 8])), "nhầm".to_owned(), time(at)).unwrap();
            centre.fold();
            made += 1;
        }
        made
    };
    assert_eq!(day(&mut centre, 1, 0), DECISIONS_OF_OFFICER_DAY);
    let refused = decide(&centre, 1, DAY_MS - 1).unwrap_err();
    assert!(matches!(refused, SetAsideError::ManyToday { wait_ms: 1, .. }), "{refused}");
    assert!(centre.log.records(SET_ASIDE_DOCS_TABLE, &[]).unwrap().is_empty());
    centre.restart();
    assert!(decide(&centre, 1, 0).is_err(), "a restart gives nothing back");
    assert_eq!(day(&mut centre, 2, 0), DECISIONS_ABOUT_UNIT_DAY - DECISIONS_OF_OFFICER_DAY, "the unit's bound");
    assert!(decide(&centre, 3, 0).is_err());
    let number = centre.set_aside(Centre::order(commune(0)));
    centre.aside.undo(&*centre.log, number, None, "nhầm".to_owned(), time(0)).unwrap();
    assert!(decide(&centre, 1, DAY_MS).is_ok(), "a day later");
}
