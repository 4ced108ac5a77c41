//! The doors through which bytes of strangers come in, as functions of bytes that must hold for any. The fuzzer
//! (`fuzz/`) and the short run of every build (`tests/tests/hostile_input.rs`) share them.
//!
//! To add a door: write a function here that takes bytes and panics when a promise is broken, give it a line in
//! [`TARGETS`] and seeds in [`seeds`], and copy one of `fuzz/fuzz_targets/` with its `[[bin]]` in `fuzz/Cargo.toml`.
//! An input that once broke something becomes a file in `tests/fixtures/hostile/<target>/`.
//!
//! This file is compiled into the fuzzer by its path, so it needs the pure rooms only.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a broken promise is a panic here")]

use sha2::{Digest as _, Sha256};
use toso_catalog::Catalog;
use toso_core::change::Change;
use toso_core::chunk::{Chunk, ChunkError};
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DeviceId, Digest, DocId, DocKind, Epoch, Sequence, ServerId};
use toso_core::text;
use toso_core::time::TimestampMs;
use toso_core::unit::{UnitList, UnitRef};
use toso_sync::server::{
    Answer, Append, Appending, Commit, Committed, Open, Query, ReadElements, ReadPage, ReadWanted,
};
use toso_sync::server::{
    AppendOutcome, Authenticated, Greeting, Opened, OpenedInterest, PageRead, Standing, WantedRead,
};
use toso_sync::{AccessRole, Principal, ServerEffect, ServerEvent, ServerSession};
use toso_wire::enrol::Invite;
use toso_wire::limits::{FRAME_BYTES_MAX, PUSH_ITEMS_MAX};
use toso_wire::{
    Delta, DeltaGroup, DeltaItem, Frame, Goodbye, GoodbyeCode, Hello, Interest, Proof, Push, Reconcile, TicketProof,
    Want, WelcomeProof, decode, decode_from_client, encode, encode_plain, hello_from_token, hello_token,
};

/// A door: its name, and the function that takes bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every door.
pub const TARGETS: [Target; 8] = [
    ("frame", frame),
    ("hello_token", token),
    ("session", session),
    ("change", change),
    ("snapshot", snapshot),
    ("invite", invite),
    ("unit", unit_text),
    ("text", vietnamese),
];

/// The most effects that one frame may have: an answer for each item of a push, and what a session does besides.
const EFFECTS_MAX: usize = 2 * PUSH_ITEMS_MAX + 16;
/// The magic bytes of an Automerge chunk; four bytes of checksum follow.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// Bytes of any content are a frame or an error, and a frame is the same after encoding it.
pub fn frame(bytes: &[u8]) {
    let of_client = decode_from_client(bytes);
    let Ok(frame) = decode(bytes) else {
        assert!(of_client.is_err(), "a client may send no more than a server");
        return;
    };
    assert!(of_client.is_err() || of_client.as_ref() == Ok(&frame), "a client says the same by it");
    let plain = encode_plain(&frame);
    if plain.len() <= FRAME_BYTES_MAX {
        assert_eq!(decode(&plain).as_ref(), Ok(&frame), "plain");
    }
    let encoded = encode(&frame);
    if encoded.len() <= FRAME_BYTES_MAX {
        assert_eq!(decode(&encoded).as_ref(), Ok(&frame), "compressed");
    }
}

/// The same for HELLO's token.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(hello) = hello_from_token(text) {
        let again = hello_token(&hello);
        if again.len() <= toso_wire::limits::HELLO_TOKEN_CHARS_MAX {
            assert_eq!(hello_from_token(&again), Ok(hello));
        }
    }
}

fn scope() -> UnitRef {
    UnitRef::new(UnitList::L2022, "00001").expect("a commune")
}

fn device() -> DeviceId {
    DeviceId([7; 16])
}

fn principal() -> Principal {
    Principal { device: device(), role: AccessRole::Recorder, unit: scope() }
}

