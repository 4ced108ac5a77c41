//! Puts the lines of a file into an empty store.

use std::collections::HashMap;
use std::io::Read;

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::time::TimestampMs;

use super::{DERIVED_TABLES, ERASURES_MAX, ExportError, ExportReader, Line, Run, TableRecord};
use crate::StoreError;
use crate::change_log::{KNOWN_ALREADY, Logged};
use crate::index::ChangeLog;
use crate::records::{COMMAND_ERASURES_MAX, RecordChange, RecordStore, erased_document};

/// Records in one command: few enough to be small, many enough that a disk's sync is shared.
const COMMAND_RECORDS_MAX: usize = 256;
/// Bytes of records after which a command ends: with one more record it has half of what a command may have.
const COMMAND_RECORD_BYTES_MAX: usize = 192 * 1024;
/// Entries in one call, and their bytes: one sync for all of them.
const APPLY_ENTRIES_MAX: usize = 4096;
const APPLY_BYTES_MAX: usize = 1024 * 1024;

/// Puts lines into an empty store, durable when [`Self::take`] has returned.
pub struct Importer<'a> {
    log: &'a dyn ChangeLog,
    records: &'a dyn RecordStore,
    erasures: HashMap<DocId, Sequence>,
    entries: Vec<Logged>,
    entry_bytes: usize,
    changes: Vec<RecordChange>,
    change_bytes: usize,
    erasing: usize,
    erased: u64,
}

impl<'a> Importer<'a> {
    /// Begins. Of changes of these documents, up to these sequences, nothing is stored but that they were there.
    pub fn new(log: &'a dyn ChangeLog, records: &'a dyn RecordStore, erasures: HashMap<DocId, Sequence>) -> Self {
        Self {
            log,
            records,
            erasures,
            entries: Vec::new(),
            entry_bytes: 0,
            changes: Vec::new(),
            change_bytes: 0,
            erasing: 0,
            erased: 0,
        }
    }

    /// Puts a whole file in; how many changes were stored without the bytes that the file has of them.
    pub fn take<R: Read>(mut self, reader: &mut ExportReader<R>) -> Result<u64, ExportError> {
        let at = reader.header().exported_at;
        loop {
            match reader.next_line()? {
                Line::Run(run) => self.run(run, reader.line())?,
                Line::Command(command) => self.entry(Logged::Command(command), reader.line())?,
                Line::Record(record) => self.record(record, at, reader.line())?,
                Line::End => break,
            }
        }
        self.apply(reader.line())?;
        self.command(at)?;
        Ok(self.erased)
    }

    fn run(&mut self, run: Run, line: u64) -> Result<(), ExportError> {
        let Run { first, scope, author, received_at, items } = run;
        for (offset, mut change) in (0..).zip(items) {
            let sequence = first.plus(offset);
            let is_erased = self.erasures.get(&change.doc).is_some_and(|through| sequence <= *through);
            if is_erased && change.chunk().is_some() {
                change = change.erased();
                self.erased += 1;
            }
            self.entry(Logged::Change(Entry { sequence, scope, author, received_at, change }), line)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Logged, line: u64) -> Result<(), ExportError> {
        self.entry_bytes += entry.bytes();
        self.entries.push(entry);
        if self.entries.len() >= APPLY_ENTRIES_MAX || self.entry_bytes >= APPLY_BYTES_MAX {
            return self.apply(line);
        }
        Ok(())
    }

    /// Puts in what is gathered.
    fn apply(&mut self, line: u64) -> Result<(), ExportError> {
        let entries = std::mem::take(&mut self.entries);
        self.entry_bytes = 0;
        if entries.is_empty() {
            return Ok(());
        }
        match self.log.apply(&entries) {
            Ok(()) => Ok(()),
            Err(StoreError::NotNext { detail, .. }) => {
                let detail = if detail == KNOWN_ALREADY {
                    "at or shortly before it a change comes for the second time".to_owned()
                } else {
                    format!("at or shortly before it an entry does not fit those before: {detail}")
                };
                Err(ExportError::Damaged { line, detail })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A record of a file of format 1: with others it becomes a command.
    fn record(&mut self, record: TableRecord, at: TimestampMs, line: u64) -> Result<(), ExportError> {
        self.apply(line)?;
        let TableRecord { table, key, value } = record;
        if DERIVED_TABLES.contains(&table.as_str()) {
            return Ok(());
        }
        self.change_bytes += value.len();
        let change = RecordChange { table, key, value: Some(value), expect: None };
        self.erasing += usize::from(change.erases().is_some());
        self.changes.push(change);
        let is_full = self.changes.len() >= COMMAND_RECORDS_MAX || self.erasing >= COMMAND_ERASURES_MAX;
        if is_full || self.change_bytes >= COMMAND_RECORD_BYTES_MAX { self.command(at) } else { Ok(()) }
    }

    fn command(&mut self, at: TimestampMs) -> Result<(), ExportError> {
        let changes = std::mem::take(&mut self.changes);
        (self.change_bytes, self.erasing) = (0, 0);
        if !changes.is_empty() {
            self.records.command(at, &changes)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Importer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("erased", &self.erased).finish_non_exhaustive()
    }
}

/// Reads a whole file and gives the documents that it says were erased, and up to where: they must be known before its first
/// entry is put anywhere. `each` sees every line with its number, and may refuse it.
pub fn erasures<R: Read>(
    reader: &mut ExportReader<R>,
    mut each: impl FnMut(&Line, u64) -> Result<(), ExportError>,
) -> Result<HashMap<DocId, Sequence>, ExportError> {
    let mut documents = HashMap::new();
    loop {
        let line = reader.next_line()?;
        each(&line, reader.line())?;
        match &line {
            Line::End => return Ok(documents),
            Line::Command(command) => {
                let erased = command.changes.iter().filter_map(RecordChange::erases);
                documents.extend(erased.map(|doc| (doc, command.sequence)));
            }
            // Records of format 1 come after all changes.
            Line::Record(TableRecord { table, key, .. }) => {
                documents.extend(erased_document(table, key).map(|doc| (doc, reader.header().last)));
            }
            Line::Run(_) => {}
        }
        if documents.len() > ERASURES_MAX {
            return Err(ExportError::TooManyErasures { line: reader.line(), max: ERASURES_MAX });
        }
    }
}
