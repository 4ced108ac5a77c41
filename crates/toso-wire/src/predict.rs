//! Compression of large pages: each byte is predicted from the few before it (PPMd, variant H, as 7z archives have it).
//!
//! zstd finds a word again by pointing at where it stood, and a pointer into a page takes two bytes, as long as many a
//! Vietnamese word. A model of what follows what needs no pointers: 60 notes of a kilobyte each take two thirds of the
//! bytes. It has to see some kilobytes before it is worth anything, and takes five times the processor's time, so only
//! pages that zstd leaves large are tried. Arithmetic on whole numbers only, the same on every machine; nothing is
//! remembered from one frame to the next.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ppmd_rust::{Ppmd7Decoder, Ppmd7Encoder};

use crate::error::DecodeError;
use crate::limits::FRAME_INFLATED_BYTES_MAX;

/// How many bytes before one predict it. On pages of real changes and on pages of text 5 is best or within 0.4 %.
const ORDER: u32 = 5;
/// The model's memory, on either side, for as long as a page is coded; a page of 84 KB needs less than half of it, and one
/// that needs more begins its model anew. Part of the format: both sides must begin anew at the same byte.
const MODEL_BYTES: u32 = 512 * 1024;
/// Bytes in front of a block: how long it is once inflated.
const LENGTH_BYTES: usize = 3;
const _: () = assert!(FRAME_INFLATED_BYTES_MAX < 1 << (8 * LENGTH_BYTES), "any body's length must fit");
/// The coder's first byte, which never says anything and does not travel.
const FIRST: [u8; 1] = [0];

/// What zstd makes shorter than this is not tried: the model has not seen enough to win.
const TRIED_FROM_BYTES: usize = 2 * 1024;
/// What zstd shrinks to more than one byte in so many is not tried either. Pages of changes shrink to less than a third;
/// noise gains nothing, and takes ten times as long as text does (0.1 s for a full body).
const TRIED_FROM_RATIO: usize = 2;

/// Whether a body of this length can be one that [`is_worth_trying`] says yes to.
pub(crate) fn may_be_worth_trying(body_bytes: usize) -> bool {
    body_bytes >= TRIED_FROM_BYTES * TRIED_FROM_RATIO
}

/// Whether a body that zstd makes `block_bytes` long may become shorter.
pub(crate) fn is_worth_trying(body_bytes: usize, block_bytes: usize) -> bool {
    block_bytes >= TRIED_FROM_BYTES && block_bytes * TRIED_FROM_RATIO <= body_bytes
}

/// What stands for `body`: its length, then the coder's bytes. `None` when that is no shorter.
pub(crate) fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_INFLATED_BYTES_MAX)?;
    // What a client wrote is in it: whatever that does to the coder, a frame can go by zstd.
    let coded = catch_unwind(AssertUnwindSafe(|| {
        let mut encoder = Ppmd7Encoder::new(Vec::new(), ORDER, MODEL_BYTES).ok()?;
        encoder.write_all(body).ok()?;
        encoder.finish(false).ok()
    }))
    .ok()??;
    let coded = coded.strip_prefix(&FIRST)?;
    let block = [length.to_be_bytes().split_at(size_of::<u32>() - LENGTH_BYTES).1, coded].concat();
    (block.len() < body.len()).then_some(block)
}

/// Inflates a block and hands the body to `read`.
pub(crate) fn inflate<T>(block: &[u8], read: impl FnOnce(&[u8]) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    let (length, coded) =
        block.split_first_chunk::<LENGTH_BYTES>().ok_or(DecodeError::Truncated { what: "the length of a page" })?;
    let bytes = length.iter().fold(0, |bytes, byte| bytes << 8 | usize::from(*byte));
    if bytes > FRAME_INFLATED_BYTES_MAX {
        return Err(DecodeError::TooLarge { what: "a page, inflated,", bytes, max: FRAME_INFLATED_BYTES_MAX });
    }
    let body = catch_unwind(|| run(coded, bytes)).unwrap_or_else(|_| Err("the coder broke on it".to_owned()));
    let refused = |detail| DecodeError::Inflate { bytes: block.len(), max: FRAME_INFLATED_BYTES_MAX, detail };
    read(&body.map_err(refused)?)
}