/// An authenticated session takes any frames (each behind its length, u16 big-endian) and answers within bounds.
pub fn session(bytes: &[u8]) {
    let mut session = ServerSession::new(Catalog::shared());
    let (mut sequence, mut now) = (0, TimestampMs(1_700_000_000_000));
    let hello = Hello {
        protocol: 1,
        proof: Proof::Ticket(TicketProof::from_bytes(&[1; 28])),
        epoch: None,
        interests: vec![Interest { unit: scope(), cursor: Sequence::ZERO, digest: Digest::default() }],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    let mut inputs = vec![ServerEvent::Frame(Frame::Hello(hello))];
    for part in parts(bytes) {
        inputs.push(match decode(part) {
            Ok(frame) => ServerEvent::Frame(frame),
            Err(error) => ServerEvent::BadFrame(error.to_string()),
        });
    }
    let compares = bytes.len() % 2 == 1;
    for input in inputs {
        let mut events = vec![input];
        let mut rounds = 0;
        while let Some(event) = events.pop() {
            rounds += 1;
            assert!(rounds < 1_000, "the session keeps itself busy");
            now = now.plus_ms(1);
            let effects = session.handle(now, event);
            assert!(effects.len() <= EFFECTS_MAX, "{} effects of one event", effects.len());
            events.extend(effects.into_iter().filter_map(|effect| answer(effect, &mut sequence, compares)));
        }
    }
}

/// What a small, honest server with an empty log answers.
fn answer(effect: ServerEffect, sequence: &mut u64, compares: bool) -> Option<ServerEvent> {
    Some(match effect {
        ServerEffect::Query(Query::Authenticate(_)) => Answer::Authenticated(Ok(Authenticated {
            principal: principal(),
            greeting: Greeting {
                epoch: Epoch(1),
                at: TimestampMs(1_700_000_000_000),
                proof: WelcomeProof::Ticket([0; 8]),
            },
            standing: Standing::default(),
        }))
        .into(),
        ServerEffect::Query(Query::Open(Open { interests, .. })) => {
            let opened = OpenedInterest {
                cursor: Sequence::ZERO,
                reconcile: compares.then_some(Sequence(9)),
                last: Sequence(9),
                pending: 0,
            };
            Answer::Opened(Opened {
                epoch: Epoch(1),
                takes_returns: compares,
                interests: vec![opened; interests.len()],
                page: None,
            })
            .into()
        }
        ServerEffect::Commit(Commit::Append(Append { push: Appending { number, author, .. }, items })) => {
            assert!(items.len() <= PUSH_ITEMS_MAX);
            for item in &items {
                let chunk = item.raw().check().expect("only sound changes are appended").chunk;
                let by = chunk.facts().expect("a sound change").actor.author();
                assert_eq!((by, chunk.hash()), (author, item.hash()));
                assert!(item.doc.belongs_to(scope()));
            }
            let first = *sequence + 1;
            *sequence += items.len() as u64;
            let outcome = AppendOutcome {
                first_new: Some(Sequence(first)),
                new: items.len() as u64,
                through: Sequence(*sequence),
                refused: Vec::new(),
                postponed: None,
                before: None,
            };
            Committed::Appended { number, outcome: Ok(outcome) }.into()
        }
        ServerEffect::Query(Query::ReadPage(ReadPage { unit, .. })) => {
            Answer::Page(PageRead { unit, entries: Vec::new(), through: Sequence(*sequence + 9), more: false }).into()
        }
        ServerEffect::Query(Query::ReadElements(ReadElements { unit, .. })) => {
            Answer::Elements { unit, chunks: Vec::new() }.into()
        }
        ServerEffect::Query(Query::ReadWanted(ReadWanted { unit, at, .. })) => {
            Answer::Wanted(WantedRead { unit, entries: Vec::new(), through: at, more: false }).into()
        }
        ServerEffect::Query(Query::ReadTotals(_)) => {
            Answer::Totals { as_of: Sequence(*sequence), totals: Vec::new() }.into()
        }
        ServerEffect::Send(frame) => {
            let bytes = encode(&frame);
            assert!(bytes.len() <= FRAME_BYTES_MAX, "{} of {} bytes", frame.name(), bytes.len());
            return None;
        }
        ServerEffect::Query(Query::VerifyCarried(_) | Query::JudgeReturned(_) | Query::ReadDecisions(_))
        | ServerEffect::Commit(Commit::Hold(_) | Commit::KeepTold(_))
        | ServerEffect::CountRefusal(_)
        | ServerEffect::Close => return None,
    })
}

fn team() -> DocId {
    DocId::hamlet_team(scope(), "thôn 1", 0)
}

/// Changes (each behind its length, u16 big-endian; checksums are made right) are parsed and merged, and whatever
/// comes of it, the document reads, tells its conflicts and history, makes a snapshot that loads back, and is edited.
pub fn change(bytes: &[u8]) {
    let chunks: Vec<_> = parts(bytes).filter_map(|part| sound(part, Chunk::parse)).collect();
    if chunks.is_empty() {
        return;
    }
    let mut document = Document::new(team()).expect("a known kind");
    let mut applied = 0;
    for chunk in &chunks {
        applied += document.apply(std::slice::from_ref(chunk)).applied;
    }
    assert_eq!(document.history().len(), applied, "what was applied is in the history");
    lives(&mut document);
    let (mut at_once, _) = Document::fold(team(), &chunks).expect("a known kind");
    lives(&mut at_once);
}

/// Snapshots of any content load or are refused, and what loads is a document.
pub fn snapshot(bytes: &[u8]) {
    let load = |bytes: &[u8]| Document::from_snapshot(team(), bytes);
    let loaded = load(bytes).ok().or_else(|| load(&with_checksum(bytes)?).ok());
    if let Some(mut document) = loaded {
        lives(&mut document);
    }
}

fn lives(document: &mut Document) {
    let record = document.read();
    let (conflicts, heads) = (document.conflicts(), document.heads());
    let _ = document.chunks();
    // One that cannot be saved keeps its chunks; one that can comes back as it was.
    if let Ok(bytes) = document.snapshot() {
        let loaded = Document::from_snapshot(document.id(), &bytes).expect("a snapshot that was verified loads");
        assert_eq!((loaded.heads(), loaded.read(), loaded.conflicts()), (heads, record, conflicts));
    }
    let author = Author { actor: Actor::new(DeviceId([9; 16]), [9; 8]), at: TimestampMs(1_700_000_000_000) };
    let note = DocEdit::parse(DocKind::Team, "note", "ghi chú").expect("a note");
    // A document at the end of its counters refuses an edit; it must not panic.
    let _ = document.edit(author, &[note]);
    document.read();
}

/// Parses; once more with the right checksum if that is all that is wrong.
fn sound(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<Chunk, ChunkError>) -> Option<Chunk> {
    match parse(bytes) {
        Err(ChunkError::Checksum) => parse(&with_checksum(bytes)?).ok(),
        parsed => parsed.ok(),
    }
}

/// An Automerge chunk with the checksum that its content asks for.
fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    let content = bytes.strip_prefix(&MAGIC)?.get(4..)?;
    let hash = Sha256::digest(content);
    Some([&MAGIC, hash.get(..4)?, content].concat())
}

