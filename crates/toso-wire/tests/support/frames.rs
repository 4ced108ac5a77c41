//! Strategies for arbitrary frames, shared by the property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use toso_core::change::Change;
use toso_core::id::{AuthorId, ChangeHash, ChunkKey, Digest, DocId, Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_core::unit::{Scope, UnitList, UnitRef};
use toso_wire::{
    Ack, Carried, Challenge, ChallengeReason, Decision, Delta, DeltaGroup, DeltaItem, Erased, Frame, Goodbye,
    GoodbyeCode, Hello, Interest, Moved, Nack, NackCode, Next, Proof, Purge, Push, Receipt, Reconcile, RetryAfter,
    Reviewed, RootProof, Ticket, TicketProof, TicketSecret, UnitTotals, Want, Welcome, WelcomeProof,
};

/// A frame of any type.
pub(crate) fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        any_hello().prop_map(Frame::Hello),
        any_welcome().prop_map(Frame::Welcome),
        (any::<u64>(), vec(any::<u8>(), 0..=32), select(&ChallengeReason::ALL[..]))
            .prop_map(|(at, nonce, reason)| Frame::Challenge(Challenge { at: TimestampMs(at), nonce, reason })),
        any_push().prop_map(Frame::Push),
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(number, through, settled)| Frame::Ack(Ack {
            number,
            through: Sequence(through),
            settled
        })),
        (any::<u64>(), option::of(any::<u32>()), select(&NackCode::ALL[..]), "\\PC{0,75}", option::of(any::<u32>()))
            .prop_map(|(number, item, code, detail, retry_after_s)| {
                Frame::Nack(Nack { number, item, code, detail, retry_after_s })
            }),
        any_delta().prop_map(Frame::Delta),
        any_receipt().prop_map(Frame::Receipt),
        (vec(any_unit(), 0..6), vec(any_doc(), 0..6)).prop_map(|(scopes, docs)| Frame::Purge(Purge { scopes, docs })),
        vec(any_doc(), 0..6).prop_map(|docs| Frame::Erased(Erased { docs })),
        any::<u64>().prop_map(|delay_ms| Frame::RetryAfter(RetryAfter { delay_ms })),
        (select(&GoodbyeCode::ALL[..]), "\\PC{0,75}")
            .prop_map(|(code, detail)| Frame::Goodbye(Goodbye { code, detail })),
        (any_unit(), any::<u64>(), vec(any::<u8>(), 0..300))
            .prop_map(|(unit, as_of, message)| Frame::Reconcile(Reconcile { unit, as_of: Sequence(as_of), message })),
        (any_unit(), any::<u64>(), vec(any::<[u8; 32]>().prop_map(ChunkKey), 0..6), any::<bool>())
            .prop_map(|(unit, as_of, keys, last)| Frame::Want(Want { unit, as_of: Sequence(as_of), keys, last })),
        (any::<u64>(), vec(any_decision(), 0..6))
            .prop_map(|(number, decisions)| Frame::Reviewed(Reviewed { number, decisions })),
        (any_unit(), "[a-z]{0,32}", vec(any::<u8>(), 0..300)).prop_map(|(unit, role, token)| Frame::Moved(Moved {
            unit,
            role,
            token
        })),
        option::of(any::<u32>()).prop_map(|page_bytes| Frame::Next(Next { page_bytes })),
    ]
}

fn any_decision() -> impl Strategy<Value = Decision> {
    (any_doc(), any::<[u8; 32]>(), any::<bool>(), "\\PC{0,75}").prop_map(|(doc, hash, accepted, note)| Decision {
        doc,
        hash: ChangeHash(hash),
        accepted,
        note,
    })
}

/// A HELLO whose token keeps within the limit.
pub(crate) fn any_hello() -> impl Strategy<Value = Hello> {
    let proof = prop_oneof![
        any::<[u8; 28]>().prop_map(|shown| Proof::Ticket(TicketProof::from_bytes(&shown))),
        (vec(any::<u8>(), 0..=900), any::<u64>(), vec(any::<u8>(), 0..=32), vec(any::<u8>(), 0..=64))
            .prop_map(|(token, at, nonce, signature)| Proof::Token { token, at: TimestampMs(at), nonce, signature }),
    ];
    let interest = (any_unit(), any::<u64>(), any::<u64>()).prop_map(|(unit, cursor, digest)| Interest {
        unit,
        cursor: Sequence(cursor),
        digest: Digest(digest),
    });
    let rest = (option::of(any_push()), option::of(any::<u64>()), option::of(any::<u32>()), option::of(any::<u64>()));
    (any::<u8>(), proof, option::of(any::<u64>()), vec(interest, 0..=16), any::<bool>(), rest).prop_map(
        |(protocol, proof, epoch, interests, live, (push, heard, page_bytes, receipt))| Hello {
            protocol,
            proof,
            epoch: epoch.map(Epoch),
            interests,
            live,
            push,
            heard,
            page_bytes,
            receipt: receipt.map(Sequence),
        },
    )
}

