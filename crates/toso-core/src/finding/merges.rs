//! Who went into whom: the one rule for following `merged_into`, for findings, phones and the centre's counts alike.
//!
//! Merges are links that people set on phones which do not see each other, so they can lead in a circle (A into B here,
//! B into A there) or to a document that has not come. Such a link is read as if it were not there: documents in a
//! circle all stand for themselves, and a chain ends where its next link is broken. Nobody disappears silently; the
//! finding [`BrokenMerge`](super::Finding::BrokenMerge) shows it to a person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::DocId;

/// The document that stands for each document of a scope.
#[derive(Debug, Clone, Default)]
pub struct Merges {
    /// Only documents whose target is another.
    targets: BTreeMap<DocId, DocId>,
    /// Links that are not followed.
    broken: BTreeMap<DocId, DocId>,
}

impl Merges {
    /// Follows every link among the documents, each given with its `merged_into`. Linear in the links, whatever shape
    /// they have.
    pub fn of(documents: impl IntoIterator<Item = (DocId, Option<DocId>)>) -> Self {
        let marks: BTreeMap<DocId, Option<DocId>> = documents.into_iter().collect();
        let mut links: BTreeMap<DocId, DocId> = BTreeMap::new();
        let mut broken: BTreeMap<DocId, DocId> = BTreeMap::new();
        for (doc, into) in marks.iter().filter_map(|(doc, into)| Some((*doc, (*into)?))) {
            let leads_on = marks.contains_key(&into) && into.kind() == doc.kind();
            if leads_on {
                links.insert(doc, into)
            } else {
                broken.insert(doc, into)
            };
        }
        let mut ends: HashMap<DocId, DocId> = HashMap::with_capacity(links.len());
        for start in links.keys() {
            let mut path = Vec::new();
            let mut place_on_path = HashMap::new();
            let mut here = *start;
            let end = loop {
                if let Some(end) = ends.get(&here) {
                    break *end;
                }
                if let Some(place) = place_on_path.get(&here) {
                    // A circle, entered at `here`: everything on it stands for itself.
                    for doc in path.drain(*place..) {
                        ends.insert(doc, doc);
                        broken.extend(links.get(&doc).map(|into| (doc, *into)));
                    }
                    break here;
                }
                place_on_path.insert(here, path.len());
                path.push(here);
                match links.get(&here) {
                    Some(next) => here = *next,
                    None => break here,
                }
            };
            ends.extend(path.into_iter().map(|doc| (doc, end)));
        }
        Self { targets: ends.into_iter().filter(|(doc, end)| doc != end).collect(), broken }
    }

    /// The document that stands for `doc`: itself when it is not merged.
    pub fn target(&self, doc: DocId) -> DocId {
        self.targets.get(&doc).copied().unwrap_or(doc)
    }

    /// True when another document stands for `doc`.
    pub fn is_merged(&self, doc: DocId) -> bool {
        self.targets.contains_key(&doc)
    }

    /// Links that lead in a circle or to a document that is not here: from, into.
    pub fn broken(&self) -> impl Iterator<Item = (DocId, DocId)> + '_ {
        self.broken.iter().map(|(from, into)| (*from, *into))
    }
}

/// The document that stands for one document, as [`Merges::target`] has it, when the links are read one by one.
///
/// `lookup` gives a document's `merged_into`, or `None` when the document is not here.
pub fn standing_for<E>(
    doc: DocId,
    mut lookup: impl FnMut(DocId) -> Result<Option<Option<DocId>>, E>,
) -> Result<DocId, E> {
    let mut passed = BTreeSet::from([doc]);
    let mut here = doc;
    let mut link = lookup(doc)?.flatten();
    while let Some(next) = link.filter(|next| next.kind() == doc.kind()) {
        // Not here: the chain ends before it.
        let Some(further) = lookup(next)? else { break };
        if !passed.insert(next) {
            // The first document to be met again is where the circle was entered, and stands for itself.
            return Ok(next);
        }
        (here, link) = (next, further);
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::unit::{UnitList, UnitRef};

    fn team(number: u32) -> DocId {
        DocId::commune_team(UnitRef::new(UnitList::L2022, "00004").unwrap(), number)
    }

    /// Teams 0..n with the given links; a link to a number at or above n is broken.
    fn marks(n: u32, links: &[(u32, u32)]) -> BTreeMap<DocId, Option<DocId>> {
        let mark = |number| links.iter().find(|(from, _)| *from == number).map(|(_, into)| team(*into));
        (0..n).map(|number| (team(number), mark(number))).collect()
    }

    fn targets(n: u32, links: &[(u32, u32)]) -> Vec<u32> {
        let merges = Merges::of(marks(n, links));
        (0..n).map(|number| (0..n).find(|other| team(*other) == merges.target(team(number))).unwrap()).collect()
    }

    #[test]
    fn a_chain_ends_at_its_last_document() {
        assert_eq!(targets(4, &[(0, 1), (1, 2), (3, 1)]), [2, 2, 2, 2]);
        assert_eq!(Merges::of(marks(4, &[(0, 1), (1, 2), (3, 1)])).broken().count(), 0);
    }

    #[test]
    fn a_circle_stands_unmerged_and_what_leads_to_it_goes_into_it() {
        let links = [(0, 1), (1, 2), (2, 1), (3, 3)];
        assert_eq!(targets(4, &links), [1, 1, 2, 3]);
        let broken: BTreeSet<_> = Merges::of(marks(4, &links)).broken().collect();
        assert_eq!(broken, BTreeSet::from([(team(1), team(2)), (team(2), team(1)), (team(3), team(3))]));
    }

    #[test]
    fn a_link_to_a_missing_document_or_another_kind_is_not_followed() {
        assert_eq!(targets(2, &[(0, 1), (1, 9)]), [1, 1]);
        let member = DocId::member(UnitRef::new(UnitList::L2022, "00004").unwrap(), [1; 11]);
        let merges = Merges::of([(team(0), Some(member)), (member, None)]);
        assert_eq!((merges.target(team(0)), merges.broken().count()), (team(0), 1));
    }

    #[test]
    fn a_long_chain_costs_no_more_than_its_length() {
        let links = (0..20_000).map(|number| (team(number), Some(team(number + 1))));
        let merges = Merges::of(links.chain([(team(20_000), None)]));
        assert_eq!(merges.target(team(0)), team(20_000));
        assert!(!merges.is_merged(team(20_000)));
    }

    proptest! {
        #[test]
        fn one_by_one_and_all_together_agree(links in prop::collection::vec((0..8_u32, 0..9_u32), 0..9)) {
            let marks = marks(8, &links);
            let merges = Merges::of(marks.clone());
            for doc in marks.keys() {
                let one = standing_for(*doc, |id| Ok::<_, Infallible>(marks.get(&id).copied())).unwrap();
                prop_assert_eq!(one, merges.target(*doc));
            }
        }
    }
}
