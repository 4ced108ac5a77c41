//! A server's log and records as one plain file that can be streamed: what backup, restore, export and import speak.
//!
//! The file is JSON, one value a line: a header, the runs of the log, the records, and an end line with counts and a
//! BLAKE3 over every byte before it. `docs/export-format.md` describes each field. A file may be compressed as one zstd
//! frame; the reader sees that by itself.
//!
//! Everything here works over [`std::io::Read`] and [`std::io::Write`], and over any [`ChangeLog`] and [`RecordStore`]:
//!
//! - [`Exporter`] makes the file part by part, so that a caller that sends slowly holds neither a thread nor a lock;
//! - [`ExportReader`] gives the lines back, checked, in bounded memory; [`read_all`] is that as one function over
//!   arbitrary bytes;
//! - [`Importer`] puts lines into an empty store.
//!
//! [`ChangeLog`]: crate::ChangeLog
//! [`RecordStore`]: crate::RecordStore

mod error;
mod import;
mod line;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::ExportError;
pub use import::{Importer, ImporterOptions, left_out};
pub use line::{Header, Line, Run, Summary, TableRecord};
pub use read::{ExportReader, read_all};
pub use write::{Compressor, Exporter};

use crate::change_log::RECORD_BYTES_MAX;
use toso_core::chunk::CHANGE_BYTES_MAX;

/// The number of the format that is written, and the newest that is read. It rises when an older reader would misread
/// or lose something; fields that an older reader may ignore do not raise it.
pub const EXPORT_FORMAT: u32 = 1;
/// Tables that a server can compute again from its log, and that are therefore left out.
pub const DISPOSABLE_TABLES: [&str; 8] = [
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
/// The table of erased documents: its keys begin with the 16 bytes of a document's id.
pub const ERASURES_TABLE: &str = "erasures";
/// Read after all other tables, so that nothing refers to a device that is not there yet: a device that enrols while a
/// backup is made is then either in both its invite and its own record, or its invite is still good.
const DEVICES_TABLE: &str = "devices";

/// Text bytes of a run after which the next begins: a reader then needs two lines of some 100 KiB in memory.
const RUN_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Text of an entry besides its change: names, quotes, document id (26), hash (64), rounded up.
const ENTRY_TEXT_BYTES: usize = 160;
/// The longest line that a reader takes, with its line end. The longest that is written is the larger of a run (64 KiB,
/// then one entry of a 60 KiB change: 4/3 × 60 KiB = 80 KiB) and a record (4/3 × (60 KiB + 128 B)), each with some 200
/// bytes around it: below 150 KiB. What is left is for fields of later versions.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Erased documents that a reader keeps in mind: 16 MiB of ids, four times all documents of the country.
pub const ERASURES_MAX: usize = 1024 * 1024;

const _: () = assert!(
    RUN_TEXT_BYTES_MAX + base64_bytes(CHANGE_BYTES_MAX) + 2 * ENTRY_TEXT_BYTES + 512 < LINE_BYTES_MAX,
    "the longest run fits a line"
);
const _: () = assert!(base64_bytes(RECORD_BYTES_MAX) + 1024 < LINE_BYTES_MAX, "the longest record fits a line");

/// Characters of base64 with padding.
const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}
