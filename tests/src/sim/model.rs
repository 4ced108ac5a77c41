//! An independent model: what people wrote, without documents, logs or merges, and what must come of it.
//!
//! An edit sets fields of a document and knows the edits that were on its phone. It overwrites those of them that set
//! the same field. A field whose remaining edits agree has that value; where they differ, the field is in conflict and
//! the model says nothing of it but that it is.

use std::collections::{BTreeMap, BTreeSet};

use toso_core::chunk::ChangeHash;
use toso_core::id::{DocId, DocKind};
use toso_core::unit::Scope;

/// One save.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    /// Its commune.
    pub(super) scope: Scope,
    /// Its document.
    pub(super) doc: DocId,
    /// The fields it sets, as text.
    pub(super) fields: Vec<(&'static str, String)>,
    /// The changes of the document that its author had.
    pub(super) seen: BTreeSet<ChangeHash>,
}

/// Everything that was saved and survived.
#[derive(Debug, Default)]
pub(super) struct Model {
    edits: BTreeMap<DocId, Vec<(ChangeHash, Saved)>>,
}

/// What a commune has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Teams that count.
    pub(super) teams: u64,
    /// Members that count.
    pub(super) members: u64,
}

type Fields = BTreeMap<&'static str, BTreeSet<String>>;

impl Model {
    /// A save that is on its phone's disk.
    pub(super) fn save(&mut self, hash: ChangeHash, saved: Saved) {
        self.edits.entry(saved.doc).or_default().push((hash, saved));
    }

    /// Every save.
    pub(super) fn saves(&self) -> impl Iterator<Item = (DocId, ChangeHash)> {
        self.edits.iter().flat_map(|(doc, edits)| edits.iter().map(|(hash, _)| (*doc, *hash)))
    }

    /// True when the save is known.
    pub(super) fn has(&self, doc: DocId, hash: ChangeHash) -> bool {
        self.edits.get(&doc).is_some_and(|edits| edits.iter().any(|(known, _)| *known == hash))
    }

    /// What of it a register shows that has these changes: a save shows once everything shows that its author had seen.
    /// Until then its document stands there without it, empty if need be.
    pub(super) fn registered(&self, log: &BTreeSet<(DocId, ChangeHash)>) -> Self {
        let mut edits = self.edits.clone();
        for (doc, saves) in &mut edits {
            saves.retain(|(hash, _)| log.contains(&(*doc, *hash)));
            let mut shown: BTreeSet<ChangeHash> = saves.iter().map(|(hash, _)| *hash).collect();
            loop {
                let before = shown.len();
                for (hash, saved) in saves.iter() {
                    if !saved.seen.is_subset(&shown) {
                        shown.remove(hash);
                    }
                }
                if shown.len() == before {
                    break;
                }
            }
            for (_, saved) in saves.iter_mut().filter(|(hash, _)| !shown.contains(hash)) {
                saved.fields.clear();
            }
        }
        edits.retain(|_, saves| !saves.is_empty());
        Self { edits }
    }

    /// The remaining values of every field of every document of a commune.
    pub(super) fn documents(&self, scope: Scope) -> BTreeMap<DocId, Fields> {
        let here = self.edits.iter().filter(|(_, edits)| edits.iter().any(|(_, saved)| saved.scope == scope));
        here.map(|(doc, edits)| (*doc, fields(edits))).collect()
    }

    /// The figures of a commune; `None` when a conflict makes them a matter of which value is shown.
    pub(super) fn counts(&self, scope: Scope) -> Option<Counts> {
        let documents = self.documents(scope);
        let one = |doc: &DocId, field: &str| -> Result<Option<&String>, ()> {
            match documents.get(doc).and_then(|fields| fields.get(field)) {
                None => Ok(None),
                Some(values) if values.len() == 1 => Ok(values.first()),
                Some(_) => Err(()),
            }
        };
        let link = |doc: &DocId| -> Result<Option<DocId>, ()> {
            let into = one(doc, "merged_into")?.filter(|text| !text.is_empty());
            let into = into.and_then(|text| text.parse::<DocId>().ok());
            Ok(into.filter(|into| into.kind() == doc.kind() && documents.contains_key(into)))
        };
        // Which document stands for one: the end of its chain; one on a circle stands for itself.
        let target = |doc: DocId| -> Result<DocId, ()> {
            let mut path = vec![doc];
            while let Some(next) = link(path.last().unwrap_or(&doc))? {
                if let Some(entry) = path.iter().position(|passed| *passed == next) {
                    return Ok(if entry == 0 { doc } else { next });
                }
                path.push(next);
            }
            Ok(*path.last().unwrap_or(&doc))
        };
        let team_counts = |doc: DocId| -> Result<bool, ()> {
            let active = one(&doc, "status")?.is_none_or(|status| status == "active");
            Ok(active && target(doc)? == doc)
        };
        let count = || -> Result<Counts, ()> {
            let mut counts = Counts::default();
            for doc in documents.keys() {
                match doc.kind() {
                    Some(DocKind::Team) => counts.teams += u64::from(team_counts(*doc)?),
                    Some(DocKind::Member) => {
                        let team = one(doc, "team")?.and_then(|text| text.parse::<DocId>().ok());
                        if target(*doc)? != *doc {
                            continue;
                        }
                        let Some(team) = team else { continue };
                        let team = target(team)?;
                        counts.members += u64::from(documents.contains_key(&team) && team_counts(team)?);
                    }
                    Some(DocKind::Commune) | None => {}
                }
            }
            Ok(counts)
        };
        count().ok()
    }
}

fn fields(edits: &[(ChangeHash, Saved)]) -> Fields {
    let mut fields: Fields = BTreeMap::new();
    for (hash, saved) in edits {
        for (field, value) in &saved.fields {
            let overwritten = edits
                .iter()
                .any(|(_, later)| later.seen.contains(hash) && later.fields.iter().any(|(other, _)| other == field));
            if !overwritten {
                fields.entry(field).or_default().insert(value.clone());
            }
        }
    }
    fields
}
