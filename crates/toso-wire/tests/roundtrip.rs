//! Properties: every frame survives encoding, alone, in a stream and as a token; no bytes of any content make the
//! decoder panic, and what it accepts, it encodes to the same meaning.

#![allow(clippy::unwrap_used, reason = "a failed round trip is a failed test")]

#[path = "support/frames.rs"]
mod frames;

use frames::{any_frame, any_hello};
use proptest::prelude::*;
use toso_wire::{decode, decode_stream, encode, encode_plain, encode_stream, hello_from_token, hello_token};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_frame_survives(frame in any_frame()) {
        prop_assert_eq!(&decode(&encode(&frame)).unwrap(), &frame);
        prop_assert_eq!(&decode(&encode_plain(&frame)).unwrap(), &frame);
        prop_assert!(encode(&frame).len() <= encode_plain(&frame).len());
    }

    #[test]
    fn a_stream_survives(frames in prop::collection::vec(any_frame(), 0..5)) {
        prop_assert_eq!(decode_stream(&encode_stream(&frames), frames.len()).unwrap(), frames);
    }

    #[test]
    fn a_hello_survives_as_a_token(hello in any_hello()) {
        prop_assert_eq!(hello_from_token(&hello_token(&hello)).unwrap(), hello);
    }

    #[test]
    fn any_bytes_give_a_frame_or_an_error(form in 0u8..3, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut framed = vec![form];
        framed.extend(&bytes);
        for bytes in [bytes, framed] {
            if let Ok(frame) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&frame)).unwrap(), frame);
            }
        }
    }

    #[test]
    fn a_mutated_frame_gives_a_frame_or_an_error(
        frame in any_frame(),
        compressed in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = if compressed { encode(&frame) } else { encode_plain(&frame) };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(frame) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&frame)).unwrap(), frame);
        }
    }

    #[test]
    fn a_cut_frame_is_an_error(frame in any_frame(), keep in any::<prop::sample::Index>()) {
        let bytes = encode_plain(&frame);
        let cut = bytes.get(..keep.index(bytes.len())).unwrap();
        prop_assert!(decode(cut).is_err());
    }

    #[test]
    fn any_text_is_a_hello_or_an_error(text in "[A-Za-z0-9_=-]{0,200}") {
        let _ = hello_from_token(&text);
    }
}
