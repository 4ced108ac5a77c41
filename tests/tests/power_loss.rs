//! Loss of power, as far as it can be shown without pulling a plug: nothing is told before it is synced, and whatever a
//! disk may have kept of a store's unsynced writes, the store opens and has everything that was told.
//!
//! The proof is in the system calls (`toso_tests::trace`): a store runs under strace, its files are rebuilt as a power
//! cut at a random moment may have left them (`toso_tests::power` says how unkind that is), and opened. `TOSO_SEED`
//! repeats a run, `TOSO_POWER_CUTS` makes it longer.

#![allow(clippy::print_stdout, reason = "figures for the reader, acknowledgements of the victims")]
#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use toso_client::{AutoSync, Invite, enrol};
use toso_core::id::{DOC_ID_BYTES, DOC_ID_UNIQUE_BYTES, DocId, Sequence};
use toso_core::text::PlaceName;
use toso_replica::{Replica, SyncOptions, TeamDraft};
use toso_store::conformance::samples::{batch, change, doc, hash, saved, scope};
use toso_store::memory::MemoryChunkStore;
use toso_store::{ChunkStore, Index as _, Log as _, RecordChange, RecordStore};
use toso_store_sled::{Options, SledChangeLog, SledChunkStore};
use toso_tests::power::{Fate, Folder};
use toso_tests::trace::{Trace, What, can_trace, traced};
use toso_tests::{COMMUNE, FieldDevice, Server, toso, wiretap};
use toso_wire::{Frame, decode};

/// Power cuts tried on each trace, unless `TOSO_POWER_CUTS` says otherwise.
const CUTS: usize = 40;
/// Of which this many make one try at each moment of an opening.
const CUTS_PER_MOMENT: usize = 5;
/// And on a trace without its syncs, to see that the cuts can lose something.
const UNSAFE_CUTS: usize = 8;
const CUTS_VARIABLE: &str = "TOSO_POWER_CUTS";
/// Where the victims find their folder.
const FOLDER_VARIABLE: &str = "TOSO_POWER_LOSS_FOLDER";
/// How much they do.
const ROUNDS_VARIABLE: &str = "TOSO_POWER_LOSS_ROUNDS";
/// Runs of a victim, one after the other, so that opening after a crash is cut off, too.
const RUNS: u64 = 3;
const WRITERS: u64 = 3;

fn cuts() -> usize {
    std::env::var(CUTS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS)
}

fn seeded(what: &str) -> StdRng {
    let seed = toso_tests::seed();
    println!("{what}: seed {seed} (TOSO_SEED={seed} repeats it)");
    StdRng::seed_from_u64(seed)
}

fn victims_folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from).expect("this test is only run by the others, as their victim")
}

fn victims_rounds() -> u64 {
    std::env::var(ROUNDS_VARIABLE).ok().and_then(|text| text.parse().ok()).expect("the parent says how many")
}

/// Tells the parent, in one write that the trace shows.
fn acknowledge(number: u64) {
    std::io::stdout().write_all(format!("ack {number}.\n").as_bytes()).expect("the parent listens");
}

