//! Pages are as full as they may be and never fuller, nothing is lost between them, and what cannot travel is said.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a commune that cannot be packed is a failed test")]

#[path = "support/register.rs"]
mod register;
#[path = "support/sample_frames.rs"]
mod sample_frames;

use register::{Random, Register};
use toso_core::change::Change;
use toso_core::chunk::CHANGE_BYTES_MAX;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::UnitRef;
use toso_wire::limits::{DELTA_ITEMS_MAX, FRAME_BYTES_MAX, FRAME_INFLATED_BYTES_MAX, PAGE_BYTES_MAX};
use toso_wire::{DeltaEntry, DeltaItem, Frame, decode, encode, pack_delta};

fn unit() -> UnitRef {
    "2022/00001".parse().expect("a unit")
}

fn change(sequence: u64, bytes: Vec<u8>) -> DeltaEntry {
    (Sequence(sequence), unit(), DeltaItem::Change(Change { doc: DocId::commune(unit()), chunk: bytes.into() }))
}

fn noise(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.next().to_be_bytes()[0]).collect()
}

#[test]
fn pages_of_real_changes_are_full_but_for_the_last() {
    let register = Register::various(3_000_000, 40, 400);
    for page_bytes_max in [4 * 1024, PAGE_BYTES_MAX] {
        let pages = sample_frames::pages(&register, page_bytes_max);
        let sizes: Vec<usize> = pages.iter().map(|page| encode(&Frame::Delta(page.clone())).len()).collect();
        let (_, full) = sizes.split_last().expect("a page");
        assert!(!full.is_empty(), "{sizes:?}");
        for size in full {
            assert!((page_bytes_max * 80 / 100..=page_bytes_max).contains(size), "{sizes:?}");
        }
        let changes: Vec<&[u8]> = pages
            .iter()
            .flat_map(|page| &page.groups)
            .flat_map(|group| &group.items)
            .map(|item| match item {
                DeltaItem::Change(change) => change.bytes(),
                other @ (DeltaItem::Returned(..) | DeltaItem::Snapshot(..) | DeltaItem::Erased(..)) => {
                    panic!("{other:?}")
                }
            })
            .collect();
        assert_eq!(changes, register.saved.iter().map(|saved| saved.change.as_slice()).collect::<Vec<_>>());
        assert!(pages.iter().rev().skip(1).all(|page| page.more));
        assert!(!pages.last().expect("a page").more);
    }
}

#[test]
fn a_page_of_noise_never_passes_its_size() {
    let mut random = Random::new(1);
    for _ in 0..40 {
        let entries: Vec<DeltaEntry> = (1..=random.below(80))
            .map(|sequence| {
                let bytes = usize::try_from(random.below(1200)).expect("small");
                // Half of the entries compress to nothing, so that every guess is wrong.
                change(sequence, if random.below(2) == 0 { noise(&mut random, bytes) } else { vec![0; bytes] })
            })
            .collect();
        let count = entries.len();
        let (page, packed) = pack_delta(unit(), entries, PAGE_BYTES_MAX);
        let bytes = encode(&Frame::Delta(page.clone())).len();
        assert!(bytes <= PAGE_BYTES_MAX, "{bytes} bytes");
        assert!(packed == count || bytes > PAGE_BYTES_MAX / 3, "{packed} of {count} entries in {bytes} bytes");
        assert_eq!(page.next, Sequence(packed as u64));
        assert_eq!(page.more, packed < count);
    }
}

#[test]
fn a_change_larger_than_a_page_travels_alone() {
    let mut random = Random::new(2);
    let large = noise(&mut random, CHANGE_BYTES_MAX);
    let (page, packed) = pack_delta(unit(), [change(7, large), change(8, vec![1])], PAGE_BYTES_MAX);
    assert_eq!((packed, page.next, page.more), (1, Sequence(7), true));
    let bytes = encode(&Frame::Delta(page.clone()));
    assert!(bytes.len() <= FRAME_BYTES_MAX);
    assert_eq!(decode(&bytes), Ok(Frame::Delta(page)));
}

#[test]
fn what_fits_into_no_frame_is_left_to_the_caller() {
    let mut random = Random::new(3);
    for bytes in [FRAME_BYTES_MAX, FRAME_INFLATED_BYTES_MAX] {
        let (page, packed) = pack_delta(unit(), [change(7, noise(&mut random, bytes))], PAGE_BYTES_MAX);
        assert_eq!((packed, page.next, page.more), (0, Sequence::ZERO, true));
    }
    let (page, packed) = pack_delta(unit(), [], PAGE_BYTES_MAX);
    assert_eq!((packed, page.more), (0, false));
}

#[test]
fn a_page_keeps_to_the_limits_of_what_it_inflates_to() {
    let small: Vec<DeltaEntry> = (1..=2000).map(|sequence| change(sequence, vec![1])).collect();
    let (page, packed) = pack_delta(unit(), small, PAGE_BYTES_MAX);
    assert_eq!((packed, page.more), (DELTA_ITEMS_MAX, true));
    assert_eq!(decode(&encode(&Frame::Delta(page.clone()))), Ok(Frame::Delta(page)));

    let empty: Vec<DeltaEntry> = (1..=200).map(|sequence| change(sequence, vec![0; 10_000])).collect();
    let (page, packed) = pack_delta(unit(), empty, PAGE_BYTES_MAX);
    assert_eq!(packed, 13, "13 times 10,032 bytes are within 128 KiB");
    assert_eq!(decode(&encode(&Frame::Delta(page.clone()))), Ok(Frame::Delta(page)));
}
