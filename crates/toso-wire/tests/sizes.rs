//! What frames cost, counted on real changes: the budgets of a phone on 2G. Arithmetic, not timing, so exact everywhere.
//!
//! `cargo test -p toso-wire --test sizes -- --nocapture` prints the figures.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a frame that cannot be measured is a failed test")]

#[path = "support/register.rs"]
mod register;
#[path = "support/sample_frames.rs"]
mod sample_frames;

use register::{Random, Register};
use toso_core::change::Change;
use toso_core::document::{Author, Document};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{Actor, DocId, Sequence};
use toso_core::text::{Note, PlaceName, hamlet_key};
use toso_core::time::TimestampMs;
use toso_wire::limits::{PAGE_BYTES_FIRST, PAGE_BYTES_MAX};
use toso_wire::{
    DeltaEntry, DeltaItem, Frame, Receipt, UnitTotals, Welcome, WelcomeProof, encode, encode_plain, encoded_push_len,
    hello_token, pack_delta,
};

/// Seeds that no dictionary was trained from.
const SEEDS: std::ops::Range<u64> = 2_000_000..2_000_040;

/// 19/9/2022, 08:00 in Hanoi.
const AT: TimestampMs = TimestampMs(1_663_549_200_000);

#[test]
fn a_phone_with_nothing_new_sends_at_most_110_characters() {
    let longest = SEEDS
        .map(|seed| hello_token(&sample_frames::hello(&mut Random::new(seed), &Register::new(seed), None)).len())
        .max()
        .expect("seeds");
    println!("HELLO with a ticket: at most {longest} characters");
    assert!(longest <= 110, "{longest} characters");
}

#[test]
fn a_phone_with_nothing_new_receives_at_most_60_bytes() {
    let welcome = Welcome { epoch: None, at: AT, proof: WelcomeProof::Ticket([0xff; 8]), pending: 0 };
    let totals = vec![UnitTotals { unit: Register::new(1).scope, teams: 10, members: 300 }];
    let receipt = Receipt { as_of: Sequence(900_000), at: AT, totals };
    let bytes = encode(&Frame::Welcome(welcome)).len() + encode(&Frame::Receipt(receipt)).len();
    println!("WELCOME and RECEIPT: {bytes} bytes");
    assert!(bytes <= 60, "{bytes} bytes");
}

/// One field of a team, changed by the device that wrote it last: the everyday edit.
#[test]
fn an_edit_of_one_field_adds_at_most_160_characters() {
    let (mut plain, mut packed, mut added_worst, mut added_sum, mut count) = (0, 0, 0, 0, 0);
    for seed in SEEDS {
        let mut register = Register::various(seed, 1, 0);
        register.one_device();
        // The first save of a field, and a later one.
        for _ in 0..2 {
            register.edit_households();
            let push = sample_frames::push(1, &register.saved[register.saved.len() - 1..]);
            let hello = |push| hello_token(&sample_frames::hello(&mut Random::new(seed), &register, push)).len();
            let added = hello(Some(push.clone())) - hello(None);
            added_worst = added_worst.max(added);
            added_sum += added;
            plain += encode_plain(&Frame::Push(push.clone())).len();
            packed += encoded_push_len(&push);
            count += 1;
        }
    }
    println!(
        "PUSH of one field: {} bytes plain, {} compressed; in HELLO {} characters more, at worst {added_worst}",
        plain / count,
        packed / count,
        added_sum / count
    );
    assert!(added_worst <= 160, "{added_worst} characters");
}

/// Whatever field of whatever document, also over another device's value (whose actor, 16 bytes, the change names).
#[test]
fn any_edit_of_one_field_adds_at_most_160_characters_on_average() {
    let (mut added_sum, mut added_worst, mut count) = (0, 0, 0);
    for seed in SEEDS {
        let mut register = Register::various(seed, 3, 10);
        for turn in 0..20 {
            let before = register.saved.len();
            if turn % 2 == 0 {
                register.edit_member();
            } else {
                register.edit_team();
            }
            if register.saved.len() == before {
                continue;
            }
            let push = sample_frames::push(1, &register.saved[before..]);
            let hello = |push| hello_token(&sample_frames::hello(&mut Random::new(seed), &register, push)).len();
            let added = hello(Some(push)) - hello(None);
            added_sum += added;
            added_worst = added_worst.max(added);
            count += 1;
        }
    }
    println!("any edit in HELLO: {} characters more on average, at worst {added_worst}", added_sum / count);
    assert!(added_sum / count <= 160, "{} characters", added_sum / count);
}

