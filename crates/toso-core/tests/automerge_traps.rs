//! What Automerge 0.12 does to the unwary, each found by measuring it, and what this crate does instead.
//!
//! Automerge is written for peers who trust each other. Here anybody with a phone may send a change, and one bad change
//! must cost neither the server nor the document. Every test shows the trap in Automerge first, so that a version that
//! mends it makes the test fail and the defence can be reconsidered; then it shows that the register is safe from it.

#[path = "support/register.rs"]
mod register;

use std::time::{Duration, Instant};

use automerge::{Automerge, Change, ExpandedChange};
use register::{author, edit, save, team};
use toso_core::chunk::{Chunk, ChunkError};
use toso_core::document::Document;
use toso_core::record::Record;

/// The story: a log was loaded with `load_incremental`; one corrupt byte in it and the document came up empty, without
/// an error. So chunks are checked and merged one by one.
#[test]
fn load_incremental_ignores_everything_after_a_corrupt_change() {
    let mut doc = team();
    let (first, second) = (save(&mut doc, 1, "note", "một"), save(&mut doc, 1, "status", "planned"));
    let mut corrupt = first.bytes().to_vec();
    let text = corrupt.windows(3).position(|bytes| bytes == "một".as_bytes().split_at(3).0).unwrap();
    corrupt[text] ^= 1;
    let file = [genesis_of(&doc).raw_bytes(), &corrupt, second.bytes()].concat();
    let mut trapped = Automerge::new();
    assert!(trapped.load_incremental(&file).is_ok(), "mended in Automerge?");
    assert!(trapped.get_changes(&[]).is_empty(), "not even the sound change before it");

    assert_eq!(Chunk::parse(&corrupt), Err(ChunkError::Checksum));
    let (document, applied) = Document::fold(doc.id(), &[second]).unwrap();
    assert_eq!((applied.applied, applied.waiting), (0, 1), "and what is lost is known by its hash");
    assert_eq!(document.missing(), [first.hash()]);
}

/// The story: two phones restored from one backup used one actor; the whole batch with both their changes was refused.
/// So actors are new at each opening, and if it happens all the same, one change is set aside and not the batch.
#[test]
fn one_actor_and_sequence_number_twice_rejects_the_batch() {
    let (mut a, mut b) = (team(), team());
    let (mine, other) = (save(&mut a, 1, "note", "một"), save(&mut b, 1, "note", "hai"));
    let third = save(&mut b, 2, "status", "planned");
    let fourth = save(&mut team(), 3, "level", "commune");
    let by = |chunk: &Chunk| chunk.facts().map(|facts| (facts.actor, facts.seq)).unwrap();
    assert_eq!(by(&mine), by(&other));
    let batch = [&mine, &other, &third, &fourth].map(|chunk| Change::from_bytes(chunk.bytes().to_vec()).unwrap());
    assert!(Automerge::new().apply_changes(batch).is_err(), "mended in Automerge?");

    let (document, applied) = Document::fold(a.id(), std::slice::from_ref(&mine)).unwrap();
    assert_eq!((applied.applied, document.heads()), (1, vec![mine.hash()]));
    let mut document = document;
    let applied = document.apply(&[other.clone(), third.clone(), fourth.clone()]);
    assert_eq!(applied.applied, 1, "the change that has nothing to do with it");
    assert_eq!(applied.quarantined.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [other.hash()]);
    assert_eq!(document.missing(), [other.hash()], "what builds on it waits");
    assert!(document.contains(&mine.hash()) && document.contains(&fourth.hash()));
}