/// Runs a victim under strace, [`RUNS`] times on the same folder; returns what it did.
fn run_victim(victim: &str, root: &Path, rounds: u64) -> Trace {
    let files: Vec<PathBuf> = (0..RUNS).map(|run| root.join(format!("trace-{run}"))).collect();
    for file in &files {
        let status = traced(file, &std::env::current_exe().expect("this binary"))
            .args([victim, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FOLDER_VARIABLE, root.join("store"))
            .env(ROUNDS_VARIABLE, rounds.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .status()
            .expect("strace starts");
        assert!(status.success(), "the victim failed");
    }
    Trace::read(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>()).expect("the trace is understood")
}

/// Numbers acknowledged, each with the moment.
fn acknowledgements(trace: &Trace) -> Vec<(usize, u64)> {
    let numbers = |(moment, bytes): (usize, &[u8])| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let number = text.strip_prefix("ack ")?.strip_suffix(".\n")?.parse().ok()?;
        Some((moment, number))
    };
    trace.writes_to(|to| !to.ends_with("/db")).filter_map(numbers).collect()
}

/// Writes below the end of the data file: sled uses its segments again.
fn reused(trace: &Trace, data: &str) -> usize {
    let mut end = 0;
    let mut below = 0;
    for call in &trace.calls {
        if let What::Write { to, offset: Some(offset), data: bytes } = &call.what
            && to == data
        {
            below += usize::from(*offset + 512 * 1024 < end);
            end = end.max(offset + bytes.len() as u64);
        }
    }
    below
}

/// Cuts the power at random moments and lets `check` look at what is left, given how many acknowledgements had been
/// told by then.
///
/// Returns what `check` found wrong.
fn cut_power(
    trace: &Trace,
    folder: &Path,
    told: &[usize],
    cuts: usize,
    rng: &mut StdRng,
    check: impl Fn(&Path, usize) -> Result<(), String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let files = Folder::of(trace, folder);
    for cut in 0..cuts {
        // Half of the cuts come right after something was told, when there is most to lose.
        let moment = match told.get(rng.random_range(0..told.len().max(1))) {
            Some(moment) if cut % 2 == 0 => moment + 1,
            _ => rng.random_range(0..trace.moments),
        };
        let fate = match cut % 8 {
            0 => Fate::Gone,
            1 => Fate::There,
            _ => Fate::Chance,
        };
        let image = TempDir::new().expect("a temporary folder");
        files.after_power_cut(moment, fate, rng, image.path());
        let count = told.partition_point(|told| *told < moment);
        if let Err(error) = check(image.path(), count) {
            wrong.push(format!("cut {cut} at moment {moment} of {} ({fate:?}): {error}", trace.moments));
        }
    }
    wrong
}

thread_local! {
    /// Set while a thread opens files that are expected to be beyond repair.
    static EXPECTS_PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` without printing the panics that the engine is known to answer damage with, which the store turns into
/// errors. A backtrace for each takes seconds.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !EXPECTS_PANICS.get() {
                usual(panic);
            }
        }));
    });
    EXPECTS_PANICS.set(true);
    let result = work();
    EXPECTS_PANICS.set(false);
    result
}

/// The same process without the syncs of a file: a power cut must then be seen to lose what was told, else the tests
/// here could not fail.
fn without_syncs(trace: &Trace, unsynced: &Path) -> Trace {
    let mut trace = trace.clone();
    trace.calls.retain(|call| !matches!(&call.what, What::Sync { file } if Path::new(file) == unsynced));
    trace
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn chunks_of(number: u64) -> std::ops::Range<u64> {
    number..number + 1 + number / 10 % 9
}

fn scope_number(number: u64) -> u32 {
    u32::try_from(number / 10 % 7).expect("below 7")
}

#[test]
#[ignore = "the victim of whatever_a_power_cut_leaves_of_a_servers_log_has_what_was_acknowledged"]
fn server_victim() {
    let log = SledChangeLog::open(victims_folder(), Options::server()).expect("it opens");
    let start = log.last().0 + 1_000_000;
    thread::scope(|threads| {
        for writer in 0..WRITERS {
            let log = &log;
            threads.spawn(move || {
                for round in 0..victims_rounds() {
                    let number = start + (round * WRITERS + writer) * 10;
                    log.append(&[batch(scope(scope_number(number)), chunks_of(number))]).expect("appended");
                    acknowledge(number);
                    // As folding does: the same rows again and again, so that sled has old segments to use anew.
                    let key = vec![u8::try_from(writer).expect("few"), u8::try_from(round % 8).expect("few")];
                    let value = Some(vec![u8::try_from(round % 251).expect("a byte"); 12_000]);
                    let row = RecordChange { table: "row".to_owned(), key, value, expect: None };
                    log.derive(&[row]).expect("written");
                }
            });
        }
    });
    // Without closing: the next run recovers.
    std::process::exit(0);
}

#[test]
fn whatever_a_power_cut_leaves_of_a_servers_log_has_what_was_acknowledged() {
    if !can_trace() {
        return;
    }
    let mut rng = seeded("server's log");
    let root = TempDir::new().expect("a temporary folder");
    let rounds = if cuts() > CUTS { 200 } else { 40 };
    let trace = run_victim("server_victim", root.path(), rounds);
    let told = acknowledgements(&trace);
    assert_eq!(told.len() as u64, RUNS * WRITERS * rounds, "every acknowledgement is in the trace");
    let folder = root.path().join("store");
    let again = reused(&trace, &folder.join("db").display().to_string());
    println!("{} calls, {} acknowledgements, {again} writes into used segments", trace.calls.len(), told.len());
    let moments: Vec<usize> = told.iter().map(|(moment, _)| *moment).collect();
    let check = |image: &Path, count: usize| {
        let log = SledChangeLog::open(image, Options::server()).map_err(text)?;
        let entries = log.read(Sequence::ZERO, usize::MAX, usize::MAX).map_err(text)?.entries;
        ensure(entries.iter().zip(1..).all(|(entry, number)| entry.sequence.0 == number), || "a gap".to_owned())?;
        ensure(entries.len() as u64 == log.last().0, || "the last sequence is not the last entry's".to_owned())?;
        let hashes: HashSet<_> = entries.iter().map(|entry| entry.change.hash()).collect();
        for (_, number) in told.iter().take(count) {
            let of = doc(scope(scope_number(*number)), 1);
            for part in chunks_of(*number) {
                ensure(hashes.contains(&hash(part)), || format!("chunk {part} was acknowledged and is gone"))?;
                ensure(log.contains(of, &hash(part)).map_err(text)?, || format!("the index lost chunk {part}"))?;
            }
        }
        // And it takes new ones.
        log.append(&[batch(scope(1), [7])]).map_err(text).map(|_| ())
    };
    assert_eq!(cut_power(&trace, &folder, &moments, cuts(), &mut rng, check), Vec::<String>::new());
    let unsafely = without_syncs(&trace, &folder.join("db"));
    let lost = quietly(|| cut_power(&unsafely, &folder, &moments, UNSAFE_CUTS, &mut rng, check)).len();
    println!("without its syncs {lost} of {UNSAFE_CUTS} power cuts lose something");
    assert!(lost > 0, "the cuts are too kind to show anything");
}

#[test]
#[ignore = "the victim of whatever_a_power_cut_leaves_of_a_phones_store_has_what_was_saved"]
fn phone_victim() {
    let store = SledChunkStore::open(victims_folder(), Options::phone()).expect("it opens");
    let start = store.outbox(0, usize::MAX).expect("it reads").last().map_or(0, |entry| entry.number / 3);
    for number in start..start + victims_rounds() {
        let chunks = (0..3).map(|part| change(u32::try_from(number % 5).expect("few"), number * 3 + part));
        let mut transaction = saved(chunks);
        transaction.cursors.push((scope(1), Sequence(number)));
        // Large enough that sled soon has old segments to use anew.
        transaction
            .settings
            .push(("totals".to_owned(), Some(vec![u8::try_from(number % 251).expect("a byte"); 9_000])));
        store.commit(transaction).expect("saved");
        acknowledge(number);
    }
    std::process::exit(0);
}

#[test]
fn whatever_a_power_cut_leaves_of_a_phones_store_has_what_was_saved() {
    if !can_trace() {
        return;
    }
    let mut rng = seeded("phone's store");
    let root = TempDir::new().expect("a temporary folder");
    let rounds = if cuts() > CUTS { 400 } else { 80 };
    let trace = run_victim("phone_victim", root.path(), rounds);
    let told = acknowledgements(&trace);
    assert_eq!(told.len() as u64, RUNS * rounds, "every acknowledgement is in the trace");
    let folder = root.path().join("store");
    let again = reused(&trace, &folder.join("db").display().to_string());
    println!("{} calls, {} saves, {again} writes into used segments", trace.calls.len(), told.len());
    let moments: Vec<usize> = told.iter().map(|(moment, _)| *moment).collect();
    let check = |image: &Path, count: usize| {
        let store = SledChunkStore::open(image, Options::phone()).map_err(text)?;
        let outbox = store.outbox(0, usize::MAX).map_err(text)?;
        ensure(outbox.len() % 3 == 0, || "a part of a transaction".to_owned())?;
        ensure(outbox.len() >= 3 * count, || format!("{count} saves were told, {} entries are there", outbox.len()))?;
        ensure(outbox.iter().zip(1..).all(|(entry, number)| entry.number == number), || "a gap".to_owned())?;
        let expected = Sequence((outbox.len() as u64 / 3).saturating_sub(1));
        let cursor = store.cursor(scope(1)).map_err(text)?;
        ensure(cursor == expected, || format!("the cursor is {}, of its chunks {}", cursor.0, expected.0))?;
        for (_, number) in told.iter().take(count) {
            for part in 0..3 {
                let of = change(u32::try_from(number % 5).expect("few"), number * 3 + part);
                let read = store.chunk(of.doc, &of.hash()).map_err(text)?;
                ensure(read == of.chunk, || format!("chunk {part} of save {number} is another"))?;
            }
        }
        store.commit(saved([change(6, 9_999_999)])).map_err(text)
    };
    assert_eq!(cut_power(&trace, &folder, &moments, cuts(), &mut rng, check), Vec::<String>::new());
    let unsafely = without_syncs(&trace, &folder.join("db"));
    let lost = quietly(|| cut_power(&unsafely, &folder, &moments, UNSAFE_CUTS, &mut rng, check)).len();
    println!("without its syncs {lost} of {UNSAFE_CUTS} power cuts lose something");
    assert!(lost > 0, "the cuts are too kind to show anything");
}

/// Where a store is made, and each time it is opened, every moment is one at which the power may go: what is not synced
/// by itself there can only be told from a store that is beyond repair, or has lost what was told, by trying each.
#[test]
fn a_power_cut_at_any_moment_of_making_or_opening_a_store_leaves_one_that_opens() {
    if !can_trace() {
        return;
    }
    let mut rng = seeded("opening");
    // How many changes are there.
    let open = |victim: &str, image: &Path| match victim {
        "phone_victim" => {
            SledChunkStore::open(image, Options::phone())?.outbox(0, usize::MAX).map(|outbox| outbox.len())
        }
        _ => SledChangeLog::open(image, Options::server()).map(|log| usize::try_from(log.last().0).expect("few")),
    };
    // Which changes an acknowledgement is of; a server's may come again in its next run.
    let changes_of = |victim: &str, number: u64| match victim {
        "phone_victim" => (0..3).map(|part| (0, number * 3 + part)).collect::<Vec<_>>(),
        _ => chunks_of(number).map(|part| (scope_number(number), part)).collect(),
    };
    for victim in ["phone_victim", "server_victim"] {
        let root = TempDir::new().expect("a temporary folder");
        let trace = run_victim(victim, root.path(), 1);
        let store = root.path().join("store");
        let files = Folder::of(&trace, &store);
        let told = acknowledgements(&trace);
        assert!(!told.is_empty(), "something was told");
        let mut tried = 0;
        let mut wrong = Vec::new();
        for moment in files.moments() {
            for _ in 0..cuts().div_ceil(CUTS_PER_MOMENT) {
                let image = TempDir::new().expect("a temporary folder");
                files.after_power_cut(moment, Fate::Chance, &mut rng, image.path());
                tried += 1;
                let told = told.iter().take_while(|(told, _)| *told < moment);
                let told: HashSet<_> = told.flat_map(|(_, number)| changes_of(victim, *number)).collect();
                let found = open(victim, image.path()).map_err(text);
                if !found.as_ref().is_ok_and(|there| *there >= told.len()) {
                    wrong.push(format!(
                        "{victim}, moment {moment} of {}: {found:?}, {} told",
                        trace.moments,
                        told.len()
                    ));
                }
            }
        }
        println!("{victim}: {tried} cuts");
        // Each takes milliseconds on a phone, and nothing depends on them.
        let needless = |file: &str| ["lock", "FORMAT", "conf"].iter().any(|name| store.join(name) == Path::new(file));
        let synced = trace.calls.iter().filter(|call| matches!(&call.what, What::Sync { file } if needless(file)));
        assert_eq!(synced.count(), 0, "syncs that nothing depends on");
        assert!(tried > 0, "there are moments");
        assert_eq!(wrong, Vec::<String>::new());
    }
}

/// The WebSocket frames that a server sent on each socket, with the moment of each.
fn frames_sent(trace: &Trace) -> Vec<(usize, Frame)> {
    let mut streams: HashMap<&str, Vec<u8>> = HashMap::new();
    let mut frames = Vec::new();
    for call in &trace.calls {
        let What::Write { to, offset: None, data } = &call.what else { continue };
        if !to.starts_with("TCP:") || data.starts_with(b"HTTP/1.1") {
            continue;
        }
        let stream = streams.entry(to).or_default();
        stream.extend_from_slice(data);
        while let Some((payload, rest)) = wiretap::websocket_frame(stream) {
            if let Ok(frame) = decode(&payload) {
                frames.push((call.begin, frame));
            }
            *stream = rest.to_vec();
        }
    }
    frames
}

/// The real server: every ACK on the wire follows a sync of the log with what it acknowledges, and whatever a power cut
/// leaves of the log has everything at or below each sequence that an ACK has named.
#[tokio::test(flavor = "multi_thread")]
async fn a_servers_acknowledgement_leaves_after_its_sync() {
    const EDITS: usize = 25;
    if !can_trace() {
        return;
    }
    let mut rng = seeded("server");
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let [data, file] = [folders[0].path().join("data"), folders[1].path().join("trace")];
    let mut server = Server::start_traced(&data, &file);
    let invite = Invite::parse(&server.invite(COMMUNE, "recorder")).expect("it is an invite");
    let store = Arc::new(MemoryChunkStore::default());
    enrol(store.as_ref(), &toso_client::rest::Rest::default(), &invite, None).expect("enrolled");
    let replica = Arc::new(Replica::open(store, &toso_client::system::options()).expect("opened"));
    let sync = AutoSync::start(Arc::clone(&replica), SyncOptions::default());
    // One at a time, so that the n-th acknowledgement is that of the n-th edit.
    let mut docs = Vec::new();
    for edit in 0..EDITS {
        let hamlet = PlaceName::parse(&hamlet_of(edit)).expect("a name");
        let doc = replica.add_team(TeamDraft { hamlet: Some(hamlet), ..TeamDraft::default() }).expect("recorded");
        docs.push(doc);
        while replica.status().expect("readable").unsent > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    drop(sync);
    assert_eq!(server.end_stdin(), Some(0));

    let trace = Trace::read(&[&file]).expect("the trace is understood");
    let acks: Vec<(usize, Sequence)> = frames_sent(&trace)
        .into_iter()
        .filter_map(|(moment, frame)| if let Frame::Ack(ack) = frame { Some((moment, ack.through)) } else { None })
        .collect();
    assert_eq!(acks.len(), EDITS, "an acknowledgement for each edit");
    let log = data.join("log");
    let db = log.join("db").display().to_string();
    // The log packs what an edit says; which record it is of stands in it as it is.
    let unique = |doc: &DocId| doc.as_bytes()[DOC_ID_BYTES - DOC_ID_UNIQUE_BYTES..].to_vec();
    for (doc, (moment, _)) in docs.iter().zip(&acks) {
        trace.check_synced(&db, &unique(doc), *moment).expect("synced, then acknowledged");
    }
    let unsafely = without_syncs(&trace, &log.join("db"));
    let first = acks.first().expect("there are some").0;
    assert!(unsafely.check_synced(&db, &unique(&docs[0]), first).is_err(), "the check can fail");

    let moments: Vec<usize> = acks.iter().map(|(moment, _)| *moment).collect();
    let check = |image: &Path, count: usize| {
        let log = SledChangeLog::open(image, Options::server()).map_err(text)?;
        let told = acks.iter().take(count).map(|(_, through)| *through).max().unwrap_or_default();
        ensure(log.last() >= told, || format!("{} was acknowledged, the log ends at {}", told.0, log.last().0))?;
        let entries = log.tail(Sequence::ZERO, usize::MAX, usize::MAX).map_err(text)?;
        ensure(entries.len() as u64 == log.end().0, || "a gap".to_owned())
    };
    assert_eq!(cut_power(&trace, &log, &moments, cuts(), &mut rng, check), Vec::<String>::new());
    assert!(
        !cut_power(&unsafely, &log, &moments, UNSAFE_CUTS, &mut rng, check).is_empty(),
        "the cuts can lose something"
    );
}

fn hamlet_of(edit: usize) -> String {
    format!("Thôn Dấu {edit:03}")
}

/// The real field device: a printed id follows a sync of its team, and whatever a power cut leaves of the device's
/// folder shows the team.
#[test]
fn a_printed_id_leaves_after_its_sync() {
    const TEAMS: usize = 4;
    /// Each is looked at by the real command.
    const CUTS_LOOKED_AT: usize = 8;
    if !can_trace() {
        return;
    }
    let mut rng = seeded("field device");
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let server = Server::start(folders[0].path());
    let home = folders[1].path().join("home");
    let mut files = Vec::new();
    let mut run = |arguments: &[&str]| {
        let file = folders[1].path().join(format!("trace-{}", files.len()));
        let output =
            traced(&file, &toso()).args(["field", "--home"]).arg(&home).args(arguments).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        files.push(file);
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    run(&["enrol", &server.invite(COMMUNE, "recorder")]);
    let ids: Vec<String> = (0..TEAMS).map(|team| run(&["team", "add", "--hamlet", &hamlet_of(team)])).collect();

    let trace = Trace::read(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>()).expect("understood");
    let db = home.join("db").display().to_string();
    let mut told = Vec::new();
    for (team, id) in ids.iter().enumerate() {
        let printed = |(_, bytes): &(usize, &[u8])| bytes.starts_with(id.as_bytes());
        let (moment, _) = trace.writes_to(|to| to.starts_with("pipe:")).find(printed).expect("it was printed");
        trace.check_synced(&db, hamlet_of(team).as_bytes(), moment).expect("synced, then printed");
        assert!(trace.check_synced(&db, hamlet_of(team).as_bytes(), moment / 2).is_err(), "the check can fail");
        told.push(moment);
    }
    let files = Folder::of(&trace, &home);
    for cut in 0..CUTS_LOOKED_AT {
        let team = cut % TEAMS;
        let image = TempDir::new().expect("a temporary folder");
        let moment = rng.random_range(told[team] + 1..=told.get(team + 1).copied().unwrap_or(trace.moments));
        files.after_power_cut(moment, Fate::Chance, &mut rng, image.path());
        let shown = FieldDevice::new(image.path()).json(&["team", "list"]);
        for id in ids.iter().take(team + 1) {
            let there = shown.as_array().expect("a list").iter().any(|shown| shown["id"] == id.as_str());
            assert!(there, "after a power cut at moment {moment} {id} is not among {shown}");
        }
    }
}
