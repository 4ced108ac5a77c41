//! The sync protocol's frames as bytes.
//!
//! A frame is one binary WebSocket message: a header byte (plain or zstd with the shipped dictionary), then one
//! MessagePack array `[type, field, …]`. Decoding checks size before inflating and before allocating. The client's HELLO
//! travels in the upgrade request, see [`hello_token`].

pub mod codec;
pub mod enrol;
pub mod frame;
pub mod limits;

pub use codec::{DecodeError, decode, decode_stream, encode, encode_stream, hello_from_token, hello_token};
pub use frame::*;
