//! What phones give each other, and everything that a dishonest one may try: parcels changed by an insider, bundles cut or
//! changed, a peer that says anything, somebody in the middle.

#![allow(clippy::similar_names, reason = "a caller and the called are what they are called")]

use std::sync::Arc;

use crate::replica::Work;
use ed25519_dalek::{Signer as _, SigningKey};
use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::{DocId, Epoch, Sequence, ServerId};
use toso_core::text::PlaceName;
use toso_core::time::TimestampMs;
use toso_core::unit::UnitRef;
use toso_store::ChunkStore;
use toso_store::memory::MemoryChunkStore;
use toso_sync::OutboxBatch;
use toso_sync::client::Commit;
use toso_wire::DeviceCard;

use super::bundle::{open, seal};
use super::keep::{CARRY_PARCELS_MAX, Index};
use super::noise::handshake;
use super::*;
use crate::credential::Credential;
use crate::replica::{Receipt, Replica, TeamDraft};
use crate::testing::now;

fn unit(text: &str) -> UnitRef {
    text.parse().unwrap()
}

fn commune() -> UnitRef {
    unit("2022/00001")
}

/// A server's root key.
fn root(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn server(seed: u8) -> ServerId {
    ServerId::from_public_key(&root(seed).verifying_key().to_bytes())
}

fn card(seed: u8, key: [u8; 32], unit: UnitRef, role: &str) -> DeviceCard {
    let root = root(seed);
    let mut card =
        DeviceCard { root: root.verifying_key().to_bytes(), key, unit, role: role.to_owned(), signature: [0; 64] };
    card.signature = root.sign(&card.signed()).to_bytes();
    card
}

fn bundle_key(unit: UnitRef, generation: u32) -> BundleKey {
    let key = blake3::derive_key("test", &[unit.to_key().as_slice(), &generation.to_be_bytes()].concat());
    BundleKey { unit, generation, key }
}

/// An enrolled phone at the server of a seed.
fn phone_at(seed: u8, unit: UnitRef, role: &str) -> Replica {
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryChunkStore::new());
    let credential = Credential {
        server_url: "http://127.0.0.1:9".to_owned(),
        server_id: server(seed),
        token: vec![1],
        unit,
        role: role.to_owned(),
        token_ends: None,
        reach: crate::Reach::default(),
    };
    credential.keep(store.as_ref()).unwrap();
    let replica = Replica::open(Arc::clone(&store), &crate::testing::options()).unwrap();
    let card = card(seed, replica.device().public_key(), unit, role);
    CarryPass { card, keys: vec![bundle_key(unit, 0)] }.keep(store.as_ref(), now()).unwrap();
    replica
}

fn phone() -> Replica {
    phone_at(1, commune(), "recorder")
}

fn record(replica: &Replica, hamlet: &str) -> DocId {
    let hamlet = Some(PlaceName::parse(hamlet).unwrap());
    replica.add_team(TeamDraft { hamlet, ..TeamDraft::default() }).unwrap()
}

fn pass(replica: &Replica) -> CarryPass {
    CarryPass::load(replica.store()).unwrap()
}

/// What a phone would give, opened again.
fn cargo_of(replica: &Replica) -> Handover {
    let (bytes, _) = replica.make_bundle(None).unwrap();
    open(&pass(replica), server(1), commune(), &bytes).unwrap().handover
}

/// The server acknowledges a batch.
fn acknowledge(replica: &Replica, batch: &OutboxBatch) {
    let effect = Work::Commit(Commit::Ack { accepted: batch.items.clone(), through: Sequence(9), settled: None });
    replica.perform(&replica.credential().unwrap(), effect).unwrap();
}

/// The replica has had a session with the server in this epoch.
fn met_server(replica: &Replica, epoch: Epoch) {
    let effect = Work::Commit(Commit::KeepSession { epoch: Some(epoch), root: None, at: TimestampMs(1), asked: None });
    replica.perform(&replica.credential().unwrap(), effect).unwrap();
}

