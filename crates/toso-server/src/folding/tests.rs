//! Folding equals a rebuild, goes on where it was, and leaves a broken chunk behind without its document.

use std::time::Instant;

use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::Chunk;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, MemberEdit, TeamEdit};
use toso_core::id::{Actor, AuthorId, DeviceId};
use toso_core::record::{TeamLevel, TeamStatus};
use toso_core::text::{PersonName, PlaceName};
use toso_core::unit::{UnitList, UnitRef};
use toso_store::memory::MemoryChangeLog;
use toso_store::records::ERASURES_TABLE;
use toso_store::{Holds, Index as _, Log as _, LogBatch, Record, RecordChange, StoreError};

use super::worker::planted::{Reader, plant};
use super::*;
use crate::documents::chunks;
use crate::tables::{QUARANTINE_TABLE, VIEW_TABLE};

fn scope(number: usize) -> UnitRef {
    let code = ["00001", "00004", "00006"].get(number % 3).copied().unwrap_or("00001");
    UnitRef::new(UnitList::L2022, code).expect("a code")
}

fn author(seed: u8) -> Author {
    Author { actor: Actor::new(DeviceId([seed; 16]), [seed; 8]), at: TimestampMs(1_662_534_000_000) }
}

fn append(log: &MemoryChangeLog, scope: UnitRef, items: &[Change]) {
    let batch = LogBatch {
        scope,
        author: AuthorId([1; 8]),
        received_at: TimestampMs(1_662_534_000_000),
        items: items.to_vec(),
    };
    log.append(&[batch]).expect("memory takes it");
}

fn item(doc: DocId, chunk: &Chunk) -> Change {
    Change { doc, chunk: chunk.clone() }
}

