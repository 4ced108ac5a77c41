//! The exact bytes of every frame type. These, not the tables in `docs/wire-format.md`, are the wire format.
//!
//! A difference here means that phones in the field no longer understand the server. If a change is meant (a new
//! optional field at the end), run `cargo test -p toso-wire --test golden`: each failing assertion prints the new bytes
//! on its left; copy them only after making sure that the old bytes still decode (keep them as a further case).

use data_encoding::HEXLOWER;
use toso_core::change::Change;
use toso_core::id::{AuthorId, ChangeHash, ChunkKey, Digest, DocId, DocKind, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::{
    Ack, Carried, Challenge, ChallengeReason, Decision, Delta, DeltaGroup, DeltaItem, Erased, Frame, Goodbye,
    GoodbyeCode, Hello, Interest, Moved, Nack, NackCode, Next, Proof, Purge, Push, Receipt, Reconcile, RetryAfter,
    Reviewed, RootProof, Ticket, TicketProof, TicketSecret, UnitTotals, Want, Welcome, WelcomeProof, decode,
    decode_stream, encode_plain, encode_stream, hello_from_token, hello_token,
};

const AT: TimestampMs = TimestampMs(1_663_549_200_000);

/// Compares and decodes.
#[track_caller]
fn pin(frame: &Frame, hex: &str) {
    let hex: String = hex.split_whitespace().collect();
    assert_eq!(HEXLOWER.encode(&encode_plain(frame)), hex);
    assert_eq!(decode(&HEXLOWER.decode(hex.as_bytes()).expect("hex")).expect("decodes"), *frame);
}

/// What a device shows of a ticket; like real ones it does not compress.
const TICKET: [u8; 28] = [
    0x14, 0x06, 0x94, 0x29, 0x15, 0x0a, 0xbc, 0xbf, 0x24, 0x4c, 0x4c, 0x2f, 0xb2, 0xc4, 0xc4, 0x6a, 0x49, 0xc9, 0x3c,
    0xa9, 0x45, 0x72, 0x63, 0xec, 0xd9, 0xeb, 0xb1, 0x76,
];

fn unit(text: &str) -> UnitRef {
    text.parse().expect("a unit")
}

fn team() -> DocId {
    DocId::new(DocKind::Team, unit("2022/00001"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
}

fn push() -> Push {
    let items = vec![Change { doc: team(), chunk: vec![0x85, 0x6f, 0x4a, 0x83].into() }];
    Push { number: 1, scope: unit("2022/00001"), items, carried: None }
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        proof: Proof::Ticket(TicketProof::from_bytes(&TICKET)),
        epoch: Some(Epoch(0x0102_0304_0506_0708)),
        interests: vec![Interest {
            unit: unit("2022/00001"),
            cursor: Sequence(300),
            digest: Digest(0x1112_1314_1516_1718),
        }],
        live: true,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

#[test]
fn hello_with_a_ticket() {
    pin(
        &Frame::Hello(hello()),
        "00960101c41c14069429150abcbf244c4c2fb2c4c46a49c93ca9457263ecd9ebb176cf0102030405060708919301cd012ccf1112131415161718c3",
    );
}

#[test]
fn hello_on_first_contact() {
    let proof = Proof::Token { token: vec![1, 2], at: AT, nonce: vec![3; 8], signature: vec![4; 64] };
    let interests = vec![Interest { unit: unit("2025/01"), cursor: Sequence::ZERO, digest: Digest::default() }];
    pin(
        &Frame::Hello(Hello { proof, epoch: None, interests, live: false, ..hello() }),
        "0095010194c4020102cf0000018353425680c4080303030303030303c44004040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404c09191d2fffe4e66",
    );
}

#[test]
fn hello_with_a_push() {
    pin(
        &Frame::Hello(Hello { interests: Vec::new(), push: Some(push()), ..hello() }),
        "00970101c41c14069429150abcbf244c4c2fb2c4c46a49c93ca9457263ecd9ebb176cf010203040506070890c39301019192c40c740102030405060708090a0bc404856f4a83",
    );
}

#[test]
fn hello_of_a_device_that_waits_for_a_decision() {
    pin(
        &Frame::Hello(Hello { interests: Vec::new(), heard: Some(9), ..hello() }),
        "00980101c41c14069429150abcbf244c4c2fb2c4c46a49c93ca9457263ecd9ebb176cf010203040506070890c3c009",
    );
}

#[test]
fn hello_and_next_on_a_link_that_breaks() {
    let slow = Hello { interests: Vec::new(), page_bytes: Some(1_024), receipt: Some(Sequence(9)), ..hello() };
    pin(
        &Frame::Hello(slow),
        "009a0101c41c14069429150abcbf244c4c2fb2c4c46a49c93ca9457263ecd9ebb176cf010203040506070890c3c0c0cd040009",
    );
    pin(&Frame::Next(Next { page_bytes: Some(300) }), "009211cd012c");
    pin(&Frame::Next(Next { page_bytes: None }), "009111");
}

#[test]
fn welcome_to_a_ticket() {
    let proof = WelcomeProof::Ticket([0xee; 8]);
    let welcome = Welcome { epoch: None, at: AT, proof, pending: 0 };
    pin(&Frame::Welcome(welcome.clone()), "009402c0ce6327bf10cfeeeeeeeeeeeeeeee");
    pin(
        &Frame::Welcome(Welcome { epoch: Some(Epoch(9)), pending: 61, ..welcome }),
        "00950209ce6327bf10cfeeeeeeeeeeeeeeee3d",
    );
}

#[test]
fn welcome_to_a_token() {
    let ticket = Some(Ticket { secret: TicketSecret([0xbb; 32]), expires_at: AT });
    let proof = RootProof { root: [0xcc; 32], signature: [0xdd; 64], token_ends: AT, ticket, token: vec![1, 2] };
    let welcome = |proof| {
        let proof = WelcomeProof::Root(Box::new(proof));
        Frame::Welcome(Welcome { epoch: Some(Epoch(9)), at: AT, proof, pending: 0 })
    };
    let (key, signature, secret) = ("cc".repeat(32), "dd".repeat(64), "bb".repeat(32));
    let head = "00940209ce6327bf10";
    let proved = format!("c420{key}c440{signature}cf0000018353425680");
    pin(&welcome(proof.clone()), &format!("{head}95{proved}92c420{secret}ce6327bf10c4020102"));
    pin(&welcome(RootProof { ticket: None, token: Vec::new(), ..proof }), &format!("{head}93{proved}"));
}

#[test]
fn challenge() {
    let challenge = |reason| Frame::Challenge(Challenge { at: AT, nonce: vec![7; 8], reason });
    pin(&challenge(ChallengeReason::Ticket), "009403cf0000018353425680c408070707070707070700");
    pin(&challenge(ChallengeReason::Clock), "009403cf0000018353425680c408070707070707070701");
    pin(&challenge(ChallengeReason::Used), "009403cf0000018353425680c408070707070707070702");
}

#[test]
fn push_of_an_own_and_of_a_carried_change() {
    pin(&Frame::Push(push()), "00940401019192c40c740102030405060708090a0bc404856f4a83");
    let carried = Some(Carried { author: AuthorId([0xdd; 8]), signature: vec![4; 64] });
    // The document was made for another commune: its id travels whole.
    pin(
        &Frame::Push(Push { scope: unit("2025/00004"), carried, ..push() }),
        "00950401fb9192c4107427b1e7110102030405060708090a0bc404856f4a8392c408ddddddddddddddddc44004040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404",
    );
}

#[test]
fn ack() {
    pin(&Frame::Ack(Ack { number: 2, through: Sequence(70_000), settled: false }), "00930502ce00011170");
    pin(&Frame::Ack(Ack { number: 2, through: Sequence(70_000), settled: true }), "00940502ce00011170c3");
}

#[test]
fn nack() {
    let of = |code| Nack { number: 3, item: None, code, detail: String::new(), retry_after_s: None };
    pin(&Frame::Nack(of(NackCode::Unavailable)), "0093060306");
    pin(&Frame::Nack(Nack { item: Some(0), detail: "x".to_owned(), ..of(NackCode::OutOfScope) }), "009506030000a178");
    let over_quota = Nack { item: Some(7), detail: "x".to_owned(), ..of(NackCode::OverQuota) };
    pin(&Frame::Nack(Nack { retry_after_s: Some(10_800), ..over_quota }), "009606030907a178cd2a30");
    let numbers: Vec<u8> = NackCode::ALL.iter().map(|code| encode_plain(&Frame::Nack(of(*code)))[4]).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn delta() {
    let items = vec![
        DeltaItem::Change(Change { doc: team(), chunk: vec![1, 2, 3].into() }),
        DeltaItem::Snapshot(team(), vec![4, 5]),
    ];
    let returned = vec![DeltaItem::Returned(Change { doc: team(), chunk: vec![1, 2, 3].into() }, AuthorId([7; 8]))];
    let groups = vec![DeltaGroup { scope: unit("2022/00001"), items }];
    pin(
        &Frame::Delta(Delta { unit: unit("2022/01"), groups, next: Sequence(5), more: true }),
        "009507ce0001b199059192019292c40c740102030405060708090a0bc40301020393c40c740102030405060708090a0bc402040501c3",
    );
    let erased = vec![DeltaItem::Erased(team(), ChangeHash([6; 32]))];
    let groups = vec![DeltaGroup { scope: unit("2022/00001"), items: erased }];
    pin(
        &Frame::Delta(Delta { unit: unit("2022/00001"), groups, next: Sequence(5), more: false }),
        &format!("0094070105919201919{}c420{}02", "3c40c740102030405060708090a0b", "06".repeat(32)),
    );
    pin(
        &Frame::Delta(Delta { unit: unit("2022/001"), groups: Vec::new(), next: Sequence(5), more: false }),
        "009307ce0001adb105",
    );
    let groups = vec![DeltaGroup { scope: unit("2022/00001"), items: returned }];
    pin(
        &Frame::Delta(Delta { unit: unit("2022/00001"), groups, next: Sequence(5), more: false }),
        "00940701059192019194c40c740102030405060708090a0bc40301020300c4080707070707070707",
    );
}

#[test]
fn receipt() {
    let totals = vec![UnitTotals { unit: unit("2022/00001"), teams: 10, members: 50 }];
    pin(
        &Frame::Receipt(Receipt { as_of: Sequence(70_000), at: AT, totals }),
        "009408ce00011170cf00000183534256809193010a32",
    );
}

#[test]
fn purge_and_erased() {
    pin(
        &Frame::Purge(Purge { scopes: vec![unit("2022/00001"), unit("2025/00")], docs: Vec::new() }),
        "0092099201d2fffe4e67",
    );
    pin(
        &Frame::Purge(Purge { scopes: Vec::new(), docs: vec![team()] }),
        "0093099091c4107427b1e7110102030405060708090a0b",
    );
    pin(&Frame::Erased(Erased { docs: vec![team()] }), "00920a91c4107427b1e7110102030405060708090a0b");
}

#[test]
fn retry_after_and_goodbye() {
    pin(&Frame::RetryAfter(RetryAfter { delay_ms: 30_000 }), "00920bcd7530");
    pin(&Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: String::new() }), "00920c00");
    pin(&Frame::Goodbye(Goodbye { code: GoodbyeCode::Internal, detail: "x".to_owned() }), "00930c08a178");
    let numbers: Vec<u8> = GoodbyeCode::ALL
        .iter()
        .map(|code| encode_plain(&Frame::Goodbye(Goodbye { code: *code, detail: String::new() }))[3])
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn reconcile_and_want() {
    let reconcile = |message| Frame::Reconcile(Reconcile { unit: unit("2022/00001"), as_of: Sequence(300), message });
    pin(&reconcile(Vec::new()), "00930d01cd012c");
    pin(&reconcile(vec![0x61, 0]), "00940d01cd012cc4026100");
    let want = |keys, last| Frame::Want(Want { unit: unit("2022/00001"), as_of: Sequence(300), keys, last });
    pin(
        &want(vec![ChunkKey([7; 32])], false),
        "00940e01cd012c91c4200707070707070707070707070707070707070707070707070707070707070707",
    );
    pin(&want(Vec::new(), true), "00950e01cd012c90c3");
}

#[test]
fn reviewed_and_moved() {
    let decision =
        |accepted, note: &str| Decision { doc: team(), hash: ChangeHash([8; 32]), accepted, note: note.to_owned() };
    let decisions = vec![decision(true, ""), decision(false, "x")];
    pin(
        &Frame::Reviewed(Reviewed { number: 2, decisions }),
        "00930f029293c4107427b1e7110102030405060708090a0bc4200808080808080808080808080808080808080808080808080808080808080808c394c4107427b1e7110102030405060708090a0bc4200808080808080808080808080808080808080808080808080808080808080808c2a178",
    );
    pin(&Frame::Reviewed(Reviewed { number: 2, decisions: Vec::new() }), "00920f02");
    pin(
        &Frame::Moved(Moved { unit: unit("2025/00004"), role: "recorder".to_owned(), token: vec![1, 2] }),
        "009410fba87265636f72646572c4020102",
    );
}

#[test]
fn token() {
    let token = "AJYBAcQcFAaUKRUKvL8kTEwvssTEaknJPKlFcmPs2euxds8BAgMEBQYHCJGTAc0BLM8REhMUFRYXGMM";
    assert_eq!(hello_token(&hello()), token);
    assert_eq!(hello_from_token(token), Ok(hello()));
}

#[test]
fn stream() {
    let frames = [
        Frame::Ack(Ack { number: 1, through: Sequence(2), settled: false }),
        Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: String::new() }),
    ];
    let bytes = encode_stream(&frames);
    assert_eq!(HEXLOWER.encode(&bytes), "0000000500930501020000000400920c00");
    assert_eq!(decode_stream(&bytes, 2).expect("decodes"), frames);
}

/// A peer of the next version adds fields at the end, of the frame and of what is nested in it.
#[test]
fn fields_of_a_later_version_are_passed_over() {
    let ack = "00 95 05 02 03 c0 82 01 91 02 a1 78 d4 01 02";
    let bytes = HEXLOWER.decode(ack.replace(' ', "").as_bytes()).expect("hex");
    assert_eq!(decode(&bytes), Ok(Frame::Ack(Ack { number: 2, through: Sequence(3), settled: false })));
    let receipt = "00 94 08 05 06 91 94 01 0a 32 c3";
    let bytes = HEXLOWER.decode(receipt.replace(' ', "").as_bytes()).expect("hex");
    let totals = vec![UnitTotals { unit: unit("2022/00001"), teams: 10, members: 50 }];
    assert_eq!(decode(&bytes), Ok(Frame::Receipt(Receipt { as_of: Sequence(5), at: TimestampMs(6), totals })));
}

/// Older phones took a page, a refusal or an end that they could not read for a broken server, and asked for it for ever.
#[test]
fn what_a_later_version_says_is_kept_as_its_number_or_passed_over() {
    let read = |text: &str| decode(&HEXLOWER.decode(text.as_bytes()).expect("hex"));
    let nack = |code| Frame::Nack(Nack { retry_after_s: None, number: 3, item: None, code, detail: String::new() });
    assert_eq!(read("009306034d"), Ok(nack(NackCode::Unknown(77))));
    pin(&nack(NackCode::Unknown(77)), "009306034d");
    assert!(!NackCode::Unknown(127).is_temporary() && NackCode::Unknown(128).is_temporary());
    let code = GoodbyeCode::Unknown(200);
    assert_eq!(read("00920cccc8"), Ok(Frame::Goodbye(Goodbye { code, detail: String::new() })));
}

/// A peer that writes defaults out (nil or the value) means the same.
#[test]
fn defaults_may_be_written_out() {
    let bytes = HEXLOWER.decode(b"00930ca00000").expect("hex");
    assert!(decode(&bytes).is_err(), "a text where a code belongs");
    let bytes = HEXLOWER.decode(b"00930c00a0").expect("hex");
    assert_eq!(decode(&bytes), Ok(Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: String::new() })));
}