#[test]
fn an_insider_can_change_nothing_in_what_another_signed() {
    let (author, insider, taker) = (phone(), phone(), phone());
    record(&author, "Thôn 1");
    record(&author, "Thôn 2");
    record(&insider, "Thôn 3");
    let (good, own) = (cargo_of(&author).parcels.remove(0), cargo_of(&insider).parcels.remove(0));
    let changed = |change: &dyn Fn(&mut Parcel)| {
        let mut parcel = good.clone();
        change(&mut parcel);
        parcel
    };
    let forgeries = [
        ("left out", changed(&|parcel| _ = parcel.items.pop())),
        ("reordered", changed(&|parcel| parcel.items.reverse())),
        ("added", changed(&|parcel| parcel.items.extend(own.items.clone()))),
        ("moved", changed(&|parcel| parcel.scope = unit("2022/00004"))),
        (
            "swapped documents",
            changed(&|parcel| {
                let doc = parcel.items[0].doc;
                parcel.items[0].doc = parcel.items[1].doc;
                parcel.items[1].doc = doc;
            }),
        ),
        ("own name", changed(&|parcel| parcel.card = own.card.clone())),
        ("own signature", changed(&|parcel| parcel.signature = own.signature)),
        ("a made-up role", changed(&|parcel| parcel.card.role = "officer".to_owned())),
        ("a made-up unit", changed(&|parcel| parcel.card.unit = unit("2022/00004"))),
        (
            "another server's card",
            changed(&|parcel| {
                parcel.card = card(2, parcel.card.key, commune(), "recorder");
            }),
        ),
        ("a viewer's", changed(&|parcel| parcel.card = card(1, parcel.card.key, commune(), "viewer"))),
        ("no change", changed(&|parcel| parcel.items[0].chunk = vec![0; 50].into())),
        ("empty", changed(&|parcel| parcel.items.clear())),
    ];
    for (what, parcel) in forgeries {
        // The insider holds the unit's key, so the bundle itself is perfect.
        let handover = Handover { parcels: vec![parcel], ..Handover::default() };
        let bytes = seal(insider.device(), &pass(&insider), server(1), commune(), &handover, [7; 24]).unwrap();
        let refused = taker.open_bundle(&bytes).expect_err(what);
        let expected = matches!(
            refused,
            CarryError::Forged(_)
                | CarryError::Refused(_)
                | CarryError::OutsideUnit { .. }
                | CarryError::OtherServer { .. }
        );
        assert!(expected, "{what}: {refused}");
        assert!(taker.store().documents().unwrap().is_empty(), "{what}: something was taken");
        assert_eq!(taker.carried_len().unwrap(), 0);
    }
    let handover = Handover { parcels: vec![good], ..Handover::default() };
    let bytes = seal(insider.device(), &pass(&insider), server(1), commune(), &handover, [7; 24]).unwrap();
    assert_eq!(taker.open_bundle(&bytes).unwrap().changes, 2, "the unchanged parcel is taken, from any carrier");
}

#[test]
fn a_bundle_opens_for_its_unit_server_and_key_only_and_whole() {
    let (author, taker) = (phone(), phone());
    record(&author, "Thôn 1");
    let (bytes, report) = author.make_bundle(None).unwrap();
    assert_eq!((report.parcels, report.left, report.bytes), (1, 0, bytes.len()));
    let neighbour = phone_at(1, unit("2022/00004"), "recorder");
    assert!(matches!(neighbour.open_bundle(&bytes), Err(CarryError::OutsideUnit { .. })));
    let stranger = phone_at(2, commune(), "recorder");
    assert!(matches!(stranger.open_bundle(&bytes), Err(CarryError::OtherServer { .. })));
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        taker.open_bundle(&changed).expect_err("a changed bundle");
        taker.open_bundle(&bytes[..index]).expect_err("a cut bundle");
    }
    assert!(taker.store().documents().unwrap().is_empty());
    let at_limit = taker.open_bundle(&vec![0; BUNDLE_BYTES_MAX]);
    assert!(matches!(at_limit, Err(CarryError::NotABundle)), "{at_limit:?}");
    let over = taker.open_bundle(&vec![0; BUNDLE_BYTES_MAX + 1]);
    assert!(matches!(over, Err(CarryError::TooLarge { .. })), "{over:?}");
}

