//! Merging is commutative, associative and idempotent: whatever is edited on whichever phone, and however the changes
//! travel, all replicas end with the same heads, the same values and the same conflicts.

#[path = "support/register.rs"]
mod register;
#[path = "support/script.rs"]
mod script;

use proptest::prelude::*;
use register::{author, team};
use script::{all_of, any_edit, any_script, run, shuffle};
use toso_core::document::Document;

fn assert_same(a: &Document, b: &Document) {
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.read(), b.read());
    assert_eq!(a.conflicts(), b.conflicts());
    assert_eq!(a.missing(), []);
    assert_eq!(a.history().len(), b.history().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_order_and_any_repetition_give_the_same_document(
        ((replicas, script), seed) in (any_script(any_edit), any::<u64>()),
    ) {
        let mut phones = run(replicas, script);
        let mut all = all_of(&phones);
        let (reference, applied) = Document::fold(team().id(), &all).unwrap();
        prop_assert_eq!((applied.applied, applied.waiting), (all.len(), 0));
        prop_assert_eq!(applied.quarantined, vec![]);

        // Each phone gets everything once more, in its own order, one by one.
        let mut random = seed;
        for (document, _) in &mut phones {
            shuffle(&mut all, &mut random);
            for chunk in &all {
                document.apply(std::slice::from_ref(chunk));
            }
            assert_same(document, &reference);
        }

        // (A ∪ B) ∪ C = A ∪ (B ∪ C), each side in one batch.
        let (left, right) = all.split_at(all.len() / 2);
        let (mut forth, _) = Document::fold(team().id(), left).unwrap();
        forth.apply(right);
        let (mut back, _) = Document::fold(team().id(), right).unwrap();
        back.apply(left);
        assert_same(&forth, &reference);
        assert_same(&back, &reference);

        // Idempotent.
        prop_assert_eq!(back.apply(&all).applied, 0);
        assert_same(&back, &reference);

        // A snapshot is the document, and goes on merging and editing.
        let mut loaded = Document::from_snapshot(team().id(), &reference.snapshot().unwrap()).unwrap();
        assert_same(&loaded, &reference);
        prop_assert_eq!(loaded.apply(&all).applied, 0);
        let mut original = reference;
        let edit = [register::edit("note", "sau cùng")];
        prop_assert_eq!(loaded.edit(author(0), &edit).unwrap(), original.edit(author(0), &edit).unwrap());
        assert_same(&loaded, &original);
    }
}
