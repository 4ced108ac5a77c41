//! How many names are kept.

use super::*;
use crate::replica::tests::{commune, replica};

/// As many names of 80 Vietnamese characters as fit, and `more`.
fn full(more: usize) -> BTreeMap<String, String> {
    let name = "ễ".repeat(80);
    let each = 16 + name.len() + NAME_FRAME_BYTES;
    (0..NAMES_BYTES_MAX / each + more).map(|number| (format!("{number:016x}"), name.clone())).collect()
}

#[test]
fn as_many_names_are_kept_as_a_setting_holds_and_no_more() {
    let (store, _) = replica();
    let most = full(0);
    assert_eq!(within_setting(most.clone(), &[]), most);
    assert_eq!(within_setting(full(1), &[]), most);
    let unit = Some(commune());
    let settings = vec![setting(SETTING_NAMES, &Told { unit, names: most.clone() })];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();

    // The shortest names have the most around them.
    let short: BTreeMap<_, _> = (0..4_000).map(|number| (format!("{number:016x}"), "x".to_owned())).collect();
    let settings = vec![setting(SETTING_NAMES, &Told { unit, names: within_setting(short, &[]) })];
    store.commit(Transaction { settings, ..Transaction::default() }).unwrap();
}

#[test]
fn of_too_many_names_those_stay_that_were_asked_about() {
    let names = full(3);
    let asked: Vec<String> = names.keys().rev().take(3).cloned().collect();
    let kept = within_setting(names, &asked);
    assert_eq!(kept.len(), full(0).len());
    assert!(asked.iter().all(|id| kept.contains_key(id)));
}