#[test]
fn a_commune_of_10_teams_and_50_members_comes_in_one_page() {
    let mut worst = 0;
    for seed in SEEDS {
        let mut register = Register::various(seed, 10, 50);
        register.add_hamlets();
        let pages = sample_frames::pages(&register, PAGE_BYTES_MAX);
        let bytes: usize = pages.iter().map(|page| encode(&Frame::Delta(page.clone())).len()).sum();
        assert_eq!(pages.len(), 1, "{bytes} bytes");
        worst = worst.max(bytes);
    }
    println!("10 teams and 50 members: at most {worst} bytes");
    assert!(worst <= PAGE_BYTES_MAX, "{worst} bytes");
}

/// Pages as a session sends them, the first small. Each word is as likely as any other, which real text is not, so that
/// it takes more bytes than real text does.
#[test]
fn sixty_notes_of_a_kilobyte_come_in_a_quarter_of_their_bytes() {
    const WORDS: [&str; 40] = [
        "ruộng",
        "vườn",
        "mưa",
        "nắng",
        "sáng",
        "chiều",
        "đường",
        "cầu",
        "chợ",
        "trường",
        "lớp",
        "học",
        "trò",
        "thầy",
        "sách",
        "bút",
        "gạo",
        "cơm",
        "nước",
        "lửa",
        "gió",
        "sông",
        "suối",
        "núi",
        "rừng",
        "trâu",
        "bò",
        "gà",
        "vịt",
        "cá",
        "xe",
        "đạp",
        "thuyền",
        "bến",
        "đò",
        "mùa",
        "gặt",
        "cấy",
        "lúa",
        "ngô",
    ];
    let mut random = Random::new(5_000_000);
    let (scope, actor) = (Register::new(1).scope, Actor(random.bytes()));
    let mut text_bytes = 0;
    let mut entries: Vec<DeltaEntry> = Vec::new();
    for number in 1..=60_u64 {
        let mut note = String::new();
        while note.len() < 1_133 {
            let word: &&str = random.pick(&WORDS);
            note.push_str(word);
            note.push(' ');
        }
        text_bytes += note.len();
        let hamlet = format!("Thôn {number}");
        let edits = [
            DocEdit::Team(TeamEdit::Hamlet(Some(PlaceName::parse(&hamlet).expect("a name")))),
            DocEdit::Team(TeamEdit::Note(Some(Note::parse(&note).expect("a note")))),
        ];
        let id = DocId::hamlet_team(scope, &hamlet_key(&hamlet), 0);
        let author = Author { actor, at: TimestampMs(AT.0 + number * 60_000) };
        let change = Document::first_save(id, author, &edits).expect("sound").expect("a change");
        entries.push((Sequence(number), scope, DeltaItem::Change(Change { doc: id, chunk: change.raw() })));
    }
    let (mut rest, mut page_bytes, mut sizes) = (entries.as_slice(), PAGE_BYTES_FIRST, Vec::new());
    while !rest.is_empty() {
        let (page, packed) = pack_delta(scope, rest.iter().cloned(), page_bytes);
        sizes.push(encode(&Frame::Delta(page)).len());
        rest = &rest[packed..];
        page_bytes = (2 * page_bytes).min(PAGE_BYTES_MAX);
    }
    let bytes: usize = sizes.iter().sum();
    println!("60 notes, {text_bytes} bytes of text: {bytes} bytes in pages of {sizes:?}");
    assert!(bytes * 4 <= text_bytes, "{bytes} of {text_bytes} bytes: {sizes:?}");
}
