//! `toso verify`: everything that can be known to be wrong with a data folder or an export, without changing it.
//!
//! Opening a folder lets the storage engine finish what a crash left, as a start of the server would; nothing else is
//! written. Each check is a function of its own that tells what it finds.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use toso_catalog::Catalog;
use toso_core::change::{Body, Change};
use toso_core::document::Document;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;
use toso_projection::{Projector, Row};
use toso_store::export::{Contents, ExportReader, Line};
use toso_store::{Index as _, Log as _, Logged, RecordChange, StoreError};
use toso_store_sled::{Checked, SledChangeLog};

use super::{UpkeepError, failed, in_file, open_what_is_left};
use crate::folding::Loaded;
use crate::restored::Restored;
use crate::set_aside::SetAside;
use crate::trust::{self, Listed, REVOCATIONS_FILE, ROOT_KEY_FILE};

/// Findings that are kept word for word; more are counted. A folder that is damaged throughout would fill memory.
pub const FINDINGS_MAX: usize = 1_000;
/// Entries read at a time.
const PAGE_ITEMS_MAX: usize = 1_024;
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What a verification went through and found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Values, runs, entries, index keys, records.
    pub checked: Checked,
    /// Changes that were parsed and hashed.
    pub changes: u64,
    /// Documents that were folded.
    pub documents: u64,
    /// Documents that only a newer version reads: their changes are checked, and nothing is folded.
    pub newer: u64,
    /// The stored views count everything through this; zero when they are absent and will be made again.
    pub counted: Sequence,
    /// Where the data was restored from, if it was.
    pub restored: Option<Restored>,
    /// What is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// What is wrong beyond that.
    pub more_findings: u64,
}

impl Verified {
    /// True when nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn found(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }
}

/// Checks the folder of a stopped server.
pub fn folder(data: &Path) -> Result<Verified, UpkeepError> {
    let mut verified = Verified::default();
    let log = match open_what_is_left(data) {
        Ok(log) => Arc::new(log),
        // So damaged that it does not open: that is what was to be found.
        Err(UpkeepError::Store(error @ (StoreError::Damaged { .. } | StoreError::Lost { .. }))) => {
            verified.found(error.to_string());
            return Ok(verified);
        }
        Err(error) => return Err(error),
    };
    if let Err(lost) = log.check_whole() {
        verified.found(lost.to_string());
    }
    let mut findings = Vec::new();
    verified.checked = log.check(&mut |finding| findings.push(finding.to_string()))?;
    for finding in findings {
        verified.found(finding);
    }
    key(data, &log, &mut verified);
    let listed = revocations(data, &log, &mut verified);
    unless_damaged(listed, &mut verified)?;
    verified.restored = Restored::load(&*log)?;
    let scopes = unless_damaged(changes(&log, &mut verified), &mut verified)?.unwrap_or_default();
    let viewed = views(&log, &scopes, &mut verified);
    unless_damaged(viewed, &mut verified)?;
    Ok(verified)
}

/// Checks an export by itself.
pub fn export(path: &Path) -> Result<Contents, UpkeepError> {
    let file = File::open(path).map_err(failed("opening", path))?;
    let mut reader = ExportReader::new(BufReader::new(file)).map_err(in_file(path))?;
    loop {
        match reader.next_line().map_err(in_file(path))? {
            Line::End => return Ok(reader.contents().clone()),
            Line::Run(run) => {
                for item in &run.items {
                    if let Err(detail) = change(run.scope, item) {
                        let error = toso_store::export::ExportError::Damaged { line: reader.line(), detail };
                        return Err(in_file(path)(error));
                    }
                }
            }
            Line::Command(_) | Line::Record(_) => {}
        }
    }
}

