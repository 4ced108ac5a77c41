//! Merging chunks, of all devices alike.

use std::collections::{BTreeMap, HashMap, HashSet};

use automerge::{Automerge, AutomergeError};

use super::{Applied, Document, Panicked, guarded, read};
use crate::chunk::{ChangeHash, Chunk, ChunkError};
use crate::id::Actor;

pub(super) fn apply(document: &mut Document, chunks: &[Chunk]) -> Applied {
    let mut report = Applied::default();
    for chunk in chunks {
        let hash = chunk.hash();
        if !document.contains(&hash) {
            document.waiting.entry(hash).or_insert_with(|| chunk.clone());
        }
    }
    // A round applies all that is ready. Another follows only when a change waited not for a dependency but for its
    // actor's previous change, which no honest device makes.
    while !document.waiting.is_empty() {
        let plan = plan(document);
        let progress = !plan.ready.is_empty() || !plan.refused.is_empty();
        for (hash, reason) in plan.refused {
            quarantine(document, &mut report, hash, reason);
        }
        apply_ready(document, &mut report, &plan.ready);
        if !progress {
            break;
        }
    }
    report.waiting = document.waiting.len();
    report
}

/// What can be done with the waiting chunks.
#[derive(Default)]
struct Plan {
    /// Chunks that can be applied in this order.
    ready: Vec<ChangeHash>,
    refused: Vec<(ChangeHash, String)>,
}

fn plan(document: &Document) -> Plan {
    let mut plan = Plan::default();
    let mut last_seq: HashMap<Actor, u64> = HashMap::new();
    let mut max_ops: HashMap<ChangeHash, u64> = HashMap::new();
    for hash in dependency_order(document) {
        let Some(chunk) = document.waiting.get(&hash) else { continue };
        let facts = match chunk.facts() {
            Ok(facts) => facts,
            Err(error) => {
                plan.refused.push((hash, error.to_string()));
                continue;
            }
        };
        // A dependency that was refused, or that itself waits for its actor's previous change, is in neither place.
        let ops_before = facts.deps().map(|dep| max_ops.get(&dep).copied().or_else(|| max_op(document, &dep)));
        let Some(ops_before) = ops_before.collect::<Option<Vec<_>>>() else { continue };

        let actor = facts.actor;
        let last = last_seq.get(&actor).or_else(|| document.seqs.get(&actor)).copied().unwrap_or_default();
        if facts.seq <= last {
            plan.refused.push((hash, "another change has the same actor and sequence number".to_owned()));
        } else if facts.seq > last + 1 {
            // Waits for its actor's previous change.
        } else if Some(facts.start_op) != ops_before.into_iter().max().map(|max| max + 1) {
            // A counter far ahead would use up the 32 bits that Automerge has, and nobody could edit any more.
            plan.refused.push((hash, "its operation counter does not follow those it builds on".to_owned()));
        } else {
            last_seq.insert(actor, facts.seq);
            max_ops.insert(hash, facts.max_op());
            plan.ready.push(hash);
        }
    }
    plan
}

fn max_op(document: &Document, hash: &ChangeHash) -> Option<u64> {
    document.doc.get_change_meta_by_hash(&automerge::ChangeHash(hash.0)).map(|change| change.max_op)
}

/// The waiting chunks whose dependencies are all in the document or waiting with theirs, each after its dependencies.
fn dependency_order(document: &Document) -> Vec<ChangeHash> {
    let mut open: BTreeMap<ChangeHash, usize> = BTreeMap::new();
    let mut dependents: HashMap<ChangeHash, Vec<ChangeHash>> = HashMap::new();
    let mut order = Vec::new();
    for (hash, chunk) in &document.waiting {
        // One whose facts cannot be read waits for nothing: the plan refuses it.
        let deps: HashSet<_> = deps(chunk).filter(|dep| !document.contains(dep)).collect();
        if deps.is_empty() {
            order.push(*hash);
        } else {
            open.insert(*hash, deps.len());
            for dep in deps {
                dependents.entry(dep).or_default().push(*hash);
            }
        }
    }
    let mut next = 0;
    while let Some(hash) = order.get(next).copied() {
        next += 1;
        for dependent in dependents.remove(&hash).unwrap_or_default() {
            if let Some(count) = open.get_mut(&dependent) {
                *count -= 1;
                if *count == 0 {
                    order.push(dependent);
                }
            }
        }
    }
    order
}

