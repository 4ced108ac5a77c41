//! The changes that every document of a kind begins with.
//!
//! Documents created apart merge only when both begin with the same maps, and a map is the same only when the same
//! change made it. So the maps are made by constant changes: fixed actor, time 0, no message. They never travel;
//! [`super::Document::new`] applies them, and golden tests pin their bytes.
//!
//! Which maps a kind has is in its table ([`crate::kind`]). A later schema that needs another map appends one more list of
//! map names there: a further constant change (sequence number 2, depending on the first) of the same actor, so that two phones that upgrade apart still agree.
//! A phone of the old version then gets changes that depend on a genesis it does not know; they wait inside its
//! document, and in its store, until it is upgraded. Lists are only appended, never edited: edited bytes are another
//! hash, and every document in the field would have lost its maps.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT};

use crate::id::{Actor, ChangeHash, DocKind};
use crate::kind::{Kind, of_kind};

/// The actor of every genesis change. No device has it: a device's actor begins with a hash.
pub(crate) const GENESIS_ACTOR: Actor = Actor(*b"toso-genesis-v1\0");
/// The most maps that all genesis changes of a kind may ever make; an operation on a later object is refused unseen.
pub(crate) const GENESIS_OPS_MAX: u64 = 64;

/// The maps of a kind, one list per genesis change.
fn versions(kind: DocKind) -> &'static [&'static [&'static str]] {
    of_kind!(kind, Of => <Of as Kind>::GENESIS)
}

/// Where a kind keeps its fields: the root (`None`) and its maps, with their Automerge ids.
///
/// Maps are named by id and never looked up by their key in the root, so that nobody can hide a map by writing a value
/// over its key.
pub(crate) fn places(kind: DocKind) -> impl Iterator<Item = (Option<&'static str>, ObjId)> {
    let maps = versions(kind).iter().copied().flatten().copied();
    let map_ids = maps.zip(1..).map(|(map, counter)| (Some(map), map_id(counter)));
    std::iter::once((None, ROOT)).chain(map_ids)
}

/// The id of a map of a kind.
pub(crate) fn place(kind: DocKind, map: Option<&str>) -> Option<ObjId> {
    places(kind).find(|(name, _)| *name == map).map(|(_, id)| id)
}

/// The map that an operation names by counter; genesis makes nothing but maps, so the n-th operation made the n-th.
pub(crate) fn map_of_counter(kind: DocKind, counter: u64) -> Option<&'static str> {
    let index = usize::try_from(counter.checked_sub(1)?).ok()?;
    versions(kind).iter().copied().flatten().copied().nth(index)
}

fn map_id(counter: u64) -> ObjId {
    ObjId::Id(counter, ActorId::from(GENESIS_ACTOR.0), 0)
}

/// A document of a kind with only its genesis, ready to be cloned.
pub(crate) struct Genesis {
    pub(crate) doc: Automerge,
    pub(crate) hashes: Vec<ChangeHash>,
    /// The last operation counter of each change.
    pub(crate) max_ops: Vec<(ChangeHash, u64)>,
}

/// The genesis of a kind, made once a process.
pub(crate) fn genesis(kind: DocKind) -> &'static Genesis {
    of_kind!(kind, Of => <Of as Kind>::genesis())
}

impl Genesis {
    /// Makes the maps, one change for each list.
    pub(crate) fn make(versions: &[&[&str]]) -> Self {
        let mut doc = Automerge::new().with_actor(ActorId::from(GENESIS_ACTOR.0));
        let mut hashes = Vec::new();
        for maps in versions {
            let mut transaction = doc.transaction();
            for map in *maps {
                // A put into the root of a fresh document has no way to fail, and the golden tests would show it.
                let _ = transaction.put_object(ROOT, *map, ObjType::Map);
            }
            let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(0));
            hashes.extend(hash.map(|hash| ChangeHash(hash.0)));
        }
        let maps = versions.iter().scan(0, |made, maps| {
            *made += maps.len() as u64;
            Some(*made)
        });
        let max_ops = hashes.iter().copied().zip(maps).collect();
        Self { doc, hashes, max_ops }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use data_encoding::HEXLOWER;

    use super::*;
    use crate::kind;

    fn changes(kind: DocKind) -> Vec<(String, String)> {
        let changes = genesis(kind).doc.get_changes(&[]);
        changes.iter().map(|c| (c.hash().to_string(), HEXLOWER.encode(c.raw_bytes()))).collect()
    }

    /// To make them again (only ever for an appended change): run `cargo test -p toso-core genesis`, copy what the
    /// failing assertion prints on its left, and check that the lines that were here are still there.
    #[test]
    fn golden() {
        for (kind, expected) in [(DocKind::Commune, [COMMUNE]), (DocKind::Team, [TEAM]), (DocKind::Member, [MEMBER])] {
            let expected = expected.map(|(hash, bytes)| (hash.to_owned(), bytes.to_owned()));
            assert_eq!(changes(kind), expected);
            let hashes: Vec<_> = genesis(kind).hashes.iter().map(ToString::to_string).collect();
            assert_eq!(hashes, expected.map(|(hash, _)| hash));
        }
    }

    const COMMUNE: (&str, &str) = (
        "9884a1a322c489421ad61df032fd156bb7d67d7e0adbec655202573fc2b12c60",
        "856f4a839884a1a301320010746f736f2d67656e657369732d763100010100000005150934014202560270027f0768616d6c657473017f007f007f00",
    );
    const TEAM: (&str, &str) = (
        "5299300bee0d788dca8827e617d6ccf5156490ad628c1386c75a67402dfe5b64",
        "856f4a835299300b01350010746f736f2d67656e657369732d763100010100000005150c34014202560270027f0a61637469766974696573017f007f007f00",
    );
    const MEMBER: (&str, &str) = (
        "3e17c4796f867d207fcb70100cdae3ed41af1249271fb629058e39b4a1eac559",
        "856f4a833e17c47901470010746f736f2d67656e657369732d763100010100000005151e34014202560270027d0c616666696c696174696f6e7307636f757273657307636f6e73656e7403030003000300",
    );

    #[test]
    fn a_further_version_keeps_the_first_change_and_builds_on_it() {
        let first = Genesis::make(&[&["activities"]]);
        let both = Genesis::make(&[&["activities"], &["attendance"]]);
        assert_eq!(first.hashes.first(), both.hashes.first());
        assert_eq!(both.hashes.len(), 2);
        let changes = both.doc.get_changes(&[]);
        assert_eq!(changes[1].deps(), &[changes[0].hash()]);
        assert_eq!(changes[1].seq(), 2);
        assert_eq!(changes[1].start_op().get(), 2, "so that the n-th operation made the n-th map");
    }

    #[test]
    fn every_kind_stays_below_the_limit_of_maps() {
        for kind in DocKind::ALL {
            let maps = versions(kind).iter().map(|maps| maps.len() as u64).sum::<u64>();
            assert!((1..=GENESIS_OPS_MAX).contains(&maps));
            // Every map that the table has lines for, and no other.
            let listed: BTreeSet<_> =
                kind::fields(kind).iter().filter_map(|field| field.path.split_once('/')).map(|(map, _)| map).collect();
            assert_eq!(listed, versions(kind).iter().copied().flatten().copied().collect());
            assert_eq!(map_of_counter(kind, maps + 1), None);
            assert_eq!(map_of_counter(kind, 0), None);
        }
    }
}
