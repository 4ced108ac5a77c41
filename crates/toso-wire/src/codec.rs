//! Frames to bytes and back.

mod body;
mod msgpack;
mod unit_number;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::msgpack::Reader;
use crate::compress;
use crate::error::DecodeError;
use crate::frame::{Frame, Hello, Push};
use crate::limits::{FRAME_BYTES_MAX, HELLO_TOKEN_CHARS_MAX};
use crate::predict;

/// Header byte of a frame whose body follows as it is.
const FORM_PLAIN: u8 = 0x00;
/// Header byte of a frame whose body was compressed with dictionary 1.
const FORM_DICTIONARY_1: u8 = 0x01;
/// Header byte of a DELTA whose body was compressed by prediction. Only servers send it.
const FORM_PREDICTED: u8 = 0x02;
/// Bytes before each frame of a stream.
const STREAM_LENGTH_BYTES: usize = 4;

/// Encodes a frame; compresses when that is shorter, and a large page of a DELTA in whichever way is shortest.
///
/// A frame within the limits of [`crate::limits`] encodes to at most [`FRAME_BYTES_MAX`]; who fills a frame keeps
/// to them, and the receiver refuses one that is over.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let plain = encode_plain(frame);
    let Some(block) = by_dictionary(&plain) else { return plain };
    match by_prediction(frame, &plain, &block) {
        Some(predicted) => of_form(FORM_PREDICTED, &predicted),
        None => of_form(FORM_DICTIONARY_1, &block),
    }
}

/// Bytes of a frame without prediction: [`encode`] makes at most so many.
pub(crate) fn encoded_len(frame: &Frame) -> usize {
    let plain = encode_plain(frame);
    by_dictionary(&plain).map_or(plain.len(), |block| 1 + block.len())
}

/// Bytes of a frame by prediction, when [`encode`] takes it.
pub(crate) fn predicted_len(frame: &Frame) -> Option<usize> {
    let plain = encode_plain(frame);
    // Most pages are small, and their size alone says so: nothing needs to be compressed to know.
    if !predict::may_be_worth_trying(plain.len()) {
        return None;
    }
    Some(1 + by_prediction(frame, &plain, &by_dictionary(&plain)?)?.len())
}

fn by_dictionary(plain: &[u8]) -> Option<Vec<u8>> {
    compress::deflate(plain.split_first()?.1)
}

/// Only pages: what a client sends would have to be inflated by the server.
fn by_prediction(frame: &Frame, plain: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let (_, body) = plain.split_first()?;
    let tried = matches!(frame, Frame::Delta(_)) && predict::is_worth_trying(body.len(), block.len());
    if !tried {
        return None;
    }
    predict::deflate(body).filter(|predicted| predicted.len() < block.len())
}

/// Encodes a frame without compression, as tests and tools want it.
pub fn encode_plain(frame: &Frame) -> Vec<u8> {
    let mut out = vec![FORM_PLAIN];
    body::write(&mut out, frame);
    out
}

fn of_form(form: u8, block: &[u8]) -> Vec<u8> {
    [&[form], block].concat()
}

/// Bytes of a PUSH as [`encode`] makes it.
pub fn encoded_push_len(push: &Push) -> usize {
    encode(&Frame::Push(push.clone())).len()
}

/// True when a PUSH has at most so many bytes as [`encode`] makes it; one that fits as it is need not be compressed for
/// that.
pub fn push_fits(push: &Push, bytes_max: usize) -> bool {
    let plain = encode_plain(&Frame::Push(push.clone()));
    // A block has its form byte before it.
    plain.len() <= bytes_max || by_dictionary(&plain).is_some_and(|block| block.len() < bytes_max)
}

/// Decodes one frame.
pub fn decode(bytes: &[u8]) -> Result<Frame, DecodeError> {
    let Some((&FORM_PREDICTED, block)) = bytes.split_first().filter(|_| bytes.len() <= FRAME_BYTES_MAX) else {
        return decode_from_client(bytes);
    };
    let frame = predict::inflate(block, read_whole)?;
    let Frame::Delta(delta) = frame else {
        let detail = format!("{} in a form that only DELTA has", frame.name());
        return Err(DecodeError::Malformed { what: "a predicted frame", detail });
    };
    Ok(Frame::Delta(delta))
}