/// What a change builds on; nothing when that cannot be read.
pub(super) fn deps(chunk: &Chunk) -> impl Iterator<Item = ChangeHash> {
    chunk.facts().into_iter().flat_map(|facts| facts.deps())
}

/// Applies all at once; when that fails, in halves, to find those to blame. Rebuilding takes a walk through the whole
/// document, so one by one it would take as many as there are changes: two minutes for 4,000.
fn apply_ready(document: &mut Document, report: &mut Applied, ready: &[ChangeHash]) {
    let chunks: Vec<_> = ready.iter().filter_map(|hash| document.waiting.get(hash)).cloned().collect();
    apply_or_split(document, report, &chunks);
}

fn apply_or_split(document: &mut Document, report: &mut Applied, chunks: &[Chunk]) {
    // What builds on a quarantined chunk goes on waiting.
    let mut taken: HashSet<ChangeHash> = HashSet::new();
    let mut standing = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        if deps(chunk).all(|dep| taken.contains(&dep) || document.contains(&dep)) {
            taken.insert(chunk.hash());
            standing.push(chunk.clone());
        }
    }
    if standing.is_empty() {
        return;
    }
    match (try_apply(document, &standing), standing.as_slice()) {
        (Ok(doc), _) => accept(document, report, doc, &standing),
        (Err(error), [one]) => quarantine(document, report, one.hash(), error.to_string()),
        (Err(_), _) => {
            let (first, second) = standing.split_at(standing.len() / 2);
            apply_or_split(document, report, first);
            apply_or_split(document, report, second);
        }
    }
}

/// Applies to a copy, and reads it, so that what would break reading is found now.
fn try_apply(document: &Document, chunks: &[Chunk]) -> Result<Automerge, ApplyError> {
    guarded(|| {
        let changes = chunks.iter().map(Chunk::change).collect::<Result<Vec<_>, _>>()?;
        let mut doc = document.doc.clone();
        doc.apply_changes(changes)?;
        // A change that replaces what does not exist, or what stands elsewhere, is merged without an error; Automerge
        // can then no longer rebuild it, and so neither save the document nor tell its history.
        let rebuilt = doc.get_changes(&document.doc.get_heads());
        let rebuilt: HashMap<_, _> = rebuilt.iter().map(|change| (change.hash(), change)).collect();
        for chunk in chunks {
            let rebuilt = rebuilt.get(&automerge::ChangeHash(chunk.hash().0));
            if rebuilt.is_none_or(|rebuilt| rebuilt.raw_bytes() != chunk.bytes()) {
                return Err(ApplyError::NotKept);
            }
        }
        read::probe(document.kind, &doc);
        Ok(doc)
    })?
}

fn accept(document: &mut Document, report: &mut Applied, doc: Automerge, chunks: &[Chunk]) {
    document.doc = doc;
    report.applied += chunks.len();
    for chunk in chunks {
        document.seqs.extend(chunk.facts().map(|facts| (facts.actor, facts.seq)));
        document.waiting.remove(&chunk.hash());
    }
}

fn quarantine(document: &mut Document, report: &mut Applied, hash: ChangeHash, reason: String) {
    document.waiting.remove(&hash);
    report.quarantined.push((hash, reason));
}

#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error("Automerge refused it: {0}")]
    Refused(#[from] AutomergeError),
    #[error(transparent)]
    Parse(#[from] ChunkError),
    #[error("Automerge does not keep it as it came")]
    NotKept,
}
