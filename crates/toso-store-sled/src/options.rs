//! How much memory and disk a store may take.

/// A phone's page cache: what a cheap phone can spare for an app in the background.
const PHONE_CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Free space that a phone keeps: four of sled's 512 KiB segments, so that a commit and the pages it makes sled rewrite
/// still find room. What the commit itself brings is counted on top.
const PHONE_RESERVE_BYTES: u64 = 4 * 512 * 1024;
/// A server's page cache: the indexes of a national log (about 300,000 chunks) with room to spare.
const SERVER_CACHE_BYTES: u64 = 256 * 1024 * 1024;
/// Free space that a server keeps: thirty-two segments, since a group carries more and rewrites more. What the group
/// itself brings is counted on top.
const SERVER_RESERVE_BYTES: u64 = 32 * 512 * 1024;

/// How much memory and disk a store may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of sled's page cache.
    pub cache_bytes: u64,
    /// Free bytes that must remain on the disk: a write that would go below is refused with
    /// [`toso_store::StoreError::Full`], before sled meets the end of the disk, where it behaves badly.
    pub space_reserve_bytes: u64,
}

impl Options {
    /// For a phone: 8 MiB of cache, 2 MiB of reserve.
    pub const fn phone() -> Self {
        Self { cache_bytes: PHONE_CACHE_BYTES, space_reserve_bytes: PHONE_RESERVE_BYTES }
    }

    /// For a server: 256 MiB of cache, 16 MiB of reserve.
    pub const fn server() -> Self {
        Self { cache_bytes: SERVER_CACHE_BYTES, space_reserve_bytes: SERVER_RESERVE_BYTES }
    }
}