/// Invites of any text are read or refused, and are the same after writing them.
pub fn invite(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(invite) = Invite::parse(text) {
        let again = invite.to_text();
        if again.len() <= toso_wire::enrol::INVITE_TEXT_CHARS_MAX {
            assert_eq!(Invite::parse(&again).as_ref(), Ok(&invite));
        }
    }
}

/// Names and codes of units.
pub fn unit_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let catalog = Catalog::shared();
    if let Ok(unit) = text.parse::<UnitRef>() {
        assert_eq!(unit.to_string().parse(), Ok(unit));
        assert_eq!(UnitRef::from_key(unit.to_key()), Ok(unit));
        let _ = (catalog.lookup(unit).is_ok(), catalog.scopes_under_all_lists(unit).len());
    }
    if let Some(Ok(unit)) = bytes.first_chunk().map(|key| UnitRef::from_key(*key)) {
        let _ = catalog.display_path(unit);
    }
    for list in [UnitList::L2022, UnitList::L2025] {
        assert!(catalog.search(list, &text, 5).len() <= 5);
    }
}

/// What people type: keys stay what they are, accepted values are accepted again as they were shown.
pub fn vietnamese(bytes: &[u8]) {
    let typed = String::from_utf8_lossy(bytes);
    let canonical = text::canonical(&typed);
    assert_eq!(text::canonical(&canonical), canonical);
    let key = text::hamlet_key(&typed);
    assert_eq!(text::hamlet_key(&key), key, "of {typed:?}");
    let _ = (text::search_key(&typed), text::same_name_key(&typed), text::Collator::shared().sort_key(&typed));
    if let Ok(name) = text::PersonName::parse(&typed) {
        assert_eq!(text::PersonName::parse(name.as_str()), Ok(name.clone()));
    }
    if let Ok(name) = text::PlaceName::parse(&typed) {
        assert_eq!(text::PlaceName::parse(name.as_str()), Ok(name.clone()));
    }
    if let Ok(phone) = text::Phone::parse(&typed) {
        assert_eq!(text::Phone::parse(&phone.display_vi()).as_ref(), Ok(&phone));
    }
    if let Ok(date) = text::Date::parse(&typed) {
        assert_eq!(text::Date::parse(&date.display_vi()), Ok(date));
    }
    let _ = (text::parse_birth_year(&typed), text::DocumentNumber::parse(&typed), text::Link::parse(&typed));
}

/// Pieces behind lengths (u16 big-endian); the last may be cut.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        Some(part)
    })
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let behind_length = |part: &Vec<u8>| [&u16::try_from(part.len()).expect("short").to_be_bytes(), &part[..]].concat();
    parts.iter().flat_map(behind_length).collect()
}

