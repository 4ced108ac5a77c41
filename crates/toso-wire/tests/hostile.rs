//! Every hostile frame of `tests/fixtures` gives the error that its README promises, as it is and cut at every byte.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a corpus that cannot be read is a failed test")]

#[path = "support/register.rs"]
mod register;

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use toso_core::change::Change;
use toso_core::id::Sequence;
use toso_core::unit::UnitRef;
use toso_wire::limits::{FRAME_BYTES_MAX, PAGE_BYTES_MAX};
use toso_wire::{DecodeError, Frame, decode, decode_from_client, decode_stream_from_client, encode, hello_from_token};

fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files = std::fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| {
            let hex: String = std::fs::read_to_string(&path).expect("a text").split_whitespace().collect();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).expect("hexadecimal"))
        })
        .collect()
}

/// File and error of each line of the README.
fn promises() -> BTreeMap<String, String> {
    let lines = include_str!("fixtures/README.md").lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
            (cells.next().expect("a file"), cells.next().expect("an error"))
        })
        .collect()
}

fn variant(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooLarge { .. } => "TooLarge",
        DecodeError::UnknownForm { .. } => "UnknownForm",
        DecodeError::UnknownType { .. } => "UnknownType",
        DecodeError::Truncated { .. } => "Truncated",
        DecodeError::Inflate { .. } => "Inflate",
        DecodeError::Malformed { .. } => "Malformed",
        DecodeError::Limit { .. } => "Limit",
    }
}

#[test]
fn every_fixture_gives_its_error() {
    let found: BTreeMap<String, String> = fixtures()
        .into_iter()
        .map(|(name, bytes)| {
            let error = decode(&bytes).expect_err(&name);
            assert!(!error.to_string().is_empty());
            (name, variant(&error).to_owned())
        })
        .collect();
    assert_eq!(found, promises());
}

#[test]
fn every_fixture_cut_anywhere_is_no_panic() {
    for bytes in fixtures().values() {
        for end in 0..bytes.len() {
            let _ = decode(&bytes[..end]);
        }
    }
}

#[test]
fn a_frame_that_nests_through_all_its_bytes_is_an_error() {
    let mut bytes = vec![0x91; FRAME_BYTES_MAX];
    bytes[..4].copy_from_slice(&[0x00, 0x93, 0x0b, 0x01]);
    assert!(matches!(decode(&bytes), Err(DecodeError::Truncated { .. })));
}

/// What inflates slowly is taken from servers only.
#[test]
fn a_client_cannot_make_the_server_predict() {
    let register = register::Register::various(4_000_000, 40, 300);
    let unit: UnitRef = register.scope;
    let entries = register.saved.iter().map(|saved| {
        (
            Sequence(1),
            unit,
            toso_wire::DeltaItem::Change(Change { doc: saved.doc, chunk: saved.change.as_slice().into() }),
        )
    });
    let page = Frame::Delta(toso_wire::pack_delta(unit, entries, PAGE_BYTES_MAX).0);
    let bytes = encode(&page);
    assert_eq!(bytes.first(), Some(&0x02));
    assert_eq!(decode(&bytes), Ok(page));
    let refused = DecodeError::UnknownForm { form: 0x02 };
    assert_eq!(decode_from_client(&bytes), Err(refused.clone()));
    let stream = [&u32::try_from(bytes.len()).expect("a length").to_be_bytes(), bytes.as_slice()].concat();
    assert_eq!(decode_stream_from_client(&stream, 1), Err(refused));
}

#[test]
fn tokens_that_hold_no_hello() {
    for token in ["", "AA", "toso.v1", "AJYBAcQEqg==", "AJIM", "AJIMAA", "ÀÀÀÀ"] {
        assert!(hello_from_token(token).is_err(), "{token}");
    }
    // GOODBYE, whole and valid, is not what a token holds.
    let error = hello_from_token("AJIMAA").expect_err("a GOODBYE");
    assert_eq!(error.to_string(), "the HELLO token: holds GOODBYE, not HELLO");
}