#[test]
fn a_later_key_shuts_out_who_lacks_it_and_earlier_bundles_stay_readable() {
    let (author, taker) = (phone(), phone());
    record(&author, "Thôn 1");
    let (earlier, _) = author.make_bundle(None).unwrap();
    CarryPass { keys: vec![bundle_key(commune(), 1)], ..pass(&author) }.keep(author.store(), now()).unwrap();
    let (later, _) = author.make_bundle(None).unwrap();
    let refused = taker.open_bundle(&later).expect_err("another key");
    assert!(matches!(refused, CarryError::NewerKey { generation: 1, .. }), "{refused}");
    CarryPass { keys: vec![bundle_key(commune(), 1)], ..pass(&taker) }.keep(taker.store(), now()).unwrap();
    assert_eq!(taker.open_bundle(&later).unwrap().parcels, 1);
    assert_eq!(taker.open_bundle(&earlier).unwrap().known, 1);
}

/// What A signs first lies within what it signs later, so the carrier keeps one parcel and not two.
#[test]
fn a_larger_parcel_takes_the_place_of_the_smaller_one_within_it() {
    let (author, taker) = (phone(), phone());
    record(&author, "Thôn 1");
    let first = cargo_of(&author);
    record(&author, "Thôn 2");
    let second = cargo_of(&author);
    taker.take_handover(first).unwrap();
    taker.take_handover(second).unwrap();
    assert_eq!(taker.carried_len().unwrap(), 1);
    let (batch, carried) = taker.next_carried().unwrap().unwrap();
    assert_eq!((batch.items.len(), carried.author), (2, author.device().id().author()));
    assert!(taker.next_carried().unwrap().is_none(), "once in a session");
    taker.begin_carrying();
    assert!(taker.next_carried().unwrap().is_some(), "again in the next, until it is acknowledged");
    taker.begin_carrying();
    let (batch, _) = taker.next_carried().unwrap().unwrap();
    acknowledge(&taker, &batch);
    assert_eq!(taker.carried_len().unwrap(), 1, "without an epoch nothing counts as delivered");
    met_server(&taker, Epoch(3));
    acknowledge(&taker, &batch);
    assert_eq!(taker.carried_len().unwrap(), 0);
}

#[test]
fn a_receipt_of_another_epoch_is_not_believed_and_none_empties_the_outbox() {
    let (author, carrier) = (phone(), phone());
    let team = record(&author, "Thôn 1");
    carrier.take_handover(cargo_of(&author)).unwrap();
    met_server(&carrier, Epoch(3));
    let (batch, _) = carrier.next_carried().unwrap().unwrap();
    acknowledge(&carrier, &batch);
    let back = cargo_of(&carrier);
    assert_eq!((back.parcels.len(), back.receipts.len()), (0, 1));
    let elsewhere = CarriedReceipt { epoch: Epoch(4), ..back.receipts[0].clone() };
    assert_eq!(author.take_handover(back.clone()).unwrap().received, 1);
    assert_eq!(author.take_handover(back).unwrap().received, 0, "twice changes nothing");
    assert_eq!(author.store().outbox_len().unwrap(), 1);
    assert_eq!(author.team(team).unwrap().receipt, Receipt::Received);
    // An edit after it is unsent again.
    author.edit(team, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(4)))]).unwrap();
    assert_eq!(author.team(team).unwrap().receipt, Receipt::Saved);

    let met = phone();
    record(&met, "Thôn 1");
    met_server(&met, Epoch(3));
    let changes = cargo_of(&met).parcels[0].check(server(1)).unwrap().items;
    let changes = changes.iter().map(|item| (item.doc, item.hash())).collect();
    let foreign = Handover { receipts: vec![CarriedReceipt { changes, ..elsewhere }], ..Handover::default() };
    assert_eq!(met.take_handover(foreign).unwrap().received, 0);
}