/// Sound inputs of a door, as the register itself makes them, to be mutated.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let (mut document, mut changes) = (Document::new(team()).expect("a known kind"), Vec::new());
    for (number, (field, value)) in
        [("hamlet", "Thôn 1"), ("status", "planned"), ("note", "ghi chú")].iter().enumerate()
    {
        let actor = Actor::new(device(), [u8::try_from(number).expect("few"); 8]);
        let edits = [DocEdit::parse(DocKind::Team, field, value).expect("an edit")];
        let author = Author { actor, at: TimestampMs(1_700_000_000_000) };
        changes.push(document.edit(author, &edits).expect("valid").expect("a change").bytes().to_vec());
    }
    let activity = TeamEdit::AddActivity {
        id: toso_core::edit::ActivityId([1; 8]),
        date: text::Date::parse("2022-09-07").expect("a date"),
        kind: toso_core::record::ActivityKind::Meeting,
        skills: Vec::new(),
        reached: toso_core::edit::Reached { total: 5, ..Default::default() },
    };
    let author = Author { actor: Actor::new(device(), [9; 8]), at: TimestampMs(1_700_000_000_000) };
    let added = document.edit(author, &[DocEdit::Team(activity)]).expect("valid").expect("a change");
    changes.push(added.bytes().to_vec());
    let apart = Document::new(team())
        .expect("a known kind")
        .edit(author, &[DocEdit::parse(DocKind::Team, "hamlet", "thôn 01").expect("an edit")])
        .expect("valid")
        .expect("a change");
    changes.push(apart.bytes().to_vec());

    let items: Vec<_> = changes.iter().map(|change| Change { doc: team(), chunk: change.as_slice().into() }).collect();
    let push = |number| Frame::Push(Push { number, scope: scope(), items: items.clone(), carried: None });
    let proof = Proof::Token {
        token: vec![3; 200],
        at: TimestampMs(1_700_000_000_000),
        nonce: vec![4; 8],
        signature: vec![5; 64],
    };
    let interest = Interest { unit: scope(), cursor: Sequence(77), digest: Digest(0x0123_4567_89ab_cdef) };
    let hello = Hello {
        protocol: 1,
        proof,
        epoch: Some(Epoch(5)),
        interests: vec![interest],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    };
    // Long enough and regular enough to travel by prediction.
    let words = |n: u64| format!("{} hộ dân, {} người cao tuổi; ", n * 7_919 % 1_009, n * 104_729 % 1_013);
    let texts = (0..60).map(|item| (0..20).map(|n| words(item * 20 + n)).collect::<String>().into_bytes());
    let items = texts.map(|text| DeltaItem::Change(Change { doc: team(), chunk: text.into() })).collect();
    let groups = vec![DeltaGroup { scope: scope(), items }];
    let page = Frame::Delta(Delta { unit: scope(), groups, next: Sequence(60), more: true });
    let frames = [
        Frame::Hello(hello.clone()),
        push(1),
        Frame::Reconcile(Reconcile { unit: scope(), as_of: Sequence(9), message: vec![0x61, 0, 0, 2, 0] }),
        Frame::Want(Want { unit: scope(), as_of: Sequence(9), keys: Vec::new(), last: true }),
        Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: "hết".to_owned() }),
    ];
    match target {
        "frame" => frames.iter().chain([&page]).flat_map(|frame| [encode(frame), encode_plain(frame)]).collect(),
        "hello_token" => vec![hello_token(&hello).into_bytes()],
        "session" => vec![
            join(&[encode_plain(&push(1)), encode_plain(&push(2))]),
            join(&frames[1..].iter().map(encode_plain).collect::<Vec<_>>()),
            [join(&[encode_plain(&frames[2]), encode_plain(&frames[3])]), vec![0]].concat(),
        ],
        "change" => vec![join(&changes), join(&changes[..1]), join(&changes[3..])],
        "snapshot" => vec![document.snapshot().expect("a sound document")],
        "invite" => vec![
            Invite {
                url: "https://toso.example.vn".to_owned(),
                server: ServerId([1; 16]),
                secret: [2; 16],
                unit: scope(),
                role: "recorder".to_owned(),
                expires_at: TimestampMs(1_700_000_000_000),
            }
            .to_text()
            .into_bytes(),
        ],
        "unit" => ["2022/00001", "2025/01", "phuc xa", "Xã Tân Lập, Đan Phượng", "2022/0"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec(),
        "text" => {
            ["Tổ dân phố số 07", "thôn  01", "NGUYỄN VĂN THỬ", "hoà bình", "0912 000 001", "15/7/2022", "12/QĐ-UBND"]
                .map(|text| text.as_bytes().to_vec())
                .to_vec()
        }
        _ => Vec::new(),
    }
}
