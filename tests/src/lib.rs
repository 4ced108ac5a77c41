//! The harness of the end-to-end suites: the real `toso` binary, real folders, real sockets, and a slow link between.
//!
//! Suites are in `tests/tests/`. Everything listens on loopback and ends with its owner.

#![allow(clippy::missing_panics_doc, clippy::indexing_slicing, reason = "a harness fails the test by panicking")]

pub mod binary;
pub mod field;
pub mod hostile_input;
pub mod http;
pub mod kills;
pub mod load;
pub mod memory;
pub mod middlebox;
pub mod phone;
pub mod power;
pub mod rogue;
pub mod server;
pub mod sim;
pub mod small_disk;
pub mod soak;
pub mod tls;
pub mod trace;

pub use binary::toso;
pub use field::FieldDevice;
pub use server::Server;
pub use small_disk::SmallDisk;
pub use toso_bench::link::{LinkShape, SlowLink};
pub use toso_bench::wiretap;

/// A commune of the list of 2022 (Phường Phúc Xá, Hà Nội) that the suites record in.
pub const COMMUNE: &str = "00001";
/// Another commune of the same district (Phường Trúc Bạch).
pub const OTHER_COMMUNE: &str = "00004";

/// The seed of a run: `TOSO_SEED`, or a new one. The code that draws from it prints it, so that a failure can be repeated.
pub fn seed() -> u64 {
    std::env::var("TOSO_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::from(since.subsec_nanos()) << 16 | u64::from(std::process::id() & 0xffff)
    })
}
