//! Every limit of the protocol, at the limit and one past it.

use toso_core::change::Change;
use toso_core::id::{ChangeHash, ChunkKey, Digest, DocId, DocKind, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_wire::limits::{
    DECISIONS_MAX, DELTA_ITEMS_MAX, DETAIL_BYTES_MAX, DOCS_MAX, FRAME_BYTES_MAX, FRAME_INFLATED_BYTES_MAX,
    HELLO_PUSH_BYTES_MAX, HELLO_TOKEN_CHARS_MAX, INTERESTS_MAX, NONCE_BYTES_MAX, PURGE_SCOPES_MAX, PUSH_BYTES_MAX,
    PUSH_ITEMS_MAX, RECEIPT_TOTALS_MAX, RECONCILE_BYTES_MAX, ROLE_BYTES_MAX, SIGNATURE_BYTES_MAX, TOKEN_BYTES_MAX,
    WANT_KEYS_MAX,
};
use toso_wire::{
    Carried, Challenge, ChallengeReason, Decision, DecodeError, Delta, DeltaGroup, DeltaItem, Erased, Frame, Goodbye,
    GoodbyeCode, Hello, Interest, Moved, Nack, NackCode, Proof, Purge, Push, Receipt, Reconcile, Reviewed, RootProof,
    TicketProof, UnitTotals, Want, Welcome, WelcomeProof, decode, decode_stream, encode, encode_plain, encode_stream,
    hello_from_token, hello_token,
};

fn unit() -> UnitRef {
    "2022/00001".parse().expect("a unit")
}

fn doc(number: usize) -> DocId {
    let [a, b, c, d, ..] = number.to_le_bytes();
    DocId::new(DocKind::Member, unit(), [a, b, c, d, 0, 0, 0, 0, 0, 0, 0])
}

/// `make(max)` decodes, `make(max + 1)` is refused with just these numbers.
#[track_caller]
fn limited(max: usize, refused_at: impl Fn(&DecodeError) -> Option<(usize, usize)>, make: impl Fn(usize) -> Frame) {
    assert_eq!(decode(&encode(&make(max))), Ok(make(max)));
    for bytes in [encode(&make(max + 1)), encode_plain(&make(max + 1))] {
        let error = decode(&bytes).expect_err("over the limit");
        assert_eq!(refused_at(&error), Some((max + 1, max)), "{error}");
    }
}

fn count(error: &DecodeError) -> Option<(usize, usize)> {
    if let DecodeError::Limit { count, max, .. } = error { Some((*count, *max)) } else { None }
}

fn size(error: &DecodeError) -> Option<(usize, usize)> {
    if let DecodeError::TooLarge { bytes, max, .. } = error { Some((*bytes, *max)) } else { None }
}

fn hello(proof: Proof, interests: usize) -> Hello {
    let interest = Interest { unit: unit(), cursor: Sequence(u64::MAX), digest: Digest(u64::MAX) };
    Hello {
        protocol: 1,
        proof,
        epoch: None,
        interests: vec![interest; interests],
        live: false,
        push: None,
        heard: None,
        page_bytes: None,
        receipt: None,
    }
}

fn push(items: usize, change_bytes: usize) -> Push {
    let items = (0..items).map(|number| Change { doc: doc(number), chunk: vec![7; change_bytes].into() }).collect();
    Push { number: 1, scope: unit(), items, carried: None }
}

#[test]
fn hello_parts() {
    limited(INTERESTS_MAX, count, |max| Frame::Hello(hello(Proof::Ticket(TicketProof::from_bytes(&[1; 28])), max)));
    let token = |token, nonce, signature| {
        let proof = Proof::Token {
            token: vec![1; token],
            at: TimestampMs(1),
            nonce: vec![2; nonce],
            signature: vec![3; signature],
        };
        Frame::Hello(hello(proof, 0))
    };
    limited(TOKEN_BYTES_MAX, size, |max| token(max, 8, 64));
    limited(NONCE_BYTES_MAX, size, |max| token(1, max, 64));
    limited(SIGNATURE_BYTES_MAX, size, |max| token(1, 8, max));
}

#[test]
fn welcome_and_challenge_parts() {
    limited(TOKEN_BYTES_MAX, size, |max| {
        let (root, signature, token_ends) = ([1; 32], [2; 64], TimestampMs(3));
        let proof = RootProof { root, signature, token_ends, ticket: None, token: vec![4; max] };
        let proof = WelcomeProof::Root(Box::new(proof));
        Frame::Welcome(Welcome { epoch: None, at: TimestampMs(1_000), proof, pending: 0 })
    });
    limited(NONCE_BYTES_MAX, size, |max| {
        Frame::Challenge(Challenge { at: TimestampMs(1), nonce: vec![1; max], reason: ChallengeReason::Clock })
    });
}

#[test]
fn push_parts() {
    limited(PUSH_ITEMS_MAX, count, |max| Frame::Push(push(max, 10)));
    limited(SIGNATURE_BYTES_MAX, size, |max| {
        let carried = Carried { author: toso_core::id::AuthorId([1; 8]), signature: vec![2; max] };
        Frame::Push(Push { carried: Some(carried), ..push(1, 10) })
    });
    // Bytes count over all changes, and a single change may be larger.
    limited(PUSH_BYTES_MAX, count, |max| {
        let mut push = push(2, max / 2);
        push.items[1].chunk = vec![7; max - max / 2].into();
        Frame::Push(push)
    });
    let single = Frame::Push(push(1, toso_core::chunk::CHANGE_BYTES_MAX));
    assert_eq!(decode(&encode_plain(&single)), Ok(single));
}

#[test]
fn delta_items_count_over_all_groups() {
    limited(DELTA_ITEMS_MAX, count_of_last_group, |max| {
        let items = |numbers: std::ops::Range<usize>| DeltaGroup {
            scope: unit(),
            items: numbers
                .map(|number| DeltaItem::Change(Change { doc: doc(number), chunk: vec![1; 4].into() }))
                .collect(),
        };
        let groups = vec![items(0..1000), items(1000..max)];
        Frame::Delta(Delta { unit: unit(), groups, next: Sequence(1), more: false })
    });
}

/// The limit of the second group is what the first left over.
fn count_of_last_group(error: &DecodeError) -> Option<(usize, usize)> {
    count(error).map(|(count, max)| (count + 1000, max + 1000))
}

#[test]
fn receipt_purge_and_erased_parts() {
    limited(RECEIPT_TOTALS_MAX, count, |max| {
        let totals = vec![UnitTotals { unit: unit(), teams: 1, members: 2 }; max];
        Frame::Receipt(Receipt { as_of: Sequence(1), at: TimestampMs(1), totals })
    });
    limited(PURGE_SCOPES_MAX, count, |max| Frame::Purge(Purge { scopes: vec![unit(); max], docs: Vec::new() }));
    limited(DOCS_MAX, count, |max| Frame::Purge(Purge { scopes: Vec::new(), docs: (0..max).map(doc).collect() }));
    limited(DOCS_MAX, count, |max| Frame::Erased(Erased { docs: (0..max).map(doc).collect() }));
}

#[test]
fn parts_of_the_frames_that_put_things_right() {
    limited(RECONCILE_BYTES_MAX, size, |max| {
        Frame::Reconcile(Reconcile { unit: unit(), as_of: Sequence(1), message: vec![1; max] })
    });
    limited(WANT_KEYS_MAX, count, |max| {
        Frame::Want(Want { unit: unit(), as_of: Sequence(1), keys: vec![ChunkKey([1; 32]); max], last: true })
    });
    let decision =
        |note: usize| Decision { doc: doc(1), hash: ChangeHash([1; 32]), accepted: true, note: "x".repeat(note) };
    limited(DECISIONS_MAX, count, |max| {
        Frame::Reviewed(Reviewed { number: 1, decisions: vec![decision(DETAIL_BYTES_MAX); max] })
    });
    limited(DETAIL_BYTES_MAX, size, |max| Frame::Reviewed(Reviewed { number: 1, decisions: vec![decision(max)] }));
    limited(ROLE_BYTES_MAX, size, |max| Frame::Moved(Moved { unit: unit(), role: "x".repeat(max), token: vec![1] }));
    limited(TOKEN_BYTES_MAX, size, |max| {
        Frame::Moved(Moved { unit: unit(), role: String::new(), token: vec![1; max] })
    });
}

#[test]
fn details() {
    limited(DETAIL_BYTES_MAX, size, |max| {
        Frame::Nack(Nack { number: 1, item: None, code: NackCode::Held, detail: "x".repeat(max), retry_after_s: None })
    });
    limited(DETAIL_BYTES_MAX, size, |max| Frame::Goodbye(Goodbye { code: GoodbyeCode::Done, detail: "x".repeat(max) }));
}

#[test]
fn frame_bytes() {
    // Whatever is inside: at the limit the content is looked at, one past it nothing is.
    let at_limit = vec![0xc1; FRAME_BYTES_MAX];
    assert!(matches!(decode(&at_limit), Err(DecodeError::UnknownForm { form: 0xc1 })));
    let past = vec![0xc1; FRAME_BYTES_MAX + 1];
    assert_eq!(decode(&past).as_ref().map_err(size), Err(Some((FRAME_BYTES_MAX + 1, FRAME_BYTES_MAX))));
}

#[test]
fn inflated_bytes() {
    // A frame of the largest size that inflates, and one that is a byte larger: only a frame that is sent plain could
    // be, and is over the limit of frames then.
    let delta = |bytes| {
        let items = vec![DeltaItem::Change(Change { doc: doc(0), chunk: vec![7; bytes].into() })];
        let groups = vec![DeltaGroup { scope: unit(), items }];
        Frame::Delta(Delta { unit: unit(), groups, next: Sequence(1), more: false })
    };
    let envelope = encode_plain(&delta(100_000)).len() - 1 - 100_000;
    let at_limit = delta(FRAME_INFLATED_BYTES_MAX - envelope);
    assert!(encode(&at_limit).len() < 200);
    assert_eq!(decode(&encode(&at_limit)), Ok(at_limit));
    let past = delta(FRAME_INFLATED_BYTES_MAX - envelope + 1);
    assert_eq!(encode(&past).len(), FRAME_INFLATED_BYTES_MAX + 2);
    assert!(matches!(decode(&encode(&past)), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn token_chars() {
    let past = "A".repeat(HELLO_TOKEN_CHARS_MAX + 1);
    assert_eq!(
        hello_from_token(&past).as_ref().map_err(size),
        Err(Some((HELLO_TOKEN_CHARS_MAX + 1, HELLO_TOKEN_CHARS_MAX)))
    );
    let at_limit = "A".repeat(HELLO_TOKEN_CHARS_MAX);
    assert!(!matches!(hello_from_token(&at_limit), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn the_largest_hello_of_all_fits_into_its_token() {
    let noise = |bytes: usize, seed: u64| -> Vec<u8> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(bytes)
        .collect()
    };
    let proof = Proof::Token {
        token: noise(TOKEN_BYTES_MAX, 1),
        at: TimestampMs(u64::MAX),
        nonce: noise(NONCE_BYTES_MAX, 2),
        signature: noise(SIGNATURE_BYTES_MAX, 3),
    };
    let mut hello =
        Hello { epoch: Some(Epoch(u64::MAX)), live: true, heard: Some(u64::MAX), ..hello(proof, INTERESTS_MAX) };
    let change = noise(HELLO_PUSH_BYTES_MAX - 40, 4);
    hello.push = Some(Push { items: vec![Change { doc: doc(0), chunk: change.into() }], ..push(0, 0) });
    assert!(toso_wire::encoded_push_len(hello.push.as_ref().expect("set")) <= HELLO_PUSH_BYTES_MAX);
    let token = hello_token(&hello);
    assert!(token.len() <= HELLO_TOKEN_CHARS_MAX, "{} characters", token.len());
    assert_eq!(hello_from_token(&token), Ok(hello));
}

#[test]
fn streams() {
    let frame = Frame::Erased(Erased { docs: Vec::new() });
    let three = encode_stream(&[frame.clone(), frame.clone(), frame.clone()]);
    assert_eq!(decode_stream(&three, 3), Ok(vec![frame.clone(), frame.clone(), frame]));
    assert_eq!(decode_stream(&three, 2).as_ref().map_err(count), Err(Some((3, 2))));
    assert_eq!(decode_stream(&[], 0), Ok(Vec::new()));
    let room = 4 + FRAME_BYTES_MAX;
    assert!(matches!(decode_stream(&vec![0; room], 1), Err(DecodeError::Truncated { .. })));
    assert_eq!(decode_stream(&vec![0; room + 1], 1).as_ref().map_err(size), Err(Some((room + 1, room))));
    let lying = [&u32::MAX.to_be_bytes()[..], &[0; 8]].concat();
    assert!(matches!(decode_stream(&lying, 4), Err(DecodeError::TooLarge { .. })));
}
