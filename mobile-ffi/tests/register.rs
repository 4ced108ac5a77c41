//! The object and the one register that its folder belongs to.

#![allow(clippy::result_large_err, reason = "a test fails by panicking")]

mod support;

use support::add_team;
use tempfile::TempDir;
use toso_ffi::TosoError;

/// An invite of another register is refused by the library itself; the way there leads over an empty folder.
#[test]
fn a_phone_leaves_its_register_with_empty_hands_only() {
    let folder = TempDir::new().expect("a temporary folder");
    let toso = support::enrolled(folder.path(), support::NOBODY);
    add_team(&toso, "Thôn Một");
    let refused = toso.leave_register();
    assert!(matches!(&refused, Err(TosoError::Refused { info }) if info.key == "leave.unsent"), "{refused:?}");
    assert_eq!(toso.teams().expect("it goes on").len(), 1);
    toso.shutdown();

    let folder = TempDir::new().expect("a temporary folder");
    let toso = support::enrolled(folder.path(), support::NOBODY);
    toso.leave_register().expect("nothing is unsent");
    assert!(matches!(toso.teams(), Err(TosoError::Closed { .. })));
    let toso = support::open(folder.path());
    assert!(toso.status().expect("it opens").unit.is_none());
    toso.shutdown();
}
