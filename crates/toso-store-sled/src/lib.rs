//! The storage traits on sled 0.34, for the phone ([`SledChunkStore`]) and for the single server ([`SledChangeLog`]).
//!
//! A call becomes a set of keys and values (`staged.rs`), the set becomes one sled batch, which sled recovers whole or
//! not at all, and the call returns after sled's flush *and* a `sync_data` of sled's file (`engine.rs`). Calls that come
//! while another is at the disk wait, and ride together on the next flush (`group.rs`); there is no timer.
//!
//! sled calls itself beta. What this crate does about its measured weaknesses:
//!
//! - Its flush on Linux is not safe against loss of power: the sync follows it, and comes before every answer.
//! - It puts pages over 128 KiB into files of their own, which nothing ever syncs. No value here has more than 4 KiB
//!   (larger ones are cut into parts), so no page ever reaches that size.
//! - It can lose its way when the disk is full. A reserve of free space is checked before each write, and a write that
//!   fails all the same stops all further writes until the folder is opened again.
//! - It takes a snapshot that it had not finished, when it was stopped while opening, for damage: such files are removed
//!   before it looks.
//! - It takes a data file that was cut short or lost for an empty one: `low_water.rs` keeps what it is known to hold.
//! - It frees space only by and by. `docs/storage-format.md` has the figures.
//!
//! A phone's folder can be encrypted ([`SledChunkStore::open_encrypted`]): `cipher.rs` seals each value on its way to
//! sled and hides the document ids in keys, `key.rs` has the key that the app gives and the one it wraps.
//!
//! The layout of folder, keys and values is in `docs/storage-format.md`, and changes only with [`FORMAT_VERSION`].

mod change_log;
mod chunk_store;
mod cipher;
mod engine;
mod folder;
mod group;
mod key;
mod low_water;
mod options;
mod staged;
mod value;

pub use change_log::{Checked, SledChangeLog};
pub use chunk_store::SledChunkStore;
pub use folder::FORMAT_VERSION;
pub use key::StoreKey;
pub use options::Options;

/// The first byte of overflow keys; every other key space uses another letter.
pub(crate) const OVERFLOW_SPACE: u8 = b'+';
