//! Changes of records that somebody else changes at the same moment.

use toso_store::StoreError;

/// How often such a change is tried. Each time that it loses somebody else has won, and an officer, the device itself and a
/// second officer are as many as meet over one record.
const RACE_TRIES: usize = 4;

/// Makes a change anew, from what is stored by then, when somebody was faster. What is shut out must not stay in for that.
pub(super) fn again_when_raced<T>(mut change: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut outcome = change();
    for _ in 1..RACE_TRIES {
        if !matches!(outcome, Err(StoreError::Raced { .. })) {
            break;
        }
        outcome = change();
    }
    outcome
}
