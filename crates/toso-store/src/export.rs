//! A server's log as one plain file that can be streamed: what backup, restore, export and import speak.
//!
//! The file is JSON, one value a line: a header, the log's entries (runs of changes, and commands), and an end line with
//! counts and a BLAKE3 over every byte before it. Records follow from commands, so none are written; files of format 1 have
//! them instead of commands. Of an erased change the file has what the log has: its hash and how large it was. `docs/export-format.md` describes each field. A file may be compressed as one zstd
//! frame; the reader sees that by itself.
//!
//! Everything here works over [`std::io::Read`] and [`std::io::Write`], and over any [`Log`] and [`RecordStore`]:
//!
//! - [`Exporter`] makes the file part by part, so that a caller that sends slowly holds neither a thread nor a lock;
//! - [`ExportReader`] gives the lines back, checked, in bounded memory; [`read_all`] is that as one function over
//!   arbitrary bytes;
//! - [`Importer`] puts lines into an empty store.
//!
//! [`Log`]: crate::Log
//! [`RecordStore`]: crate::RecordStore

mod error;
mod import;
mod line;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::ExportError;
pub use import::{Importer, erasures};
pub use line::{Contents, Header, Line, Run, TableRecord};
pub use read::{ExportReader, read_all};
pub use write::{Compressor, Exporter};

use crate::records::{COMMAND_BYTES_MAX, RECORD_BYTES_MAX, RECORD_CHANGES_MAX};
use toso_core::chunk::CHANGE_BYTES_MAX;

/// The number of the format that is written, and the newest that is read. It rises when an older reader would misread
/// or lose something; fields that an older reader may ignore do not raise it.
pub const EXPORT_FORMAT: u32 = 3;
/// The format that had records and no commands.
pub const RECORDS_FORMAT: u32 = 1;
/// Tables of records that files of format 1 may have and that nobody needs: a server computes them from its log.
const DERIVED_TABLES: [&str; 8] = [
    "views",
    "views_head",
    "quarantine",
    "set_aside_docs",
    "set_aside_followed",
    "quota",
    // Of earlier versions.
    "rows",
    "rows_head",
];
/// Text bytes of a run after which the next begins: a reader then needs two lines of some 100 KiB in memory.
const RUN_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Text of an entry besides its change: names, quotes, document id (26), hash (64), rounded up.
const ENTRY_TEXT_BYTES: usize = 160;
/// Text of a command's change besides its key and values: names, quotes, padding.
const COMMAND_CHANGE_TEXT_BYTES: usize = 80;
/// The longest line that a reader takes, with its line end. The longest that is written is a command of the largest size:
/// 4/3 × 512 KiB, and 80 bytes for each of 4,096 changes: 1,004 KiB. A run ends below 150 KiB (64 KiB, then one entry of a
/// 60 KiB change: 4/3 × 60 KiB = 80 KiB).
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Erased documents that a reader keeps in mind: 24 MiB of ids and sequences, four times all documents of the country.
pub const ERASURES_MAX: usize = 1024 * 1024;

const _: () = assert!(
    RUN_TEXT_BYTES_MAX + base64_bytes(CHANGE_BYTES_MAX) + 2 * ENTRY_TEXT_BYTES + 512 < LINE_BYTES_MAX,
    "the longest run fits a line"
);
const _: () = assert!(base64_bytes(RECORD_BYTES_MAX) + 1024 < LINE_BYTES_MAX, "the longest record fits a line");
const _: () = assert!(
    base64_bytes(COMMAND_BYTES_MAX) + RECORD_CHANGES_MAX * COMMAND_CHANGE_TEXT_BYTES + 1024 < LINE_BYTES_MAX,
    "the longest command fits a line"
);

/// Characters of base64 with padding.
const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}
