//! A commune's rows as [`Merges`] wants them.

use std::collections::BTreeMap;

use toso_core::finding::Merges;
use toso_core::id::DocId;

use crate::row::Row;

/// Who stands for whom among the rows.
pub(crate) fn merges_of(rows: &BTreeMap<DocId, Row>) -> Merges {
    let marked = rows.iter().filter_map(|(doc, row)| match row {
        Row::Team(team) => Some((*doc, team.merged_into)),
        Row::Member(member) => Some((*doc, member.merged_into)),
        Row::Commune(_) | Row::Other => None,
    });
    Merges::of(marked)
}
