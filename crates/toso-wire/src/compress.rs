//! Compression of one frame with the shipped dictionary, and nothing else on the wire.
//!
//! A frame body of at most 128 KiB is always one zstd block, so zstd's own headers say nothing that the length of the
//! message does not: magic, frame header and block header (9 bytes, 12 characters of a HELLO token) are taken off and
//! put back. What travels is exactly the content of one compressed block (RFC 8878, 3.1.1.2.3).
//!
//! Contexts and digested dictionaries live as long as their thread, so a small frame costs microseconds. Nothing is
//! remembered from one frame to the next.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{CParameter, DParameter, FrameFormat};

use crate::error::DecodeError;
use crate::limits::FRAME_INFLATED_BYTES_MAX;

/// Dictionary 1. Never changed once a release has carried it: a phone that does not update for years still uses it.
/// `examples/train_dictionary.rs` makes the next one, which gets a form byte of its own.
pub(crate) const DICTIONARY_1: &[u8] = include_bytes!("../dict/v1.dict");

/// zstd's level for bodies from [`LARGE_FROM_BYTES`]. On frames of real changes the levels above gain 3 % for a page, at 15
/// times the time (0.2 ms against 3.4 ms for a page of 10 KB raw).
const LEVEL: i32 = 7;
/// The level for smaller ones: half the time for 1 to 3 bytes more (four changes: 374 B in 10 µs, at level 7 372 B in 25 µs;
/// at level 3 383 B).
const LEVEL_SMALL: i32 = 4;
/// From here on the higher level gains tens of bytes.
const LARGE_FROM_BYTES: usize = 2 * 1024;
/// What is shorter is not tried: an ACK (9 B), a WELCOME or a RECEIPT (some 20 B) never became shorter.
const TRIED_FROM_BYTES: usize = 32;

/// log2 of [`FRAME_INFLATED_BYTES_MAX`], the window that covers any body; also the largest block there is.
const WINDOW_LOG: u8 = 17;
const _: () = assert!(FRAME_INFLATED_BYTES_MAX <= 1 << WINDOW_LOG, "a body must fit into one block and its window");

/// A frame header without magic: no checksum, no dictionary id, no content size; then the window.
const FRAME_HEADER: [u8; 2] = [0x00, (WINDOW_LOG - 10) << 3];
/// Bytes of zstd's block header.
const BLOCK_HEADER_BYTES: usize = 3;
/// Low bits of a block header: last block, compressed.
const BLOCK_LAST_COMPRESSED: u32 = 0b101;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL));
static ENCODER_SMALL: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL_SMALL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

thread_local! {
    static DEFLATER: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor(&ENCODER).ok());
    static DEFLATER_SMALL: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor(&ENCODER_SMALL).ok());
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater::new());
}

fn compressor(dictionary: &'static EncoderDictionary<'static>) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(dictionary)?;
    compressor.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    Ok(compressor)
}

/// The one compressed block that stands for `body`; `None` when that is no shorter.
pub(crate) fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    if !(TRIED_FROM_BYTES..=FRAME_INFLATED_BYTES_MAX).contains(&body.len()) {
        return None;
    }
    let deflater = if body.len() < LARGE_FROM_BYTES { &DEFLATER_SMALL } else { &DEFLATER };
    let frame = deflater.with_borrow_mut(|compressor| compressor.as_mut()?.compress(body).ok())?;
    // Byte 1 is the window that zstd chose, never larger than the one that the receiver puts there.
    let (&[descriptor, _window, b0, b1, b2], block) = frame.split_first_chunk()?;
    let header = u32::from_le_bytes([b0, b1, b2, 0]);
    let single = descriptor == FRAME_HEADER[0] && header == block_header(block.len())?;
    (single && block.len() < body.len()).then(|| block.to_vec())
}

/// Inflates one block and hands the body to `read`.
pub(crate) fn inflate<T>(block: &[u8], read: impl FnOnce(&[u8]) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    INFLATER.with_borrow_mut(|inflater| {
        let body = inflater.run(block).map_err(|detail| DecodeError::Inflate {
            bytes: block.len(),
            max: FRAME_INFLATED_BYTES_MAX,
            detail,
        })?;
        read(body)
    })
}

