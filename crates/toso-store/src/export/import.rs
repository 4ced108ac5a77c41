//! Puts the lines of a file into an empty store.

use std::collections::HashSet;
use std::io::Read;

use super::{ERASURES_MAX, ExportError, ExportReader, Line, Run, TableRecord};
use crate::change_log::{ChangeLog, Durability, LogBatch, RecordChange, RecordStore};

/// Records in one write: few enough to be small, many enough that a disk's sync is shared.
const WRITE_RECORDS_MAX: usize = 256;
/// Bytes of records in one write.
const WRITE_BYTES_MAX: usize = 1024 * 1024;
/// Runs in one append, and their bytes: one sync for all of them.
const APPEND_RUNS_MAX: usize = 512;
const APPEND_BYTES_MAX: usize = 1024 * 1024;

/// What becomes of erased documents.
#[derive(Debug, Clone, Default)]
pub struct ImporterOptions {
    /// Documents whose entries are left out.
    pub erased: HashSet<[u8; 16]>,
    /// True where an entry of an erased document is an error, since leaving it out would change sequences.
    pub keep_sequences: bool,
}

/// Puts lines into an empty store, durable when [`Self::take`] has returned.
pub struct Importer<'a> {
    log: &'a dyn ChangeLog,
    records: &'a dyn RecordStore,
    options: ImporterOptions,
    batches: Vec<LogBatch>,
    batch_bytes: usize,
    changes: Vec<RecordChange>,
    change_bytes: usize,
    left_out: u64,
}

impl<'a> Importer<'a> {
    /// Begins.
    pub fn new(log: &'a dyn ChangeLog, records: &'a dyn RecordStore, options: ImporterOptions) -> Self {
        Self {
            log,
            records,
            options,
            batches: Vec::new(),
            batch_bytes: 0,
            changes: Vec::new(),
            change_bytes: 0,
            left_out: 0,
        }
    }

    /// Puts a whole file in; how many entries were left out.
    pub fn take<R: Read>(mut self, reader: &mut ExportReader<R>) -> Result<u64, ExportError> {
        loop {
            match reader.next_line()? {
                Line::Run(run) => self.run(run, reader.line())?,
                Line::Record(record) => self.record(record, reader.line())?,
                Line::End => break,
            }
        }
        self.append(reader.line())?;
        self.write()?;
        let last = self.log.last().0;
        if last + self.left_out != reader.header().last.0 {
            let detail =
                format!("{last} entries were stored and {} left out of {}", self.left_out, reader.header().last.0);
            return Err(ExportError::Damaged { line: reader.line(), detail });
        }
        Ok(self.left_out)
    }

    fn run(&mut self, run: Run, line: u64) -> Result<(), ExportError> {
        let before = run.items.len();
        let mut items = run.items;
        items.retain(|item| !self.options.erased.contains(item.doc.as_bytes()));
        if items.len() < before && self.options.keep_sequences {
            return Err(ExportError::Erased { line });
        }
        self.left_out += (before - items.len()) as u64;
        if items.is_empty() {
            return Ok(());
        }
        self.batch_bytes += items.iter().map(|item| item.bytes().len()).sum::<usize>();
        self.batches.push(LogBatch { scope: run.scope, author: run.author, received_at: run.received_at, items });
        if self.batches.len() >= APPEND_RUNS_MAX || self.batch_bytes >= APPEND_BYTES_MAX {
            self.append(line)
        } else {
            Ok(())
        }
    }

    /// Appends what is gathered; a chunk that the log has already would shift every sequence after it.
    fn append(&mut self, line: u64) -> Result<(), ExportError> {
        let batches = std::mem::take(&mut self.batches);
        self.batch_bytes = 0;
        if batches.is_empty() {
            return Ok(());
        }
        let appended = self.log.append(&batches)?;
        let all_new = appended.iter().zip(&batches).all(|(appended, batch)| appended.new == batch.items.len());
        if all_new {
            return Ok(());
        }
        Err(ExportError::Damaged {
            line,
            detail: "at or shortly before it a change comes for the second time".to_owned(),
        })
    }

    fn record(&mut self, record: TableRecord, line: u64) -> Result<(), ExportError> {
        self.append(line)?;
        self.change_bytes += record.value.len();
        let TableRecord { table, key, value } = record;
        self.changes.push(RecordChange { table, key, value: Some(value), expect: None });
        if self.changes.len() >= WRITE_RECORDS_MAX || self.change_bytes >= WRITE_BYTES_MAX {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&mut self) -> Result<(), ExportError> {
        let changes = std::mem::take(&mut self.changes);
        self.change_bytes = 0;
        if changes.is_empty() { Ok(()) } else { Ok(self.records.write(&changes, Durability::Durable)?) }
    }
}

impl std::fmt::Debug for Importer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("left_out", &self.left_out).finish_non_exhaustive()
    }
}

/// Reads a whole file and gives the documents that it says were erased: they must be known before its first entry is
/// put anywhere. `each` sees every line with its number, and may refuse it.
pub fn left_out<R: Read>(
    reader: &mut ExportReader<R>,
    mut each: impl FnMut(&Line, u64) -> Result<(), ExportError>,
) -> Result<HashSet<[u8; 16]>, ExportError> {
    let mut erased = HashSet::new();
    loop {
        let line = reader.next_line()?;
        each(&line, reader.line())?;
        match &line {
            Line::End => return Ok(erased),
            Line::Record(record) => erased.extend(record.erased()),
            Line::Run(_) => {}
        }
        if erased.len() > ERASURES_MAX {
            return Err(ExportError::TooManyErasures { line: reader.line(), max: ERASURES_MAX });
        }
    }
}
