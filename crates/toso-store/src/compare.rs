//! Says where two stores differ that should be the same, since they hold the same entries.

use std::collections::{BTreeMap, BTreeSet};

use toso_core::change::Entry;
use toso_core::id::{DocId, Sequence};
use toso_core::unit::Scope;

use crate::StoreError;
use crate::change_log::Logged;
use crate::index::ChangeLog;
use crate::records::{Holds, RecordStore};

/// Entries that are compared at a time.
const PAGE_ITEMS_MAX: usize = 1_024;
/// Bytes of entries or records that are compared at a time.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// The first difference between two stores: of their entries, of what their indexes answer, or of their tables of truth.
/// Derived records are not compared: one store may have them and the other not.
pub fn first_difference<A, B>(one: &A, other: &B) -> Result<Option<String>, StoreError>
where
    A: ChangeLog + RecordStore,
    B: ChangeLog + RecordStore,
{
    let mut documents: BTreeMap<Scope, BTreeSet<DocId>> = BTreeMap::new();
    let mut after = Sequence::ZERO;
    loop {
        let left = one.tail(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        if left != other.tail(after, PAGE_ITEMS_MAX, PAGE_BYTES_MAX)? {
            return Ok(Some(format!("the entries after {} differ", after.0)));
        }
        let Some(last) = left.last() else { break };
        after = last.sequence();
        for entry in left {
            if let Logged::Change(Entry { scope, change, .. }) = entry {
                documents.entry(scope).or_default().insert(change.doc);
            }
        }
    }
    if (one.last(), one.end()) != (other.last(), other.end()) {
        return Ok(Some("their ends differ".to_owned()));
    }
    for (scope, of_scope) in documents {
        if let Some(difference) = difference_of_scope(one, other, scope, &of_scope)? {
            return Ok(Some(difference));
        }
    }
    difference_of_truth(one, other)
}

fn difference_of_scope<A: ChangeLog, B: ChangeLog>(
    one: &A,
    other: &B,
    scope: Scope,
    documents: &BTreeSet<DocId>,
) -> Result<Option<String>, StoreError> {
    let last = one.last_of_scopes(&[scope])?;
    if last != other.last_of_scopes(&[scope])? {
        return Ok(Some(format!("the ends of {scope} differ")));
    }
    for at in [last, Sequence(last.0 / 2)] {
        if one.summary(&[scope], at)? != other.summary(&[scope], at)? {
            return Ok(Some(format!("the sums of {scope} at {} differ", at.0)));
        }
    }
    let listed = one.documents(scope)?;
    if !listed.iter().eq(documents) || listed != other.documents(scope)? {
        return Ok(Some(format!("the documents of {scope} differ")));
    }
    for doc in listed {
        let entries = one.document(doc)?;
        if entries != other.document(doc)? || one.document_size(scope, doc)? != other.document_size(scope, doc)? {
            return Ok(Some(format!("what is known of document {doc} differs")));
        }
        for entry in entries {
            let hash = entry.change.hash();
            if !one.contains(doc, &hash)? || !other.contains(doc, &hash)? {
                return Ok(Some(format!("a change of document {doc} is not known")));
            }
        }
    }
    Ok(None)
}

fn difference_of_truth<A: RecordStore, B: RecordStore>(one: &A, other: &B) -> Result<Option<String>, StoreError> {
    let truth = |tables: Vec<(String, Holds)>| -> Vec<String> {
        tables.into_iter().filter(|(_, holds)| *holds == Holds::Truth).map(|(table, _)| table).collect()
    };
    let tables = truth(one.tables()?);
    if tables != truth(other.tables()?) {
        return Ok(Some("their tables of truth differ".to_owned()));
    }
    for table in tables {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = one.records_after(&table, after.as_deref(), PAGE_BYTES_MAX)?;
            if page != other.records_after(&table, after.as_deref(), PAGE_BYTES_MAX)? {
                return Ok(Some(format!("table {table} differs")));
            }
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
        }
    }
    Ok(None)
}