fn block_header(bytes: usize) -> Option<u32> {
    let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes < 1 << (24 - BLOCK_HEADER_BYTES))?;
    Some(bytes << BLOCK_HEADER_BYTES | BLOCK_LAST_COMPRESSED)
}

/// A thread's decompressor with room for one frame and one body.
struct Inflater {
    decompressor: Option<Decompressor<'static>>,
    frame: Vec<u8>,
    body: Vec<u8>,
}

impl Inflater {
    fn new() -> Self {
        let make = || {
            let mut decompressor = Decompressor::with_prepared_dictionary(&DECODER)?;
            decompressor.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
            decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG.into()))?;
            std::io::Result::Ok(decompressor)
        };
        Self { decompressor: make().ok(), frame: Vec::new(), body: vec![0; FRAME_INFLATED_BYTES_MAX] }
    }

    fn run(&mut self, block: &[u8]) -> Result<&[u8], String> {
        let decompressor = self.decompressor.as_mut().ok_or("no memory for a decompressor")?;
        let header = block_header(block.len()).ok_or("longer than a block")?;
        self.frame.clear();
        self.frame.extend(FRAME_HEADER);
        self.frame.extend(header.to_le_bytes().into_iter().take(BLOCK_HEADER_BYTES));
        self.frame.extend(block);
        // The destination's length is the limit; a block that has more to give is an error.
        let bytes = decompressor
            .decompress_to_buffer(&self.frame, self.body.as_mut_slice())
            .map_err(|error| error.to_string())?;
        self.body.get(..bytes).ok_or_else(|| "more than its room".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(body: &[u8]) -> Option<usize> {
        let block = deflate(body)?;
        let back = inflate(&block, |body| Ok(body.to_vec())).unwrap();
        assert!(back == body, "{} bytes come back as they were", body.len());
        Some(block.len())
    }

    #[test]
    fn bodies_of_every_size_come_back() {
        let at_limits = [TRIED_FROM_BYTES, LARGE_FROM_BYTES - 1, LARGE_FROM_BYTES];
        for size in at_limits.into_iter().chain([
            100,
            1000,
            16_384,
            60_000,
            FRAME_INFLATED_BYTES_MAX - 1,
            FRAME_INFLATED_BYTES_MAX,
        ]) {
            let body: Vec<u8> = (0..size).map(|at| b"decision_number"[at % 13 % 15] ^ u8::from(at % 97 == 0)).collect();
            let block = round_trip(&body);
            assert!(block.map_or(size == TRIED_FROM_BYTES, |bytes| bytes < size), "{size}: {block:?}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(2000)
        .collect();
        assert_eq!(deflate(&noise), None);
        assert_eq!(deflate(&[]), None);
        assert_eq!(deflate(&[7; TRIED_FROM_BYTES - 1]), None);
        assert_eq!(deflate(&vec![0; FRAME_INFLATED_BYTES_MAX + 1]), None);
    }

    #[test]
    fn a_block_of_garbage_is_an_error() {
        for garbage in [&[][..], &[0xff], &[0xff; 40], &[0; 40]] {
            assert!(matches!(inflate(garbage, |_| Ok(())), Err(DecodeError::Inflate { .. })), "{garbage:02x?}");
        }
    }

    #[test]
    fn a_block_that_inflates_past_the_limit_is_an_error() {
        // zstd itself, without our limit: one block can hold at most 128 KiB, the limit to the byte.
        let body = vec![7; FRAME_INFLATED_BYTES_MAX];
        assert!(round_trip(&body).is_some_and(|bytes| bytes < 64));
        // A forged block: 2^17 + 3 literals of one value, which no encoder makes.
        let size: u32 = (1 << 17) + 3;
        let literals = 0b01 | 0b11 << 2 | size << 4;
        let mut block: Vec<u8> = literals.to_le_bytes().into_iter().take(3).collect();
        block.extend([7, 0]);
        assert!(matches!(inflate(&block, |_| Ok(())), Err(DecodeError::Inflate { .. })));
    }

    /// Dictionary 1 is part of the wire format. To change compression, train dictionary 2 and give it form byte 0x03.
    #[test]
    fn dictionary_1_is_what_was_shipped() {
        let fnv = DICTIONARY_1
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!((DICTIONARY_1.len(), fnv), (12_288, 16_493_659_701_953_486_129));
    }
}
