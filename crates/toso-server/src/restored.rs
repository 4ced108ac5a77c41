//! What a restored server remembers of where its data comes from.

use toso_core::id::{Epoch, Sequence};
use toso_core::time::TimestampMs;
use toso_store::{RecordStore, StoreError};

use crate::tables::SERVER_TABLE;

/// What a restored server remembers of where it comes from: old epoch, last sequence, time, each 8 bytes big-endian.
pub(crate) const RESTORED_KEY: &[u8] = b"restored_from";

/// Where a restored server's data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The epoch of the server that was backed up.
    pub epoch: Epoch,
    /// The last sequence of the backup, in that epoch.
    pub last: Sequence,
    /// When it was restored.
    pub at: TimestampMs,
}

impl Restored {
    /// What the records say; `None` for a server that was never restored.
    pub fn load(records: &dyn RecordStore) -> Result<Option<Self>, StoreError> {
        let Some(value) = records.record(SERVER_TABLE, RESTORED_KEY)? else { return Ok(None) };
        let mut numbers = value.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let (Some(epoch), Some(last), Some(at)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return Ok(None);
        };
        Ok(Some(Self { epoch: Epoch(epoch), last: Sequence(last), at: TimestampMs(at) }))
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.epoch.0, self.last.0, self.at.0].iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}