/// The story: 194 KB of compressed change became 800 MB of memory. So only uncompressed changes are accepted.
#[test]
fn a_compressed_change_inflates_without_bound() {
    let mut doc = team();
    let chunk = save(&mut doc, 1, "note", &"a".repeat(2_000));
    let mut expanded = Change::from_bytes(chunk.bytes().to_vec()).unwrap().decode();
    let once = expanded.operations.clone();
    for n in 0..20_000 {
        let mut op = once[0].clone();
        op.key = automerge::legacy::Key::Map(format!("note{n}").into());
        expanded.operations.push(op);
    }
    let mut change = Change::from(expanded);
    let inflated = change.raw_bytes().len();
    let compressed = change.bytes().into_owned();
    assert!(compressed.len() * 100 < inflated, "{} of {inflated} bytes", compressed.len());
    assert!(Change::from_bytes(compressed.clone()).is_ok(), "mended in Automerge?");

    let start = Instant::now();
    let refused = Chunk::parse(&compressed);
    assert!(matches!(refused, Err(ChunkError::WrongType { found: 2 } | ChunkError::TooLarge { .. })), "{refused:?}");
    assert!(start.elapsed() < Duration::from_millis(50));
    let mut small = Change::from_bytes(chunk.bytes().to_vec()).unwrap();
    let compressed = small.bytes().into_owned();
    assert!(compressed.len() < 1_000);
    assert_eq!(Chunk::parse(&compressed), Err(ChunkError::WrongType { found: 2 }));
}

/// The story: without any compression, a run-length column says "2^60 times the same" in ten bytes, and parsing walks
/// through every one. So columns are counted before Automerge sees them.
#[test]
fn a_run_length_column_stands_for_any_number_of_operations() {
    let mut doc = team();
    let chunk = save(&mut doc, 1, "note", "một");
    let bytes = chunk.bytes();
    // The action column (specification 0x42) of one put is the two bytes 7f 01: one literal, 1.
    let meta = bytes.windows(2).rposition(|pair| pair == [0x42, 2]).expect("the action column");
    let bomb = |run: &[u8]| {
        let mut expanded = bytes.to_vec();
        let actions = bytes.windows(2).enumerate().filter(|(_, pair)| *pair == [0x7f, 0x01]).map(|(at, _)| at);
        let mut refused = Vec::new();
        for at in actions {
            expanded.clear();
            expanded.extend_from_slice(&bytes[..at]);
            expanded.extend_from_slice(run);
            expanded.push(0x01);
            expanded.extend_from_slice(&bytes[at + 2..]);
            let grown = u8::try_from(run.len() - 1).unwrap();
            expanded[meta + 1] += grown;
            // The body's length is the single byte after magic, checksum and type.
            expanded[9] += grown;
            refused.push(Chunk::parse(&expanded));
        }
        refused
    };
    let start = Instant::now();
    // 2^62 as signed LEB128.
    let refused = bomb(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xc0, 0x00]);
    let too_many = ChunkError::TooMany { what: "operations", max: toso_core::chunk::CHANGE_OPS_MAX };
    assert!(refused.contains(&Err(too_many.clone())), "{refused:?}");
    assert!(refused.iter().all(Result::is_err));
    assert!(start.elapsed() < Duration::from_millis(50));
    // One past the limit: 2,049 as signed LEB128.
    assert!(bomb(&[0x81, 0x10]).contains(&Err(too_many)));
}