#[test]
fn the_box_takes_its_last_parcel_and_no_more_until_one_is_delivered() {
    let taker = phone();
    let parcel = || {
        let author = phone();
        record(&author, "Thôn 1");
        cargo_of(&author)
    };
    for _ in 0..CARRY_PARCELS_MAX {
        taker.take_handover(parcel()).unwrap();
    }
    let refused = taker.take_handover(parcel()).expect_err("the box is full");
    assert!(matches!(refused, CarryError::BoxFull), "{refused}");
    met_server(&taker, Epoch(3));
    let (batch, _) = taker.next_carried().unwrap().unwrap();
    acknowledge(&taker, &batch);
    assert_eq!(taker.take_handover(parcel()).unwrap().parcels, 1, "what was delivered makes room");
    let index = Index::load(taker.store()).unwrap();
    assert_eq!(index.0.len(), CARRY_PARCELS_MAX);
    let largest = rmp_serde::to_vec(&index).unwrap().len();
    assert!(largest <= toso_store::chunk_store::SETTING_BYTES_MAX, "{largest}");
}

/// Runs two sessions against each other; the pipe gives `piece` bytes at a time, changed by `tamper`.
fn run(
    called: &Replica,
    caller: &Replica,
    piece: usize,
    mut tamper: impl FnMut(&mut Vec<u8>),
) -> Result<[PeerReport; 2], PeerError> {
    let replicas = [called, caller];
    let (one, first) = called.meet(Side::Called)?;
    let (other, second) = caller.meet(Side::Caller)?;
    let mut sessions = [one, other];
    let mut reports = [PeerReport::default(); 2];
    let mut ended = [false; 2];
    let mut pipes = [Vec::new(), Vec::new()];
    let mut waiting = vec![(0, first), (1, second)];
    loop {
        for (side, effects) in waiting.drain(..) {
            for effect in effects {
                match effect {
                    PeerEffect::Send(mut bytes) => {
                        tamper(&mut bytes);
                        pipes[1 - side].extend(bytes);
                    }
                    PeerEffect::Take(handover) => reports[side].taken.add(replicas[side].take_handover(handover)?),
                    PeerEffect::End => ended[side] = true,
                    PeerEffect::Met(_) => {}
                }
            }
        }
        let Some(side) = (0..2).find(|side| !pipes[*side].is_empty()) else { break };
        let length = piece.min(pipes[side].len());
        let bytes: Vec<u8> = pipes[side].drain(..length).collect();
        waiting.push((side, sessions[side].handle(&bytes)?));
    }
    for side in 0..2 {
        sessions[side].closed()?;
        assert!(ended[side]);
        reports[side].given = sessions[side].given();
    }
    Ok(reports)
}

#[test]
fn two_phones_give_each_other_what_is_lacking_however_the_pipe_cuts_it() {
    for piece in [1, 7, 1_000, usize::MAX] {
        let (a, b) = (phone(), phone());
        for number in 0..20 {
            record(&a, &format!("Thôn {number}"));
        }
        record(&b, "Thôn 99");
        let [of_a, of_b] = run(&a, &b, piece, |_| ()).unwrap();
        assert_eq!((of_a.given, of_a.taken.changes, of_b.given, of_b.taken.changes), (1, 1, 1, 20), "{piece}");
        assert_eq!(a.store().documents().unwrap(), b.store().documents().unwrap());
        let again = run(&b, &a, piece, |_| ()).unwrap();
        assert_eq!(again.map(|report| (report.given, report.taken.parcels)), [(0, 0); 2]);
    }
}

#[test]
fn peers_of_other_servers_and_units_are_turned_away() {
    let a = phone();
    record(&a, "Thôn 1");
    let stranger = phone_at(2, commune(), "recorder");
    let refused = run(&a, &stranger, 1_000, |_| ()).expect_err("another server's");
    assert!(matches!(refused, PeerError::Carry(CarryError::OtherServer { .. })), "{refused}");
    let neighbour = phone_at(1, unit("2022/00004"), "recorder");
    let refused = run(&neighbour, &a, 1_000, |_| ()).expect_err("another unit's");
    assert!(matches!(refused, PeerError::Carry(CarryError::OutsideUnit { .. })), "{refused}");
    assert!(neighbour.store().documents().unwrap().is_empty() && stranger.store().documents().unwrap().is_empty());
    // A district's officer shares the commune, and gives only what the commune's device may read.
    let officer = phone_at(1, unit("2022/001"), "officer");
    let [of_officer, of_a] = run(&officer, &a, 1_000, |_| ()).unwrap();
    assert_eq!((of_officer.taken.changes, of_a.taken.changes), (1, 0));
}