/// Teams with a member each, edited by two devices that do not know of each other; their chunks come in two rounds.
fn write_round(log: &MemoryChangeLog, round: usize, teams: usize) {
    for number in 0..teams {
        let scope = scope(number);
        let doc = DocId::hamlet_team(scope, &format!("tổ {number}"), 0);
        let name = |text: String| DocEdit::Team(TeamEdit::LocalName(Some(PlaceName::parse(&text).expect("a name"))));
        let (mut here, mut there) = (Document::new(doc).unwrap(), Document::new(doc).unwrap());
        let base =
            [DocEdit::Team(TeamEdit::Level(TeamLevel::Hamlet)), DocEdit::Team(TeamEdit::Status(TeamStatus::Active))];
        let first = here.edit(author(1), &base).expect("valid").expect("a change");
        let second = here.edit(author(1), &[name(format!("Tổ {number} thử"))]).expect("valid").expect("a change");
        let other = there.edit(author(2), &[name(format!("Tổ {number} khác"))]).expect("valid").expect("a change");
        let mut unique = [0; 11];
        if let Some(slot) = unique.first_mut() {
            *slot = u8::try_from(number % 250).expect("below 250");
        }
        let member = DocId::member(scope, unique);
        let person = [
            DocEdit::Member(MemberEdit::Team(Some(doc))),
            DocEdit::Member(MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").expect("a name"))),
        ];
        let joined = Document::new(member).unwrap().edit(author(1), &person).expect("valid").expect("a change");
        match round {
            // The dependency comes last, so its follower waits inside the document.
            0 => append(log, scope, &[item(doc, &second), item(member, &joined)]),
            _ => append(log, scope, &[item(doc, &other), item(doc, &first)]),
        }
    }
}

struct Bench {
    log: Arc<MemoryChangeLog>,
    views: Arc<Views>,
    counted: Arc<Counted>,
    metrics: Arc<Metrics>,
    running: RunningFolding,
    started_at: Sequence,
}

fn run(log: &Arc<MemoryChangeLog>, cache_documents: usize) -> Bench {
    let fresh = || Projector::new(Catalog::shared());
    let started_at = Loaded::load(&**log, log.last(), &mut fresh(), fresh).expect("loads").through;
    let (views, counted, metrics) = (Arc::new(Views::waiting(fresh())), Arc::default(), Arc::default());
    let folding = Folding {
        log: Arc::clone(log) as _,
        records: Arc::clone(log) as _,
        views: Arc::clone(&views),
        counted: Arc::clone(&counted),
        metrics: Arc::clone(&metrics),
        vitals: Arc::default(),
        set_aside: Arc::new(
            crate::set_aside::SetAside::load(Catalog::shared(), &**log, Arc::clone(log) as _).expect("readable"),
        ),
        workers: 2,
        cache_documents,
    };
    let running = folding.start(fresh).expect("threads");
    Bench { log: Arc::clone(log), views, counted, metrics, running, started_at }
}

/// What the log says, folded document by document.
fn rebuilt(log: &MemoryChangeLog) -> Projector {
    let mut fresh = Projector::new(Catalog::shared());
    for scope in (0..3).map(scope) {
        for doc in log.documents(scope).expect("readable") {
            let folded = Document::fold(doc, &chunks(&log.document(doc).expect("readable")));
            let Some((document, _)) = folded else { continue };
            fresh.apply(scope, doc, Row::from_record(&document.read()));
        }
    }
    fresh.advance(log.last(), TimestampMs(1_662_534_000_000));
    fresh
}

impl Bench {
    fn wait(&self) {
        self.running.tail().grew();
        let start = Instant::now();
        while self.counted.current() < self.log.last() {
            assert!(start.elapsed() < Duration::from_secs(20), "counted {:?}", self.counted.current());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn assert_equal_to_a_rebuild(&self, teams: u64) {
        let mut rebuilt = rebuilt(&self.log);
        let mut projector = self.views.lock();
        assert_eq!(projector.first_difference(&mut rebuilt), None);
        let country = projector.totals(UnitRef::country(UnitList::L2022)).expect("a unit");
        assert_eq!((country.teams, country.members), (teams, teams));
    }
}

#[test]
fn folding_in_steps_equals_a_rebuild_with_a_cache_and_almost_without() {
    for cache in [1024, 1] {
        let log = Arc::new(MemoryChangeLog::new());
        let bench = run(&log, cache);
        write_round(&log, 0, 40);
        bench.wait();
        write_round(&log, 1, 40);
        bench.wait();
        bench.assert_equal_to_a_rebuild(40);
        bench.running.stop();
    }
}

#[test]
fn a_restart_goes_on_from_the_checkpoint() {
    let log = Arc::new(MemoryChangeLog::new());
    write_round(&log, 0, 30);
    let bench = run(&log, 64);
    bench.wait();
    let end = log.last();
    bench.running.stop();
    write_round(&log, 1, 30);
    let again = run(&log, 64);
    assert_eq!(again.started_at, end, "what was counted is not folded again");
    again.wait();
    again.assert_equal_to_a_rebuild(30);
}

/// While it is counted, between two pages, after a restart, and where counting begins again: an erased person counts nothing, what
/// comes to the document later does not either, and all of these come to the same.
#[test]
fn an_erased_document_counts_nothing_wherever_folding_goes_on() {
    let log = Arc::new(MemoryChangeLog::new());
    let member = |number: u8| {
        let mut unique = [0; 11];
        unique[0] = number;
        DocId::member(scope(usize::from(number)), unique)
    };
    let erase = |doc: DocId| {
        let key = doc.as_bytes().to_vec();
        let erasure = RecordChange { table: ERASURES_TABLE.to_owned(), key, value: Some(Vec::new()), expect: None };
        log.command(TimestampMs(1_662_534_000_001), &[erasure]).expect("memory takes it");
    };
    let members = |bench: &Bench, expected: u64| {
        bench.running.tail().grew();
        let start = Instant::now();
        loop {
            let found = bench.views.lock().totals(UnitRef::country(UnitList::L2022)).expect("a unit");
            if (found.teams, found.members) == (20, expected) && bench.counted.current() == log.last() {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{} of {expected}", found.members);
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    write_round(&log, 0, 20);
    let bench = run(&log, 64);
    bench.wait();
    members(&bench, 20);
    erase(member(1));
    members(&bench, 19);
    // In one page: a change of another document, an erasure, and a change of the erased one, which nothing holds together.
    let late = Document::new(member(1))
        .unwrap()
        .edit(author(3), &[DocEdit::Member(MemberEdit::FullName(PersonName::parse("Lê Thị Thử").expect("a name")))]);
    write_round(&log, 1, 20);
    erase(member(2));
    append(&log, scope(1), &[item(member(1), &late.expect("valid").expect("a change"))]);
    members(&bench, 18);
    bench.running.stop();

    let end = log.last();
    let again = run(&log, 64);
    assert_eq!(again.started_at, end, "what was counted is not folded again");
    members(&again, 18);
    erase(member(3));
    members(&again, 17);
    again.running.stop();
    let fresh = Arc::new(MemoryChangeLog::new());
    fresh.apply(&log.tail(Sequence::ZERO, usize::MAX, usize::MAX).expect("readable")).expect("it follows");
    let twin = run(&fresh, 1);
    twin.wait();
    assert_eq!(twin.views.lock().first_difference(&mut again.views.lock()), None);
    twin.running.stop();
}

/// Among what is counted comes a document of a kind that only a newer version knows: new and again, in one page and in
/// another, before and after a restart. Counting goes on past it, and a gauge has its number.
#[test]
fn a_kind_to_come_is_passed_over_and_its_documents_are_a_number() {
    let log = Arc::new(MemoryChangeLog::new());
    let doc = DocId::from_parts(b'z', scope(0), [9; 11]).expect("a letter");
    let save = |number: u8| {
        let edit = DocEdit::Member(MemberEdit::FullName(PersonName::parse("Nguyễn Văn Thử").expect("a name")));
        let as_member = Document::first_save(DocId::member(scope(0), [9; 11]), author(number), &[edit]);
        item(doc, &as_member.expect("valid").expect("a change"))
    };
    append(&log, scope(0), &[save(1), save(2)]);
    write_round(&log, 0, 5);
    let bench = run(&log, 64);
    bench.wait();
    append(&log, scope(0), &[save(3)]);
    write_round(&log, 1, 5);
    bench.wait();
    bench.assert_equal_to_a_rebuild(5);
    bench.running.stop();
    assert_eq!((bench.metrics.documents_newer.get(), bench.metrics.quarantined_chunks.get()), (1, 0));

    let end = log.last();
    append(&log, scope(0), &[save(4)]);
    let again = run(&log, 64);
    assert_eq!(again.started_at, end);
    again.wait();
    again.assert_equal_to_a_rebuild(5);
    again.running.stop();
    assert_eq!(again.metrics.documents_newer.get(), 1);
}

/// Records in which the stored views are damaged.
struct DamagedViews(Arc<MemoryChangeLog>);

impl RecordStore for DamagedViews {
    fn record(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.record(table, key)
    }
    fn records(&self, table: &str, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        self.0.records(table, prefix)
    }
    fn tables(&self) -> Result<Vec<(String, Holds)>, StoreError> {
        self.0.tables()
    }
    fn records_after(&self, table: &str, after: Option<&[u8]>, bytes_max: usize) -> Result<Vec<Record>, StoreError> {
        if table == VIEW_TABLE {
            let (path, place, detail) = ("a folder".to_owned(), "a key".to_owned(), "a checksum".to_owned());
            return Err(StoreError::Damaged { path, place, detail });
        }
        self.0.records_after(table, after, bytes_max)
    }
    fn command(&self, at: TimestampMs, changes: &[RecordChange]) -> Result<Sequence, StoreError> {
        self.0.command(at, changes)
    }
    fn derive(&self, changes: &[RecordChange]) -> Result<(), StoreError> {
        self.0.derive(changes)
    }
}

/// They can be made again from the log, and a server that ends for them at every start serves nobody.
#[test]
fn damaged_views_are_left_aside() {
    let log = Arc::new(MemoryChangeLog::new());
    write_round(&log, 0, 5);
    let bench = run(&log, 64);
    bench.wait();
    bench.running.stop();
    let fresh = || Projector::new(Catalog::shared());
    let mut projector = fresh();
    let loaded = Loaded::load(&DamagedViews(Arc::clone(&log)), log.last(), &mut projector, fresh).expect("goes on");
    assert_eq!((loaded.through, projector.as_of()), (Sequence::ZERO, Sequence::ZERO));
}

#[test]
fn a_checkpoint_of_another_version_or_of_a_longer_log_is_left_aside() {
    let log = Arc::new(MemoryChangeLog::new());
    write_round(&log, 0, 5);
    write_round(&log, 1, 5);
    let bench = run(&log, 64);
    bench.wait();
    bench.running.stop();
    let head = log.record("views_head", b"checkpoint").unwrap().unwrap();
    for (position, value) in [(0, 0xff), (1, 0xff)] {
        let mut bent = head.clone();
        bent[position] = value;
        let change = RecordChange {
            table: "views_head".to_owned(),
            key: b"checkpoint".to_vec(),
            value: Some(bent),
            expect: None,
        };
        log.derive(&[change]).unwrap();
        let again = run(&log, 64);
        assert_eq!(again.started_at, Sequence::ZERO);
        again.wait();
        again.assert_equal_to_a_rebuild(5);
        again.running.stop();
    }
}

#[test]
fn a_chunk_that_no_document_can_take_is_quarantined_alone_and_for_good() {
    let log = Arc::new(MemoryChangeLog::new());
    let doc = DocId::hamlet_team(scope(0), "tổ 0", 0);
    let hash = ChangeHash([7; 32]);
    append(&log, scope(0), &[Change { doc, chunk: Chunk::trusted(b"no change at all".as_slice(), hash) }]);
    write_round(&log, 0, 3);
    write_round(&log, 1, 3);
    let bench = run(&log, 64);
    bench.wait();
    bench.assert_equal_to_a_rebuild(3);
    assert_eq!(bench.metrics.quarantined_chunks.get(), 1);
    bench.running.stop();
    let kept = log.records(QUARANTINE_TABLE, doc.as_bytes()).unwrap();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].0.ends_with(&hash.0));
    let again = run(&log, 64);
    write_round(&log, 0, 4);
    write_round(&log, 1, 4);
    again.wait();
    assert_eq!(again.metrics.quarantined_chunks.get(), 0, "it is not tried again");
    again.assert_equal_to_a_rebuild(4);
}

/// The reader that is written by hand once ran outside of every guard: a panic in it took its thread, and the page that
/// the thread had was counted without its documents for good. Now Automerge has the word, and the figures are the same.
#[test]
fn where_the_flat_reader_panics_automerge_has_the_word() {
    let log = Arc::new(MemoryChangeLog::new());
    write_round(&log, 0, 20);
    write_round(&log, 1, 20);
    let entries = log.read(Sequence::ZERO, 1_000, 1 << 20).unwrap().entries;
    for entry in entries.iter().filter(|entry| entry.sequence.0 % 3 == 0) {
        plant(Reader::Flat, entry.change.hash());
    }
    let bench = run(&log, 64);
    bench.wait();
    bench.assert_equal_to_a_rebuild(20);
    assert_eq!(bench.metrics.quarantined_chunks.get(), 0);
}

/// Where both panic, the page's chunks of that document stay out, and everything else of the page is counted.
#[test]
fn a_change_that_breaks_both_readers_is_quarantined_and_its_page_is_counted() {
    let log = Arc::new(MemoryChangeLog::new());
    let doc = DocId::hamlet_team(scope(1), "thôn riêng", 0);
    let chunk = Document::new(doc).unwrap().edit(author(9), &[DocEdit::Team(TeamEdit::Level(TeamLevel::Hamlet))]);
    let chunk = chunk.expect("valid").expect("a change");
    plant(Reader::Flat, chunk.hash());
    plant(Reader::Automerge, chunk.hash());
    append(&log, scope(1), &[item(doc, &chunk)]);
    write_round(&log, 0, 3);
    write_round(&log, 1, 3);
    let bench = run(&log, 64);
    bench.wait();
    assert_eq!(bench.metrics.quarantined_chunks.get(), 1);
    let totals = bench.views.lock().totals(UnitRef::country(UnitList::L2022)).expect("a unit");
    assert_eq!(totals.teams, 3);
}

/// Page by page without threads, interrupted by a restart: the same figures as a rebuild.
#[test]
fn a_folder_without_threads_counts_the_same() {
    let log = Arc::new(MemoryChangeLog::new());
    write_round(&log, 0, 20);
    let open = || {
        let mut projector = Projector::new(Catalog::shared());
        let fresh = || Projector::new(Catalog::shared());
        let loaded = Loaded::load(&*log, log.last(), &mut projector, fresh).expect("loads");
        let views = Arc::new(Views::new(projector));
        let set_aside =
            crate::set_aside::SetAside::load(Catalog::shared(), &*log, Arc::clone(&log) as _).expect("readable");
        let set_aside = Arc::new(set_aside);
        let folder =
            FoldByPage::new(Arc::clone(&log) as _, Arc::clone(&log) as _, Arc::clone(&views), loaded, 1, set_aside);
        (views, folder)
    };
    let (_, mut folder) = open();
    assert_eq!(folder.fold_page().expect("readable"), Some(log.last()));
    write_round(&log, 1, 20);
    let (views, mut again) = open();
    assert_eq!(again.counted(), folder.counted(), "it goes on from the checkpoint");
    while again.fold_page().expect("readable").is_some() {}
    let mut projector = views.lock();
    assert_eq!(projector.as_of(), log.last());
    let mut rebuilt = rebuilt(&log);
    assert_eq!(projector.first_difference(&mut rebuilt), None);
}