fn any_welcome() -> impl Strategy<Value = Welcome> {
    let second = || (0..u64::MAX / 1000).prop_map(|seconds| TimestampMs(seconds * 1000));
    let ticket = (any::<[u8; 32]>(), second())
        .prop_map(|(secret, expires_at)| Ticket { secret: TicketSecret(secret), expires_at });
    let root = (
        any::<[u8; 32]>(),
        [any::<[u8; 32]>(), any::<[u8; 32]>()],
        any::<u64>(),
        option::of(ticket),
        vec(any::<u8>(), 0..=900),
    );
    let root = root.prop_map(|(root, halves, token_ends, ticket, token)| {
        let signature = halves.concat().try_into().expect("64 bytes");
        let proof = RootProof { root, signature, token_ends: TimestampMs(token_ends), ticket, token };
        WelcomeProof::Root(Box::new(proof))
    });
    let proof = prop_oneof![any::<[u8; 8]>().prop_map(WelcomeProof::Ticket), root];
    (option::of(any::<u64>()), second(), proof, any::<u64>()).prop_map(|(epoch, at, proof, pending)| Welcome {
        epoch: epoch.map(Epoch),
        at,
        proof,
        pending,
    })
}

fn any_push() -> impl Strategy<Value = Push> {
    let carried = (any::<[u8; 8]>(), vec(any::<u8>(), 0..=64))
        .prop_map(|(author, signature)| Carried { author: AuthorId(author), signature });
    (any::<u64>(), any_unit(), option::of(carried)).prop_flat_map(|(number, scope, carried)| {
        let item = (any_doc_near(scope), vec(any::<u8>(), 0..200))
            .prop_map(|(doc, change)| Change { doc, chunk: change.into() });
        vec(item, 0..6).prop_map(move |items| Push { number, scope, items, carried: carried.clone() })
    })
}

fn any_delta() -> impl Strategy<Value = Delta> {
    let group = any_unit().prop_flat_map(|scope| {
        let item = (any_doc_near(scope), vec(any::<u8>(), 0..200), any::<bool>(), option::of(any::<[u8; 8]>()));
        let item = item.prop_map(|(doc, bytes, folded, by)| match by {
            _ if folded => DeltaItem::Snapshot(doc, bytes),
            Some([0..64, ..]) => DeltaItem::Erased(doc, ChangeHash([7; 32])),
            None => DeltaItem::Change(Change { doc, chunk: bytes.into() }),
            Some(by) => DeltaItem::Returned(Change { doc, chunk: bytes.into() }, AuthorId(by)),
        });
        vec(item, 0..6).prop_map(move |items| DeltaGroup { scope, items })
    });
    (any_unit(), vec(group, 0..4), any::<u64>(), any::<bool>()).prop_map(|(unit, groups, next, more)| Delta {
        unit,
        groups,
        next: Sequence(next),
        more,
    })
}

fn any_receipt() -> impl Strategy<Value = Receipt> {
    let totals =
        (any_unit(), any::<u64>(), any::<u64>()).prop_map(|(unit, teams, members)| UnitTotals { unit, teams, members });
    (any::<u64>(), any::<u64>(), vec(totals, 0..=16)).prop_map(|(as_of, at, totals)| Receipt {
        as_of: Sequence(as_of),
        at: TimestampMs(at),
        totals,
    })
}

fn any_unit() -> impl Strategy<Value = UnitRef> {
    (select(&UnitList::ALL[..]), "[0-9]{2,5}").prop_map(|(list, code)| UnitRef::new(list, &code).expect("a code"))
}

fn any_doc() -> impl Strategy<Value = DocId> {
    any_unit().prop_flat_map(any_doc_near)
}

/// A document of the scope, or now and then of another.
fn any_doc_near(scope: Scope) -> impl Strategy<Value = DocId> {
    let scope = prop_oneof![4 => Just(scope), 1 => any_unit()];
    // Of the kinds that are known, and of any that may come.
    (b'a'..=b'z', scope, any::<[u8; 11]>())
        .prop_map(|(letter, scope, unique)| DocId::from_parts(letter, scope, unique).expect("a small letter"))
}