/// Decodes one frame of a client, which never sends what is costly to inflate.
pub fn decode_from_client(bytes: &[u8]) -> Result<Frame, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge { what: "a frame", bytes: bytes.len(), max: FRAME_BYTES_MAX });
    }
    match bytes.split_first() {
        None => Err(DecodeError::Truncated { what: "the form byte" }),
        Some((&FORM_PLAIN, body)) => read_whole(body),
        Some((&FORM_DICTIONARY_1, block)) => compress::inflate(block, read_whole),
        Some((&form, _)) => Err(DecodeError::UnknownForm { form }),
    }
}

fn read_whole(body: &[u8]) -> Result<Frame, DecodeError> {
    let mut reader = Reader::new(body);
    let frame = body::read(&mut reader)?;
    match reader.remaining() {
        0 => Ok(frame),
        extra => Err(DecodeError::Malformed { what: frame.name(), detail: format!("{extra} bytes after its end") }),
    }
}

/// Encodes frames one after the other, each behind its length (u32 big-endian), for `POST /v1/sync`.
pub fn encode_stream(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        let bytes = encode(frame);
        // A frame is far below 4 GiB; if one ever were not, the receiver would refuse the length.
        out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(bytes);
    }
    out
}

/// Reads [`encode_stream`] back, at most `frames_max` frames.
pub fn decode_stream(bytes: &[u8], frames_max: usize) -> Result<Vec<Frame>, DecodeError> {
    read_stream(bytes, frames_max, decode)
}

/// The same for what a client sends.
pub fn decode_stream_from_client(bytes: &[u8], frames_max: usize) -> Result<Vec<Frame>, DecodeError> {
    read_stream(bytes, frames_max, decode_from_client)
}

fn read_stream(
    bytes: &[u8],
    frames_max: usize,
    decode: impl Fn(&[u8]) -> Result<Frame, DecodeError>,
) -> Result<Vec<Frame>, DecodeError> {
    let stream_bytes_max = frames_max.saturating_mul(STREAM_LENGTH_BYTES + FRAME_BYTES_MAX);
    if bytes.len() > stream_bytes_max {
        return Err(DecodeError::TooLarge { what: "a stream", bytes: bytes.len(), max: stream_bytes_max });
    }
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if frames.len() == frames_max {
            return Err(DecodeError::Limit { what: "frames of a stream", count: frames_max + 1, max: frames_max });
        }
        let (length, after) = rest
            .split_first_chunk::<STREAM_LENGTH_BYTES>()
            .ok_or(DecodeError::Truncated { what: "the length of a frame" })?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLarge { what: "a frame", bytes: length, max: FRAME_BYTES_MAX });
        }
        let (frame, after) = after.split_at_checked(length).ok_or(DecodeError::Truncated { what: "a frame" })?;
        match decode(frame) {
            Ok(frame) => frames.push(frame),
            // Of a newer peer, which does not depend on its being known.
            Err(DecodeError::UnknownType { .. }) => {}
            Err(error) => return Err(error),
        }
        rest = after;
    }
    Ok(frames)
}

/// HELLO as the second subprotocol token: base64url without padding.
///
/// The server accepts at most [`HELLO_TOKEN_CHARS_MAX`]; a push that rides along must leave room for the rest.
pub fn hello_token(hello: &Hello) -> String {
    URL_SAFE_NO_PAD.encode(encode(&Frame::Hello(hello.clone())))
}

/// Reads [`hello_token`] back.
pub fn hello_from_token(token: &str) -> Result<Hello, DecodeError> {
    if token.len() > HELLO_TOKEN_CHARS_MAX {
        return Err(DecodeError::TooLarge { what: "the HELLO token", bytes: token.len(), max: HELLO_TOKEN_CHARS_MAX });
    }
    let malformed = |detail: String| DecodeError::Malformed { what: "the HELLO token", detail };
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| malformed("not base64url without padding; send it as it was made".to_owned()))?;
    let frame = decode_from_client(&bytes)?;
    let Frame::Hello(hello) = frame else { return Err(malformed(format!("holds {}, not HELLO", frame.name()))) };
    Ok(hello)
}
