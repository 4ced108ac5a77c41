//! Every name of the catalogue is one that the register takes: none is mistaken for text of an older encoding, and none
//! changes when it is stored.

use std::collections::BTreeSet;

use toso_catalog::Catalog;
use toso_core::text::{PlaceName, legacy_text};
use toso_core::unit::{UnitList, UnitRef};

/// All units of a list.
fn names(list: UnitList) -> BTreeSet<String> {
    let catalog = Catalog::shared();
    let mut names = BTreeSet::new();
    let mut below = vec![UnitRef::country(list)];
    while let Some(unit) = below.pop() {
        names.extend(catalog.get(unit).map(|unit| unit.name.to_string()));
        below.extend(catalog.children(unit).map(|child| child.unit));
    }
    names
}

#[test]
fn no_unit_is_mistaken_for_text_of_an_older_encoding() {
    for list in [UnitList::L2022, UnitList::L2025] {
        let names = names(list);
        assert!(names.len() > 2_800, "{}", names.len());
        for name in names {
            assert_eq!(legacy_text(&name), None, "{name}");
            assert_eq!(PlaceName::parse(&name).map(|stored| stored.to_string()), Ok(name.clone()));
            let unmarked = toso_core::text::search_key(&name);
            assert_eq!(legacy_text(&unmarked), None, "{name}: {unmarked}");
        }
    }
}