/// Each flipped bit anywhere in the conversation ends it, and nothing wrong is taken.
#[test]
fn whatever_is_changed_on_the_way_ends_the_meeting() {
    let (a, b) = (phone(), phone());
    record(&a, "Thôn 1");
    let mut sent = 0;
    run(&a, &phone(), usize::MAX, |_| sent += 1).unwrap();
    assert!(sent >= 8, "{sent}");
    for index in 0..sent {
        let mut number = 0;
        let ended = run(&a, &b, usize::MAX, |bytes| {
            if number == index {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            number += 1;
        });
        ended.expect_err("it was noticed");
    }
}

/// Somebody in the middle makes a handshake with each side and passes everything on: the signatures are over handshakes that
/// differ, so neither side believes the other's card.
#[test]
fn nobody_in_the_middle_can_pass_the_signatures_on() {
    let (a, b) = (phone(), phone());
    let noise = || handshake(crate::testing::options().random).unwrap();
    let (mut called, _) = a.meet(Side::Called).unwrap();
    let (_caller, effects) = b.meet(Side::Caller).unwrap();
    let mut buffer = vec![0; 65_535];
    // With the caller it plays the called side, with the called side the caller.
    let mut to_caller = noise().build_responder().unwrap();
    let PeerEffect::Send(first) = &effects[0] else { panic!("a handshake begins") };
    to_caller.read_message(&first[2..], &mut buffer).unwrap();
    let mut to_called = noise().build_initiator().unwrap();
    let length = to_called.write_message(&[], &mut buffer).unwrap();
    let effects = called.handle(&[&[0, u8::try_from(length).unwrap()], &buffer[..length]].concat()).unwrap();
    let PeerEffect::Send(answer) = &effects[0] else { panic!("it answers") };
    to_called.read_message(&answer[2..], &mut buffer).unwrap();
    let mut to_called = to_called.into_transport_mode().unwrap();
    // b's card with b's signature over its own handshake with the middle; any other handshake's hash does here.
    let signature = b.device().sign(&toso_wire::signed_peer(false, &[0; 32])).to_vec();
    let intro = (pass(&b).card, serde_bytes::Bytes::new(&signature));
    let mut map = vec![0x81, 0xA5];
    map.extend(b"Intro");
    map.extend(rmp_serde::to_vec(&intro).unwrap());
    let content = [u32::try_from(map.len()).unwrap().to_be_bytes().as_slice(), &map].concat();
    let length = to_called.write_message(&content, &mut buffer).unwrap();
    let framed = [u16::try_from(length).unwrap().to_be_bytes().as_slice(), &buffer[..length]].concat();
    let refused = called.handle(&framed).expect_err("the middle");
    assert!(matches!(refused, PeerError::Carry(CarryError::Forged(_))), "{refused}");
}

#[test]
fn a_peer_that_says_anything_gets_an_error_and_no_panic() {
    let a = phone();
    let mut number = 1_u32;
    for length in [0, 1, 2, 3, 50, 500, 70_000] {
        let (mut session, _) = a.meet(Side::Called).unwrap();
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                number.to_be_bytes()[0]
            })
            .collect();
        let _ = session.handle(&bytes);
        session.closed().expect_err("it had not ended");
    }
    // A whole handshake, then a message that says to be larger than any.
    let (mut session, _) = a.meet(Side::Called).unwrap();
    let mut noise = handshake(crate::testing::options().random).unwrap().build_initiator().unwrap();
    let mut buffer = vec![0; 65_535];
    let length = noise.write_message(&[], &mut buffer).unwrap();
    let effects = session.handle(&[&[0, u8::try_from(length).unwrap()], &buffer[..length]].concat()).unwrap();
    let PeerEffect::Send(answer) = &effects[0] else { panic!("it answers") };
    noise.read_message(&answer[2..], &mut buffer).unwrap();
    let mut noise = noise.into_transport_mode().unwrap();
    let length = noise.write_message(&u32::MAX.to_be_bytes(), &mut buffer).unwrap();
    let refused =
        session.handle(&[&[0, u8::try_from(length).unwrap()], &buffer[..length]].concat()).expect_err("too large");
    assert!(matches!(refused, PeerError::Protocol("a message is too large")), "{refused}");
}
