//! Why an export file cannot be written, read or put into a store; always with the line.

use crate::StoreError;

/// Why an export file cannot be written, read or put into a store.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file could not be read or written.
    #[error("{operation} failed at line {line}: {detail}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Which line.
        line: u64,
        /// What the system said.
        detail: String,
    },
    /// The file ends before its end line.
    #[error(
        "the file ends at line {line}, before its end line: it was cut off while it was written or copied; copy it \
         again, or take an older one"
    )]
    Truncated {
        /// The line that is not whole, or the first that is missing.
        line: u64,
    },
    /// The content is not what was written.
    #[error("line {line} is damaged: {detail}; copy the file again, or take an older one")]
    Damaged {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A line longer than any that is written.
    #[error(
        "line {line} has more than {max} bytes, which no export has; this is not an export of toso, or it is damaged"
    )]
    LineTooLong {
        /// Which line.
        line: u64,
        /// The limit.
        max: usize,
    },
    /// Not an export at all.
    #[error("line 1 is not the header of a toso export; choose a file that `toso backup` or `toso export` wrote")]
    NotAnExport,
    /// Written by a newer version.
    #[error("line 1 says export format {found}, this version reads up to {supported}; use a newer version of toso")]
    NewerFormat {
        /// The file's.
        found: u32,
        /// The newest that is understood.
        supported: u32,
    },
    /// More erased documents than a reader keeps.
    #[error("line {line}: more than {max} erased documents; use a newer version of toso")]
    TooManyErasures {
        /// Which line.
        line: u64,
        /// The limit.
        max: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
