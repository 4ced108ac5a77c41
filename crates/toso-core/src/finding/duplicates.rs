//! Documents that may describe the same person or team.
//!
//! Of a group of n that look alike, n − 1 pairs are found, not n²: a person merges one after the other, and nobody can
//! make a commune's list of findings explode by recording one phone number a thousand times.

use std::collections::BTreeMap;

use super::{Finding, SameMemberReason};
use crate::id::DocId;
use crate::record::{MemberRecord, TeamLevel, TeamRecord};
use crate::text::{alike_place_key, toneless_key};

/// Pairs among members that are present and not merged.
pub(super) fn members<'a>(present: impl Iterator<Item = (DocId, &'a MemberRecord)>) -> Vec<Finding> {
    let present: Vec<_> = present.collect();
    let phones = present.iter().filter_map(|(id, member)| Some((member.phone.clone()?, *id)));
    let names = present.iter().filter_map(|(id, member)| {
        let name = toneless_key(member.full_name.as_deref()?);
        Some(((name, member.birth_year?), *id))
    });
    let mut pairs: BTreeMap<(DocId, DocId), SameMemberReason> = BTreeMap::new();
    pairs.extend(alike(names).into_iter().map(|pair| (pair, SameMemberReason::NameAndBirthYear)));
    // The stronger reason, when both hold.
    pairs.extend(alike(phones).into_iter().map(|pair| (pair, SameMemberReason::Phone)));
    pairs.into_iter().map(|((a, b), reason)| Finding::SameMember { a, b, reason }).collect()
}

/// Pairs among hamlet teams at work. A commune may well have two teams of its own: they are never made by mistake, for
/// their ids do not come from a name.
pub(super) fn teams<'a>(at_work: impl Iterator<Item = (DocId, &'a TeamRecord)>) -> Vec<Finding> {
    let of_hamlets = at_work.filter(|(_, team)| team.level == TeamLevel::Hamlet);
    let hamlets = of_hamlets.filter_map(|(id, team)| Some((alike_place_key(team.hamlet.as_deref()?), id)));
    let mut pairs = alike(hamlets);
    pairs.sort_unstable();
    pairs.into_iter().map(|(a, b)| Finding::SameTeam { a, b }).collect()
}

/// The first id of each key paired with every other one. Ids come sorted.
fn alike<K: Ord>(keyed: impl Iterator<Item = (K, DocId)>) -> Vec<(DocId, DocId)> {
    let mut firsts: BTreeMap<K, DocId> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (key, id) in keyed {
        match firsts.get(&key) {
            Some(first) => pairs.push((*first, id)),
            None => {
                firsts.insert(key, id);
            }
        }
    }
    pairs
}