/// The story: changes with a byte changed and the checksum made right again crashed `apply_changes`, or let it pass and
/// crashed a later `save`. So changes are applied to a copy under `catch_unwind`, and a snapshot counts only when it
/// loads back.
#[test]
fn a_mutated_change_with_a_valid_checksum_may_panic_anywhere() {
    let mut doc = team();
    let activity = "activities/0101010101010101";
    let id = toso_core::edit::ActivityId([1; 8]);
    let added = toso_core::edit::TeamEdit::AddActivity {
        id,
        date: toso_core::text::Date::parse("2022-09-07").unwrap(),
        kind: toso_core::record::ActivityKind::Meeting,
        skills: vec![],
        reached: toso_core::edit::Reached { total: 5, ..Default::default() },
    };
    let base = doc.edit(author(1), &[toso_core::edit::DocEdit::Team(added)]).unwrap().unwrap();
    let edits = [edit("note", "hai"), edit("status", "planned"), edit(&format!("{activity}/reached"), "+3")];
    let honest = doc.edit(author(2), &edits).unwrap().unwrap();
    let before = doc.read();

    let (mut parsed, mut merged, mut set_aside) = (0, 0, 0);
    for at in 9..honest.bytes().len() {
        for flip in [0x01, 0x02, 0x04, 0x10, 0x40, 0x7f, 0x80, 0xff] {
            let mut mutated = honest.bytes().to_vec();
            mutated[at] ^= flip;
            let Some(chunk) = with_valid_checksum(mutated) else { continue };
            parsed += 1;
            let (mut document, applied) =
                Document::fold(doc.id(), &[base.clone(), chunk.clone(), honest.clone()]).unwrap();
            assert!(document.contains(&base.hash()));
            merged += applied.applied.saturating_sub(2);
            set_aside += applied.quarantined.len();
            // Whatever came of it, the document reads, tells its history, takes edits and makes a snapshot.
            assert_eq!(document.history().len(), applied.applied);
            let loaded = Document::from_snapshot(doc.id(), &document.snapshot().unwrap()).unwrap();
            assert_eq!((loaded.heads(), loaded.read()), (document.heads(), document.read()));
            assert_eq!(loaded.conflicts(), document.conflicts());
            assert!(document.edit(author(3), &[edit("note", "ba")]).unwrap().is_some());
        }
    }
    println!("{parsed} mutations parsed, {merged} merged, {set_aside} set aside");
    assert!(parsed > 100 && set_aside > 0, "the mutations must reach Automerge");
    assert_eq!(doc.read(), before);
}

/// Makes the checksum right; `None` when the change is refused for another reason.
fn with_valid_checksum(mut bytes: Vec<u8>) -> Option<Chunk> {
    if Chunk::parse(&bytes) == Err(ChunkError::Checksum) {
        let hash = Change::from_bytes(bytes.clone()).expect("all but the checksum is right").hash();
        for (byte, right) in bytes.iter_mut().skip(4).zip(hash.0.iter().take(4)) {
            *byte = *right;
        }
    }
    Chunk::parse(&bytes).ok()
}

/// The story: operation counters have 32 bits. A change that claims a counter near the end is merged by Automerge, and
/// from then on nobody can edit the document. So a change must count on from what it builds on.
#[test]
fn a_counter_far_ahead_freezes_a_document() {
    let mut doc = team();
    let honest = save(&mut doc, 1, "note", "một");
    let mut ahead = expanded(&save(&mut doc.clone(), 2, "status", "planned"));
    ahead.start_op = std::num::NonZeroU64::new(u64::from(u32::MAX) - 3).unwrap();
    let mut frozen = Automerge::new();
    let genesis = genesis_of(&doc);
    frozen.apply_changes([genesis, Change::from_bytes(honest.bytes().to_vec()).unwrap()]).unwrap();
    assert!(frozen.apply_changes([Change::from(ahead.clone())]).is_ok(), "mended in Automerge?");

    let ahead = Chunk::parse(Change::from(ahead).raw_bytes()).unwrap();
    let applied = doc.apply(std::slice::from_ref(&ahead));
    assert_eq!(applied.quarantined.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [ahead.hash()]);
    assert!(doc.edit(author(3), &[edit("note", "hai")]).is_ok());
}

