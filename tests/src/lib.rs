//! The harness of the end-to-end suites: the real `toso` binary, real folders, real sockets, and a slow link between.
//!
//! Suites are in `tests/tests/`. Everything listens on loopback and ends with its owner.

#![allow(clippy::missing_panics_doc, clippy::indexing_slicing, reason = "a harness fails the test by panicking")]

pub mod binary;
pub mod field;
pub mod http;
pub mod proxy;
pub mod server;

pub use binary::toso;
pub use field::FieldDevice;
pub use proxy::SlowLink;
pub use server::Server;

/// A commune of the list of 2022 (Phường Phúc Xá, Hà Nội) that the suites record in.
pub const COMMUNE: &str = "00001";
/// Another commune of the same district (Phường Trúc Bạch).
pub const OTHER_COMMUNE: &str = "00004";
