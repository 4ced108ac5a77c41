//! Who went into whom, within one commune.
//!
//! Merges are links that people set on phones which do not see each other, so they can lead in a circle (A into B here,
//! B into A there) or to a document that has not come. Such a link is read as if it were not there: documents in a
//! circle all stand for themselves, and a chain ends where its next link is broken. Nobody disappears silently; the
//! finding `broken_merge` shows it to a person.

use std::collections::{BTreeMap, HashMap};

use toso_core::id::DocId;

use crate::row::Row;

/// The final target of every document of a commune that was merged.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    /// Only documents whose target is another.
    targets: BTreeMap<DocId, DocId>,
}

impl Merges {
    /// Follows every link among the rows. Linear in the links, whatever shape they have.
    pub(crate) fn of(rows: &BTreeMap<DocId, Row>) -> Self {
        let links: BTreeMap<DocId, DocId> =
            rows.iter().filter_map(|(doc, row)| Some((*doc, link(rows, row)?))).collect();
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
                    ends.extend(path.drain(*place..).map(|doc| (doc, doc)));
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
        Self { targets: ends.into_iter().filter(|(doc, end)| doc != end).collect() }
    }

    /// The document that stands for `doc`: itself when it is not merged.
    pub(crate) fn target(&self, doc: DocId) -> DocId {
        self.targets.get(&doc).copied().unwrap_or(doc)
    }

    /// True when another document stands for `doc`.
    pub(crate) fn is_merged(&self, doc: DocId) -> bool {
        self.targets.contains_key(&doc)
    }
}

/// The link of a row, if its target is here and of the same kind.
fn link(rows: &BTreeMap<DocId, Row>, row: &Row) -> Option<DocId> {
    match row {
        Row::Team(team) => team.merged_into.filter(|into| matches!(rows.get(into), Some(Row::Team(_)))),
        Row::Member(member) => member.merged_into.filter(|into| matches!(rows.get(into), Some(Row::Member(_)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use toso_core::record::TeamLevel;
    use toso_core::unit::{UnitList, UnitRef};

    use super::*;
    use crate::row::TeamRow;

    fn team(number: u32) -> DocId {
        DocId::commune_team(UnitRef::new(UnitList::L2022, "00004").unwrap(), number)
    }

    /// Teams 0..n with the given links; a link to a number at or above n is broken.
    fn merges(n: u32, links: &[(u32, u32)]) -> Vec<u32> {
        let mut rows: BTreeMap<DocId, Row> = BTreeMap::new();
        for number in 0..n {
            let mut row = TeamRow::active(TeamLevel::Commune);
            row.merged_into = links.iter().find(|(from, _)| *from == number).map(|(_, into)| team(*into));
            rows.insert(team(number), Row::Team(row));
        }
        let merges = Merges::of(&rows);
        (0..n).map(|number| (0..n).find(|other| team(*other) == merges.target(team(number))).unwrap()).collect()
    }

    #[test]
    fn a_chain_ends_at_its_last_document() {
        assert_eq!(merges(4, &[(0, 1), (1, 2), (3, 1)]), [2, 2, 2, 2]);
    }

    #[test]
    fn a_circle_stands_unmerged_and_what_leads_to_it_goes_into_it() {
        assert_eq!(merges(4, &[(0, 1), (1, 2), (2, 1), (3, 3)]), [1, 1, 2, 3]);
    }

    #[test]
    fn a_link_to_a_missing_document_is_not_followed() {
        assert_eq!(merges(2, &[(0, 1), (1, 9)]), [1, 1]);
    }

    #[test]
    fn a_long_chain_costs_no_more_than_its_length() {
        let links: Vec<_> = (0..20_000).map(|number| (number, number + 1)).collect();
        let mut rows: BTreeMap<DocId, Row> = BTreeMap::new();
        for (number, into) in links {
            let row = TeamRow { merged_into: Some(team(into)), ..TeamRow::active(TeamLevel::Commune) };
            rows.insert(team(number), Row::Team(row));
        }
        rows.insert(team(20_000), Row::Team(TeamRow::active(TeamLevel::Commune)));
        let merges = Merges::of(&rows);
        assert_eq!(merges.target(team(0)), team(20_000));
        assert!(!merges.is_merged(team(20_000)));
    }
}
