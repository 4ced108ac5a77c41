//! Trains a compression dictionary from frames as the register makes them, and prints what it gains.
//!
//! ```text
//! cargo run --release -p toso-wire --example train_dictionary -- OUT.dict [BYTES]
//! ```
//!
//! A dictionary that a release has carried never changes. A better one becomes `dict/v2.dict` with form byte `0x03`, read
//! beside the old one from then on, and written to peers that are known to read it. The seeds for training and for
//! measuring differ, so what is printed is what other communes will see; the same arguments give the same dictionary.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a tool for developers, which may stop at once")]

#[path = "../tests/support/register.rs"]
mod register;
#[path = "../tests/support/sample_frames.rs"]
mod sample_frames;

use register::{Random, Register};
use toso_wire::limits::PAGE_BYTES_MAX;
use toso_wire::{Frame, encode_plain};
use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;

/// Communes to train from.
const COMMUNES: u64 = 400;
/// Edits of one field in each commune.
const EDITS: usize = 20;
/// Communes to measure.
const COMMUNES_MEASURED: u64 = 20;
/// Size unless said otherwise: what a phone downloads once with the app, and keeps in memory.
const DICTIONARY_BYTES: usize = 12 * 1024;
/// zstd's headers, which do not travel: 1 + 1 of the frame (no magic is made here) and 3 of the block.
const ZSTD_HEADER_BYTES: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().expect("the first argument names the file to write");
    let bytes_max = arguments.next().map_or(DICTIONARY_BYTES, |text| text.parse().expect("a number of bytes"));

    let samples: Vec<Vec<u8>> =
        (0..COMMUNES).flat_map(|seed| samples(Register::filled(seed, 6, 30), seed)).map(|(_, body)| body).collect();
    let total: usize = samples.iter().map(Vec::len).sum();
    let dictionary = zstd::dict::from_samples(&samples, bytes_max).expect("enough samples");
    println!("{} samples, {total} bytes, give a dictionary of {} bytes", samples.len(), dictionary.len());
    std::fs::write(&out, &dictionary).expect("a writable path");

    for level in [3, 7, 12, 19] {
        measure(&dictionary, level);
    }
}

/// What the samples of other communes become.
fn measure(dictionary: &[u8], level: i32) {
    let encoder = EncoderDictionary::copy(dictionary, level);
    let mut compressor = Compressor::with_prepared_dictionary(&encoder).expect("a compressor");
    for parameter in [
        zstd::zstd_safe::CParameter::ContentSizeFlag(false),
        zstd::zstd_safe::CParameter::DictIdFlag(false),
        zstd::zstd_safe::CParameter::Format(zstd::zstd_safe::FrameFormat::Magicless),
    ] {
        compressor.set_parameter(parameter).expect("a parameter");
    }
    let samples: Vec<(&str, Vec<u8>)> = (0..COMMUNES_MEASURED)
        .map(|seed| 1_000_000 + seed)
        .flat_map(|seed| samples(Register::various(seed, 6, 30), seed))
        .collect();
    for kind in ["edit", "hello", "batch", "page"] {
        let bodies: Vec<&Vec<u8>> = samples.iter().filter(|(of, _)| *of == kind).map(|(_, body)| body).collect();
        let started = std::time::Instant::now();
        let packed: usize =
            bodies.iter().map(|body| compressor.compress(body).expect("compresses").len() - ZSTD_HEADER_BYTES).sum();
        let micros = started.elapsed().as_micros() / bodies.len() as u128;
        let (raw, count) = (bodies.iter().map(|body| body.len()).sum::<usize>(), bodies.len());
        println!("level {level:2} {kind:5}: {:6} B become {:6} B, {micros:5} µs each", raw / count, packed / count);
    }
}

/// Frame bodies of one commune, by kind.
fn samples(mut register: Register, seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let mut random = Random::new(!seed);
    if random.below(4) == 0 {
        register.add_hamlets();
    }
    let body = |frame: &Frame| encode_plain(frame)[1..].to_vec();
    let batches = register.saved.chunks(12).map(|saved| ("batch", Frame::Push(sample_frames::push(3, saved))));
    let mut frames: Vec<(&str, Frame)> = batches.collect();
    if seed.is_multiple_of(8) {
        frames.extend(
            sample_frames::pages(&register, PAGE_BYTES_MAX).into_iter().map(|page| ("page", Frame::Delta(page))),
        );
    }
    for _ in 0..EDITS {
        let before = register.saved.len();
        if random.below(2) == 0 {
            register.edit_member();
        } else {
            register.edit_team();
        }
        let Some(saved) = register.saved.get(before..).filter(|saved| !saved.is_empty()) else { continue };
        let push = sample_frames::push(1 + random.below(3), saved);
        if random.below(2) == 0 {
            frames.push(("hello", Frame::Hello(sample_frames::hello(&mut random, &register, Some(push)))));
        } else {
            frames.push(("edit", Frame::Push(push)));
        }
    }
    frames.iter().map(|(kind, frame)| (*kind, body(frame))).collect()
}
