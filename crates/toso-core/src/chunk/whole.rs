//! Walks a whole document's bytes before Automerge does, as `scan` does for a change.
//!
//! Snapshots come from the centre or from the own store, so this is no full check (Automerge verifies every hash on
//! load); it only makes sure that the bytes cannot stand for more than they may.

use super::ChunkError;
use super::columns::{Reader, runs};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const TYPE_DOCUMENT: u8 = 0;
/// The most rows of a column: operations, changes, replaced values. A row takes 5 to 10 bytes in an honest snapshot, of
/// which at most 4 MiB are loaded.
const ROWS_MAX: usize = 1 << 20;
/// Two column lists of at most 26 each; see `scan`.
const COLUMNS_MAX: usize = 26;
const DEFLATED: u64 = 0b1000;

/// Accepts one document chunk, whole, without compressed columns, whose run-length columns stay below [`ROWS_MAX`].
pub(crate) fn check_document_envelope(bytes: &[u8]) -> Result<(), ChunkError> {
    let mut reader = Reader::new(bytes, "snapshot");
    if reader.array()? != MAGIC {
        return Err(reader.malformed());
    }
    let _checksum: [u8; 4] = reader.array()?;
    let [chunk_type] = reader.array()?;
    if chunk_type != TYPE_DOCUMENT {
        return Err(ChunkError::Foreign { what: "no document chunk" });
    }
    let length = usize::try_from(reader.u64()?).map_err(|_| reader.malformed())?;
    let mut body = Reader::new(reader.take(length)?, "snapshot");
    if !reader.is_empty() {
        return Err(ChunkError::Malformed { what: "snapshot: bytes follow the document" });
    }
    for _ in 0..body.count(ROWS_MAX)? {
        let actor = body.count(16)?;
        body.take(actor)?;
    }
    for _ in 0..body.count(ROWS_MAX)? {
        body.take(32)?;
    }
    let mut columns = Vec::new();
    for _ in 0..2 {
        for _ in 0..body.count(COLUMNS_MAX)? {
            columns.push((body.u64()?, body.u64()?));
        }
    }
    for (spec, length) in columns {
        let length = usize::try_from(length).map_err(|_| body.malformed())?;
        let data = body.take(length)?;
        if spec & DEFLATED != 0 {
            return Err(ChunkError::Foreign { what: "a compressed column" });
        }
        check_rows(spec, data)?;
    }
    Ok(())
}

fn check_rows(spec: u64, data: &[u8]) -> Result<(), ChunkError> {
    let what = "snapshot column";
    match spec & 0b111 {
        // Group, actor and integer columns, and the metadata of values.
        0..=2 | 6 => runs(data, what, ROWS_MAX, Reader::u64).map(drop),
        3 => runs(data, what, ROWS_MAX, Reader::i64).map(drop),
        4 => {
            let mut reader = Reader::new(data, what);
            let mut rows = 0;
            while !reader.is_empty() {
                rows += reader.count(ROWS_MAX)?;
                if rows > ROWS_MAX {
                    return Err(ChunkError::TooMany { what, max: ROWS_MAX });
                }
            }
            Ok(())
        }
        5 => {
            let text = |reader: &mut Reader<'_>| {
                let length = reader.count(data.len())?;
                reader.take(length).map(|_| ())
            };
            runs(data, what, ROWS_MAX, text).map(drop)
        }
        // The bytes of values; their lengths are in the metadata.
        _ => Ok(()),
    }
}