/// The story: a hostile change put a text over the key of a map, and all activities were gone from view. So maps are
/// named by id.
#[test]
fn a_value_over_the_key_of_a_map_hides_the_map() {
    let mut doc = team();
    let id = toso_core::edit::ActivityId([1; 8]);
    let added = toso_core::edit::TeamEdit::AddActivity {
        id,
        date: toso_core::text::Date::parse("2022-09-07").unwrap(),
        kind: toso_core::record::ActivityKind::Meeting,
        skills: vec![],
        reached: toso_core::edit::Reached { total: 5, ..Default::default() },
    };
    doc.edit(author(1), &[toso_core::edit::DocEdit::Team(added)]).unwrap();
    let mut hiding = expanded(&save(&mut doc.clone(), 2, "note", "che"));
    hiding.operations[0].key = automerge::legacy::Key::Map("activities".into());
    let applied = doc.apply(&[Chunk::parse(Change::from(hiding).raw_bytes()).unwrap()]);
    assert_eq!(applied.applied, 1);
    let Record::Team(team) = doc.read() else { panic!("a team") };
    assert_eq!(team.activities.values().map(|activity| activity.reached).collect::<Vec<_>>(), [5]);
    let more = format!("activities/{id}/reached");
    assert!(doc.edit(author(1), &[edit(&more, "+2")]).unwrap().is_some());
    let Record::Team(team) = doc.read() else { panic!("a team") };
    assert_eq!(team.activities.values().map(|activity| activity.reached).collect::<Vec<_>>(), [7]);
}

/// The story: a person settled a conflict by choosing the value that was shown already. Automerge makes no operation
/// of its own for that value, only a deletion of the others; a choice made apart and differently then won silently.
#[test]
fn settling_for_the_shown_value_leaves_no_value_of_its_own() {
    let (mut a, mut b) = (team(), team());
    let (one, two) = (save(&mut a, 1, "note", "một"), save(&mut b, 2, "note", "hai"));
    a.apply(&[two]);
    b.apply(&[one]);
    let [conflict] = a.conflicts().try_into().unwrap();
    let [shown, other] = conflict.values.try_into().unwrap();
    let keep = a.resolve(author(1), &edit("note", &shown.value)).unwrap();
    assert_eq!(a.conflicts(), []);
    let choose = b.resolve(author(2), &edit("note", &other.value)).unwrap();
    assert_eq!(b.conflicts(), []);
    a.apply(&[choose]);
    b.apply(&[keep]);
    assert_eq!(a.conflicts(), b.conflicts());
    let [conflict] = a.conflicts().try_into().unwrap();
    let mut values: Vec<_> = conflict.values.iter().map(|value| value.value.as_str()).collect();
    values.sort_unstable();
    assert_eq!(values, ["hai", "một"], "both choices show");
}

/// The story: a snapshot's columns may be deflated, and inflate as changes do. So snapshots are made without, and one
/// that has any is refused.
#[test]
fn a_deflated_snapshot_inflates_without_bound() {
    let mut doc = team();
    save(&mut doc, 1, "note", &"a".repeat(2_000));
    let plain = doc.snapshot().unwrap();
    let whole = Automerge::load(&plain).unwrap();
    let deflated = whole.save();
    assert!(deflated.len() * 2 < plain.len(), "mended in Automerge?");
    assert!(Document::from_snapshot(doc.id(), &deflated).is_err());
    assert!(Document::from_snapshot(doc.id(), &plain).is_ok());
    assert!(Document::from_snapshot(doc.id(), &Automerge::new().save_nocompress()).is_err(), "it has no genesis");
}

/// The story: ten bytes as a sync message panic Automerge's answer, fifteen cost 200 MB. So its sync protocol has no
/// place here: no source file of this crate names it.
#[test]
fn the_sync_protocol_of_automerge_is_not_used() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = std::fs::read_to_string(&path).unwrap();
                assert!(!source.contains("automerge::sync") && !source.contains("SyncDoc"), "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 10);
}

fn expanded(chunk: &Chunk) -> ExpandedChange {
    Change::from_bytes(chunk.bytes().to_vec()).expect("a parsed chunk").decode()
}

/// The genesis change of a document, taken from its snapshot.
fn genesis_of(document: &Document) -> Change {
    let whole = Automerge::load(&document.snapshot().expect("a sound document")).expect("a verified snapshot");
    whole.get_changes(&[]).into_iter().next().expect("genesis")
}
