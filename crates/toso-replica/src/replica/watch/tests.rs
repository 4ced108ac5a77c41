//! Conflicts come and go, and each is told once.

use std::sync::Arc;

use toso_core::edit::{DocEdit, TeamEdit};
use toso_core::id::DocId;
use toso_store::{ChunkStore, Transaction};

use super::super::Replica;
use super::super::tests::{all_of, draft, replica};
use super::ConflictWatch;

/// Gives `to` all chunks that `from` has, as a page from the server would.
fn give(from: &Arc<impl ChunkStore>, to: &Arc<impl ChunkStore>, doc: DocId) {
    let chunks = all_of(from.as_ref(), doc);
    to.commit(Transaction { chunks, ..Transaction::default() }).unwrap();
}

#[test]
fn a_conflict_is_told_when_it_comes_when_it_grows_and_when_it_goes() {
    let ((a_store, a), (b_store, b), (c_store, c)) = (replica(), replica(), replica());
    let set = |replica: &Replica, doc, households| {
        replica.edit(doc, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(households)))]).unwrap()
    };
    let team = a.add_team(draft("Thôn 1")).unwrap();
    for replica in [&b, &c] {
        assert_eq!(replica.add_team(draft("Thôn 1")).unwrap(), team);
    }
    let mut watch = ConflictWatch::new(&a).unwrap();
    assert!(watch.look_at(&a, &[team]).unwrap().is_empty());
    set(&a, team, 1);
    set(&b, team, 2);
    set(&c, team, 3);
    // The document in memory is read anew by a replica that opens the store.
    let look = |watch: &mut ConflictWatch| {
        let a = Replica::open(Arc::clone(&a_store) as Arc<dyn ChunkStore>, &crate::testing::options());
        watch.look_at(&a.unwrap(), &[team]).unwrap()
    };
    give(&b_store, &a_store, team);
    assert_eq!(look(&mut watch), [team]);
    assert!(look(&mut watch).is_empty(), "told once");
    give(&c_store, &a_store, team);
    assert_eq!(look(&mut watch), [team], "a third value is news");
    let a = Replica::open(Arc::clone(&a_store) as Arc<dyn ChunkStore>, &crate::testing::options());
    let a = a.unwrap();
    a.resolve(team, "households_covered", "2").unwrap();
    assert_eq!(watch.look_at(&a, &[team, team]).unwrap(), [team]);
    assert!(watch.look_at_all(&a).unwrap().is_empty());
}

#[test]
fn a_document_that_leaves_takes_its_conflict_along() {
    let ((a_store, a), (b_store, b)) = (replica(), replica());
    let team = a.add_team(draft("Thôn 1")).unwrap();
    b.add_team(draft("Thôn 01")).unwrap();
    for (replica, households) in [(&a, 1), (&b, 2)] {
        replica.edit(team, &[DocEdit::Team(TeamEdit::HouseholdsCovered(Some(households)))]).unwrap();
    }
    give(&b_store, &a_store, team);
    let a = Replica::open(Arc::clone(&a_store) as Arc<dyn ChunkStore>, &crate::testing::options());
    let a = a.unwrap();
    assert_eq!(a.conflicts().unwrap().len(), 1, "the households, not the two spellings of the hamlet");
    let mut watch = ConflictWatch::new(&a).unwrap();
    a.forget(&[team]).unwrap();
    assert_eq!(watch.look_at_all(&a).unwrap(), [team]);
    assert!(watch.look_at_all(&a).unwrap().is_empty());
}
