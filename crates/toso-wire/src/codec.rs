//! Frames to bytes and back.

use crate::frame::{Frame, Hello};

/// Encodes a frame; compresses when that is shorter.
pub fn encode(_frame: &Frame) -> Vec<u8> {
    todo!()
}
/// Decodes one frame.
pub fn decode(_bytes: &[u8]) -> Result<Frame, DecodeError> {
    todo!()
}
/// Encodes frames one after the other, each behind its length (u32 big-endian), for `POST /v1/sync`.
pub fn encode_stream(_frames: &[Frame]) -> Vec<u8> {
    todo!()
}
/// Reads [`encode_stream`] back, at most `frames_max` frames.
pub fn decode_stream(_bytes: &[u8], _frames_max: usize) -> Result<Vec<Frame>, DecodeError> {
    todo!()
}
/// HELLO as the second subprotocol token: base64url without padding.
pub fn hello_token(_hello: &Hello) -> String {
    todo!()
}
/// Reads [`hello_token`] back.
pub fn hello_from_token(_token: &str) -> Result<Hello, DecodeError> {
    todo!()
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Over a limit.
    #[error("a frame has {bytes} bytes, at most {max} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