fn run(coded: &[u8], bytes: usize) -> Result<Vec<u8>, String> {
    let source = FIRST.as_slice().chain(coded);
    let mut decoder = Ppmd7Decoder::new(source, ORDER, MODEL_BYTES).map_err(|error| error.to_string())?;
    let mut body = vec![0; bytes];
    decoder.read_exact(&mut body).map_err(|error| error.to_string())?;
    match decoder.into_inner().into_inner().1 {
        [] => Ok(body),
        rest => Err(format!("{} bytes are left over", rest.len())),
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

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn bodies_of_every_size_come_back() {
        for size in [40, 100, 1000, 16_384, 60_000, FRAME_INFLATED_BYTES_MAX - 1, FRAME_INFLATED_BYTES_MAX] {
            let body: Vec<u8> = (0..size).map(|at| b"decision_number"[at % 13 % 15] ^ u8::from(at % 97 == 0)).collect();
            assert!(round_trip(&body).is_some_and(|bytes| bytes < size), "{size}");
        }
    }

    /// Half noise, so that the model's memory is used up and it begins anew. The bytes are part of the wire format: another
    /// order, another memory or another release of the coder that gives others needs a form byte of its own.
    #[test]
    fn the_coding_is_pinned() {
        let noise = noise(FRAME_INFLATED_BYTES_MAX);
        let body: Vec<u8> = noise.iter().enumerate().map(|(at, byte)| if at % 2 == 0 { b'a' } else { *byte }).collect();
        assert!(round_trip(&body).is_some());
        let fnv = |bytes: &[u8]| {
            let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, mix)
        };
        let block = deflate(&body).unwrap();
        assert_eq!((block.len(), fnv(&block)), (67_953, 15_518_433_669_642_822_576));
    }

    #[test]
    fn only_large_pages_that_shrink_are_tried() {
        assert!(is_worth_trying(8_000, TRIED_FROM_BYTES) && !is_worth_trying(8_000, TRIED_FROM_BYTES - 1));
        assert!(is_worth_trying(8_000, 4_000) && !is_worth_trying(8_000, 4_001));
        let least = TRIED_FROM_BYTES * TRIED_FROM_RATIO;
        assert!(may_be_worth_trying(least) && is_worth_trying(least, TRIED_FROM_BYTES));
        assert!(!may_be_worth_trying(least - 1));
        assert!((0..least).all(|block| !is_worth_trying(least - 1, block)), "nothing is missed by not compressing it");
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        assert_eq!(deflate(&noise(5_000)), None);
        assert_eq!(deflate(&[]), None);
        assert_eq!(deflate(&vec![0; FRAME_INFLATED_BYTES_MAX + 1]), None);
    }

    #[test]
    fn a_block_cut_or_continued_or_of_garbage_is_an_error() {
        let body = "Một buổi hướng dẫn cài đặt dịch vụ công trực tuyến. ".repeat(20);
        let block = deflate(body.as_bytes()).unwrap();
        for end in (0..block.len()).step_by(7).chain([block.len() - 1]) {
            assert!(inflate(&block[..end], |_| Ok(())).is_err(), "cut at {end}");
        }
        assert!(inflate(&[block.as_slice(), &[0]].concat(), |_| Ok(())).is_err());
        assert!(inflate(&[&[0, 0x20, 0][..], &noise(300)].concat(), |_| Ok(())).is_err());
    }

    #[test]
    fn a_block_that_promises_more_than_the_limit_is_an_error() {
        let block = |bytes: usize| [&u32::try_from(bytes).unwrap().to_be_bytes()[1..], &[0; 64]].concat();
        let past = inflate(&block(FRAME_INFLATED_BYTES_MAX + 1), |_| Ok(()));
        assert!(matches!(past, Err(DecodeError::TooLarge { .. })), "{past:?}");
        let at_limit = inflate(&block(FRAME_INFLATED_BYTES_MAX), |_| Ok(()));
        assert!(matches!(at_limit, Err(DecodeError::Inflate { .. })), "{at_limit:?}");
    }
}
