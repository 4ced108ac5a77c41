//! The sync protocol's frames as bytes.
//!
//! A frame is one binary WebSocket message: a header byte (plain, or compressed in one of two ways), then one
//! MessagePack array `[type, field, …]`. Every byte of it costs a volunteer on 2G time and money, so each field has the
//! shortest form that still says everything; `docs/wire-format.md` lists them.
//!
//! Decoding trusts nothing: size is checked before inflating, inflating stops at a limit, counts are checked before
//! allocating, and bytes of any content give a [`Frame`] or a [`DecodeError`], never a panic.
//!
//! The client's HELLO travels in the upgrade request, see [`hello_token`].

pub mod carry;
pub mod codec;
mod compress;
pub mod enrol;
pub mod error;
pub mod frame;
pub mod limits;
pub mod pack;
mod predict;
pub mod proof;
pub mod rest;

pub use carry::{DeviceCard, signed_bundle, signed_carried, signed_peer};
pub use codec::{
    decode, decode_from_client, decode_stream, decode_stream_from_client, encode, encode_plain, encode_stream,
    encoded_push_len, hello_from_token, hello_token, push_fits,
};
pub use error::DecodeError;
pub use frame::*;
pub use pack::{DeltaEntry, pack_delta};
pub use proof::{
    Proof, RootProof, Ticket, TicketProof, TicketSecret, Welcome, WelcomeProof, same, signed_hello, signed_welcome,
    welcome_mac,
};
