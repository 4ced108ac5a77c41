//! What passes, and every limit at the limit and one past it. `tests/automerge_traps.rs` tells why.

use automerge::legacy::{Key, ObjectId, OpId, OpType};
use automerge::{Change, ExpandedChange, ObjType};
use proptest::prelude::*;

use super::*;
use crate::document::{Author, Document};
use crate::edit::{DocEdit, TeamEdit};
use crate::id::{Actor, DeviceId, DocId};
use crate::text::Note;
use crate::time::TimestampMs;
use crate::unit::{UnitList, UnitRef};

fn honest() -> Chunk {
    let mut document = Document::new(DocId::commune_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), 0)).unwrap();
    let author = Author { actor: Actor::new(DeviceId([1; 16]), [2; 8]), at: TimestampMs(1_662_508_800_000) };
    let note = DocEdit::Team(TeamEdit::Note(Some(Note::parse("Ghi chú thử").unwrap())));
    let households = DocEdit::Team(TeamEdit::HouseholdsCovered(Some(12)));
    document.edit(author, &[note, households]).unwrap().unwrap()
}

/// The honest change with something else in it, its checksum right.
fn changed(change: impl FnOnce(&mut ExpandedChange)) -> Result<Chunk, ChunkError> {
    let mut expanded = honest().change().unwrap().decode();
    change(&mut expanded);
    Chunk::parse(Change::from(expanded).raw_bytes())
}

fn foreign(result: &Result<Chunk, ChunkError>) -> bool {
    matches!(result, Err(ChunkError::Foreign { .. }))
}

#[test]
fn an_honest_change_parses_to_what_made_it() {
    let chunk = honest();
    assert_eq!(Chunk::parse(chunk.bytes()), Ok(chunk.clone()));
    assert_eq!(changed(|_| {}), Ok(chunk.clone()), "the change that the other tests change");
    let facts = chunk.facts().unwrap();
    assert_eq!(facts.actor, Actor::new(DeviceId([1; 16]), [2; 8]));
    assert_eq!((facts.seq, facts.time_s, facts.deps().len()), (1, 1_662_508_800, 1));
    assert_eq!((facts.start_op, facts.max_op()), (2, 3), "genesis has operation 1");
}

/// A store gives bytes back: nothing is read of them until somebody asks, and damage is an answer then.
#[test]
fn a_trusted_change_is_read_late_and_damage_is_told() {
    let chunk = honest();
    counted::take();
    let trusted = Chunk::trusted(chunk.bytes(), chunk.hash());
    assert_eq!((&trusted, trusted.facts()), (&chunk, chunk.facts()));
    assert_eq!(counted::take(), counted::Work::default(), "neither walked nor decoded");
    trusted.change().unwrap();
    assert_eq!(counted::take(), counted::Work { scans: 1, decodes: 1 }, "Automerge gets what was walked");

    let doc = DocId::commune_team(UnitRef::new(UnitList::L2022, "00001").unwrap(), 0);
    for at in 0..chunk.bytes().len() {
        let mut bytes = chunk.bytes().to_vec();
        bytes[at] ^= 0x15;
        let damaged = Chunk::trusted(bytes, chunk.hash());
        let _ = damaged.facts();
        let (_, applied) = Document::fold(doc, &[damaged]).unwrap();
        // A bent dependency is one that nobody has brought.
        assert_eq!(applied.quarantined.len() + applied.waiting, 1, "byte {at}");
    }
    for end in 0..chunk.bytes().len() {
        let cut = Chunk::trusted(&chunk.bytes()[..end], chunk.hash());
        assert!(cut.facts().is_err() && cut.writes_any(&["note"]), "{end} bytes");
    }
    assert!(chunk.writes_any(&["note"]) && !chunk.writes_any(&["local_name"]));
}

/// What came once is shared: by the checked change, by what is sent of it, and by every clone.
#[test]
fn checking_and_sending_share_the_bytes() {
    let raw = RawChunk::from(honest().bytes());
    let chunk = raw.check().unwrap();
    let sent = chunk.clone().raw();
    assert!([chunk.bytes(), sent.bytes()].iter().all(|bytes| std::ptr::eq(*bytes, raw.bytes())));
}