/// Damage met on the way has been told of by the first check, but may also be new: it is told again.
fn unless_damaged<T>(result: Result<T, StoreError>, verified: &mut Verified) -> Result<Option<T>, UpkeepError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ StoreError::Damaged { .. }) => {
            verified.found(format!("{error}; the checks that need it were left out"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The list of revocations can be read, and has what the records have.
fn revocations(data: &Path, log: &SledChangeLog, verified: &mut Verified) -> Result<(), StoreError> {
    match Listed::read(&data.join(REVOCATIONS_FILE)) {
        // The next start makes it from the records, or waits for an operator.
        Ok(None) => Ok(()),
        Ok(Some(listed)) => {
            for device in trust::revoked_in(log)? {
                if !listed.devices.contains(&device) {
                    verified.found(format!("device {device} is revoked and not on the list {REVOCATIONS_FILE}"));
                }
            }
            Ok(())
        }
        Err(error) => {
            verified.found(error.to_string());
            Ok(())
        }
    }
}

/// The root key is there and is this server's.
fn key(data: &Path, log: &SledChangeLog, verified: &mut Verified) {
    let server = match super::backup::header(log, log, toso_core::time::TimestampMs::default()) {
        Ok(header) => header.server,
        Err(error) => return verified.found(error.to_string()),
    };
    match trust::read_key(&data.join(ROOT_KEY_FILE)) {
        Ok((found, _)) if found == server => {}
        Ok((found, _)) => {
            verified.found(format!("{ROOT_KEY_FILE} is the key of server {found}, the data is of server {server}"));
        }
        Err(error) => verified.found(error.to_string()),
    }
}

/// Every change that was not erased parses, has its hash, and belongs to its scope. Gives the scopes that the log has.
fn changes(log: &SledChangeLog, verified: &mut Verified) -> Result<BTreeSet<Scope>, StoreError> {
    let mut scopes = BTreeSet::new();
    let mut after = Sequence::ZERO;
    loop {
        let page = log.read(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        for entry in &page.entries {
            verified.changes += 1;
            scopes.insert(entry.scope);
            if let Err(detail) = change(entry.scope, &entry.change) {
                verified.found(format!("entry {}: {detail}", entry.sequence.0));
            }
        }
        if !page.more {
            return Ok(scopes);
        }
        after = page.through;
    }
}

/// What is wrong with a change by itself; of an erased one only its document can be looked at.
fn change(scope: Scope, item: &Change<Body>) -> Result<(), String> {
    let hash = item.hash();
    if let Some(chunk) = item.chunk() {
        let checked = chunk.raw().check().map_err(|error| format!("the change {hash} cannot be read: {error}"))?;
        if checked.hash() != hash {
            return Err(format!("the change stored as {hash} has the hash {}", checked.hash()));
        }
    }
    if !item.doc.belongs_to(scope) {
        return Err(format!("document {} does not belong to {scope}", item.doc));
    }
    Ok(())
}

/// The stored views are what folding the log through their checkpoint gives.
fn views(log: &Arc<SledChangeLog>, scopes: &BTreeSet<Scope>, verified: &mut Verified) -> Result<(), StoreError> {
    let catalog = Catalog::shared();
    let mut stored = Projector::new(catalog);
    let loaded = Loaded::load(&**log, log.last(), &mut stored, || Projector::new(catalog))?;
    verified.counted = loaded.through;
    let set_aside = SetAside::load(catalog, &**log, Arc::clone(log) as _)?;
    let mut unsettled = set_aside.unsettled();
    unsettled.extend(erased_after(log, loaded.through)?);
    let mut fresh = Projector::new(catalog);
    for scope in scopes {
        for doc in log.documents(*scope)? {
            if doc.kind().is_none() {
                verified.newer += 1;
                continue;
            }
            verified.documents += 1;
            if unsettled.contains(&doc) {
                // The next start makes it again, as an officer has decided or since it was erased.
                if let Some(row) = stored.row(doc) {
                    fresh.apply(*scope, doc, row.clone());
                }
                continue;
            }
            let Some(row) = refold(log, &set_aside, doc, &loaded, stored.row(doc).is_some(), verified)? else {
                continue;
            };
            if stored.row(doc).is_some_and(|stored| *stored != row) {
                verified.found(format!("the stored row of document {doc} is not what its changes give"));
            }
            fresh.apply(*scope, doc, row);
        }
    }
    // Also rows that are missing or too many, and counters.
    if let Some(difference) = fresh.first_difference(&mut stored) {
        verified.found(difference.to_string());
    }
    Ok(())
}

/// Documents that were erased after an entry: counting may not have met that yet.
fn erased_after(log: &SledChangeLog, mut after: Sequence) -> Result<HashSet<DocId>, StoreError> {
    let mut erased = HashSet::new();
    loop {
        let tail = log.tail(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        let Some(last) = tail.last() else { return Ok(erased) };
        after = last.sequence();
        for entry in &tail {
            if let Logged::Command(command) = entry {
                erased.extend(command.changes.iter().filter_map(RecordChange::erases));
            }
        }
    }
}

/// A document's row from its changes up to the checkpoint; `None` when it has none so early. One whose changes are all
/// in quarantine has an empty row, or none at all when merging them had broken down.
fn refold(
    log: &SledChangeLog,
    set_aside: &SetAside,
    doc: DocId,
    loaded: &Loaded,
    is_stored: bool,
    verified: &mut Verified,
) -> Result<Option<Row>, StoreError> {
    let mut entries = log.document(doc)?;
    entries.retain(|entry| entry.sequence <= loaded.through);
    entries = set_aside.clean(entries);
    let begun = !entries.is_empty();
    entries.retain(|entry| !loaded.quarantined.contains(&entry.change.hash()));
    let chunks = crate::documents::chunks(&entries);
    if !begun || (chunks.is_empty() && !is_stored) {
        return Ok(None);
    }
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let (document, applied) = Document::fold(doc, &chunks)?;
        Some((Row::from_record(&document.read()), applied.quarantined.len()))
    }));
    match folded {
        Ok(None) => Ok(None),
        Ok(Some((row, 0))) => Ok(Some(row)),
        Ok(Some((row, refused))) => {
            verified.found(format!("{refused} changes of document {doc} cannot be merged and are not in quarantine"));
            Ok(Some(row))
        }
        Err(_) => {
            verified.found(format!("merging document {doc} panicked"));
            Ok(None)
        }
    }
}