#[test]
fn the_envelope_is_exact() {
    let bytes = honest().bytes().to_vec();
    for length in 0..bytes.len() {
        assert!(Chunk::parse(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Chunk::parse(&longer), Err(ChunkError::Malformed { .. })));
    for chunk_type in [0, 2, 3, 4, 0xff] {
        let mut other = bytes.clone();
        other[8] = chunk_type;
        assert_eq!(Chunk::parse(&other), Err(ChunkError::WrongType { found: chunk_type }));
    }
    let mut other = bytes.clone();
    other[0] ^= 1;
    assert_eq!(Chunk::parse(&other), Err(ChunkError::Malformed { what: "magic bytes" }));
    let mut other = bytes;
    other[4] ^= 1;
    assert_eq!(Chunk::parse(&other), Err(ChunkError::Checksum));
}

#[test]
fn size_is_bounded() {
    let sized =
        |text: usize| changed(|change| change.operations[0].action = OpType::Put("a".repeat(text).as_str().into()));
    let overhead = sized(60_000).unwrap().bytes().len() - 60_000;
    let largest = sized(CHANGE_BYTES_MAX - overhead).unwrap();
    assert_eq!(largest.bytes().len(), CHANGE_BYTES_MAX);
    let past = CHANGE_BYTES_MAX + 1;
    assert_eq!(sized(CHANGE_BYTES_MAX - overhead + 1), Err(ChunkError::TooLarge { bytes: past }));
}

#[test]
fn counts_are_bounded() {
    let deps = |count: usize| {
        changed(|change| {
            change.deps = (0..count).map(|n| automerge::ChangeHash([u8::try_from(n).unwrap(); 32])).collect();
        })
    };
    assert!(deps(CHANGE_DEPS_MAX).is_ok());
    let what = "dependencies";
    assert_eq!(deps(CHANGE_DEPS_MAX + 1), Err(ChunkError::TooMany { what, max: CHANGE_DEPS_MAX }));
    assert!(deps(0).is_err(), "a change builds on genesis at least");

    let ops = |count: usize| {
        changed(|change| {
            let op = change.operations[0].clone();
            change.operations = (0..count)
                .map(|n| automerge::legacy::Op { key: Key::Map(format!("k{n}").into()), ..op.clone() })
                .collect();
            for op in &mut change.operations {
                op.action = OpType::Put(true.into());
            }
        })
    };
    assert!(ops(CHANGE_OPS_MAX).is_ok());
    assert_eq!(ops(CHANGE_OPS_MAX + 1), Err(ChunkError::TooMany { what: "operations", max: CHANGE_OPS_MAX }));
    assert!(ops(0).is_err());

    let message = |length: usize| changed(|change| change.message = Some("m".repeat(length)));
    assert!(message(CHANGE_MESSAGE_BYTES_MAX).is_ok());
    let what = "bytes in the message";
    assert_eq!(message(CHANGE_MESSAGE_BYTES_MAX + 1), Err(ChunkError::TooMany { what, max: CHANGE_MESSAGE_BYTES_MAX }));

    let key = |length: usize| changed(|change| change.operations[0].key = Key::Map("k".repeat(length).into()));
    assert!(key(CHANGE_KEY_BYTES_MAX).is_ok());
    let what = "bytes in a key";
    assert_eq!(key(CHANGE_KEY_BYTES_MAX + 1), Err(ChunkError::TooMany { what, max: CHANGE_KEY_BYTES_MAX }));
}

#[test]
fn replaced_values_and_their_authors_are_bounded() {
    let preds = |count: usize| {
        changed(|change| {
            change.start_op = 1_000_000.try_into().unwrap();
            let actor = change.actor_id.clone();
            let pred = |n: usize| OpId::new(1 + n as u64, &actor);
            change.operations[0].pred = (0..count).map(pred).collect();
        })
    };
    assert!(preds(CHANGE_PREDS_MAX).is_ok());
    let what = "replaced values";
    assert_eq!(preds(CHANGE_PREDS_MAX + 1), Err(ChunkError::TooMany { what, max: CHANGE_PREDS_MAX }));

    let actors = |count: usize| {
        changed(|change| {
            change.start_op = 2_000.try_into().unwrap();
            let pred = |n: usize| {
                let mut actor = [9; 16];
                actor[..8].copy_from_slice(&(n as u64).to_be_bytes());
                OpId::new(1, &actor.into())
            };
            change.operations[0].pred = (0..count).map(pred).collect();
        })
    };
    assert!(actors(CHANGE_ACTORS_MAX).is_ok());
    let what = "other actors";
    assert_eq!(actors(CHANGE_ACTORS_MAX + 1), Err(ChunkError::TooMany { what, max: CHANGE_ACTORS_MAX }));

    let of_the_future = changed(|change| {
        let future = OpId::new(change.start_op.get(), &change.actor_id);
        change.operations[0].pred = vec![future].into();
    });
    assert_eq!(of_the_future, Err(ChunkError::Malformed { what: "replaced values" }));
}

#[test]
fn actors_have_16_bytes_and_are_not_genesis() {
    for length in [0, 8, 15, 17, 32] {
        let actor = vec![1_u8; length];
        assert!(changed(|change| change.actor_id = actor.into()).is_err(), "{length}");
    }
    assert!(foreign(&changed(|change| change.actor_id = crate::document::genesis::GENESIS_ACTOR.0.into())));
}

#[test]
fn only_what_edits_do_is_accepted() {
    use automerge::ScalarValue;
    let op = |action: OpType| changed(|change| change.operations[0].action = action);
    assert!(op(OpType::Delete).is_ok());
    assert!(op(OpType::Increment(-3)).is_ok());
    assert!(op(OpType::Put(ScalarValue::counter(3))).is_ok());
    for object in [ObjType::Map, ObjType::List, ObjType::Text, ObjType::Table] {
        assert!(foreign(&op(OpType::Make(object))));
    }
    assert!(foreign(&op(OpType::MarkEnd(true))));
    assert!(foreign(&changed(|change| change.operations[0].insert = true)));
    assert!(changed(|change| change.operations[0].key = Key::head()).is_err());

    let object = |counter, actor: [u8; 16]| {
        changed(|change| change.operations[0].obj = ObjectId::Id(OpId::new(counter, &actor.into())))
    };
    let genesis = crate::document::genesis::GENESIS_ACTOR.0;
    let max = crate::document::genesis::GENESIS_OPS_MAX;
    assert!(object(1, genesis).is_ok());
    assert!(object(max, genesis).is_ok());
    assert!(foreign(&object(max + 1, genesis)));
    assert!(foreign(&object(1, [9; 16])));

    assert!(foreign(&changed(|change| change.extra_bytes = vec![1])));
    let last = u64::from(u32::MAX);
    assert!(changed(|change| change.start_op = (last - 2).try_into().unwrap()).is_ok());
    assert!(changed(|change| change.start_op = (last - 1).try_into().unwrap()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Chunk::parse(&bytes).is_err());
        prop_assert!(Chunk::trusted(bytes.as_slice(), honest().hash()).facts().is_err());
        prop_assert!(check_document_envelope(&bytes).is_err());
    }

    #[test]
    fn no_mutation_panics(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        insert in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let honest = honest();
        let mut bytes = honest.bytes().to_vec();
        for (at, byte) in &mutations {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let at = cut.index(bytes.len());
        bytes.splice(at..at, insert);
        // Where a walk through all of the bytes accepts them, the header read alone says the same.
        let light = Chunk::trusted(bytes.as_slice(), honest.hash());
        if let Ok(scanned) = scan::scan(&bytes) {
            prop_assert_eq!(light.facts(), Ok(scanned.facts));
        }
        // The checksum is of 4 bytes, so a mutation that passes is the honest change.
        if let Ok(chunk) = Chunk::parse(&bytes) {
            prop_assert_eq!(chunk, honest);
        }
    }
}
