//! The suite that every implementation of the storage traits runs, clause by clause of their contracts.
//!
//! An implementation's test says how to make a store and how to open it again, and takes all tests by one macro:
//!
//! ```ignore
//! toso_store::chunk_store_conformance!(MySubject::new());
//! toso_store::change_log_conformance!(MySubject::new());
//! ```
//!
//! What a full disk may do is not here, and of crashes only what one at rest leaves: the implementation's own tests cause
//! the others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::needless_pass_by_value,
    reason = "this module is test code: a panic is how it reports"
)]

pub mod change_log;
pub mod chunk_store;
pub mod erasing;
pub mod erasing_chunks;
pub mod model;
pub mod records;
pub mod samples;

/// How to make the stores under test.
pub trait Subject {
    /// What is under test.
    type Store: Send + Sync;
    /// A new, empty store.
    fn fresh(&self) -> Self::Store;
    /// Closes a store and opens the same data again. A store without a disk returns itself.
    fn reopen(&self, store: Self::Store) -> Self::Store;
    /// What is found after the process ended at once, without closing the store. A store without a disk returns itself.
    fn crash(&self, store: Self::Store) -> Self::Store;
}

/// Makes one `#[test]` for each named function of a module of the suite.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr, $module:ident, [$($name:ident),* $(,)?]) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $name() {
                    $crate::conformance::$module::$name(&$subject);
                }
            )*
        }
    };
}

/// All tests of a [`crate::ChunkStore`].
#[macro_export]
macro_rules! chunk_store_conformance {
    ($subject:expr) => {
        $crate::conformance_tests!(
            $subject,
            chunk_store,
            [
                an_empty_store_answers,
                a_transaction_is_whole_and_survives_reopening,
                a_failed_transaction_changes_nothing,
                chunks_keep_their_order_and_are_stored_once,
                a_document_keeps_its_first_scope,
                outbox_numbers_are_never_used_again,
                the_outbox_pages_in_order,
                a_stored_chunk_can_be_sent_again,
                documents_with_one_hash_are_told_apart,
                receipts_belong_to_stored_chunks,
                cursors_are_set_and_kept,
                settings_are_set_replaced_and_removed,
                settings_end_at_their_limits,
                changes_end_at_their_limit,
                removing_a_document_removes_all_of_it,
                emptying_leaves_nothing,
                a_copy_of_a_held_chunk_goes_with_its_mark,
                what_is_shown_never_outlives_its_chunks,
                a_document_can_be_replaced_in_one_transaction,
                kinds_to_come_are_kept_like_any,
                readers_see_whole_transactions,
                random_transactions_match_the_model,
            ]
        );
        $crate::conformance_tests!(
            $subject,
            erasing_chunks,
            [
                an_erased_chunk_leaves_its_key,
                an_erased_chunk_does_not_come_back_and_is_not_sent,
                what_is_left_of_an_erased_document_is_none,
                an_erased_document_can_leave,
            ]
        );
    };
}

/// All tests of a store that is a [`crate::ChangeLog`] and a [`crate::RecordStore`].
#[macro_export]
macro_rules! change_log_conformance {
    ($subject:expr) => {
        $crate::conformance_tests!(
            $subject,
            change_log,
            [
                an_empty_log_answers,
                sequences_rise_by_one_and_survive_reopening,
                a_chunk_is_in_the_log_once,
                batches_end_at_their_limits,
                pages_end_at_their_limits,
                scopes_are_merged_by_sequence,
                many_scopes_are_merged,
                documents_are_found,
                kinds_to_come_are_logged_like_any,
                writers_and_readers_agree,
                random_batches_match_the_model,
            ]
        );
        $crate::conformance_tests!(
            $subject,
            records,
            [
                records_are_written_read_and_removed,
                records_are_ordered_within_their_table,
                tables_are_named_and_walked,
                a_raced_write_changes_nothing,
                one_of_many_wins_a_race,
                records_end_at_their_limits,
                readers_see_whole_writes,
                derived_records_survive_closing,
                a_crash_takes_derived_records_only_from_the_end,
                a_table_holds_truth_or_what_is_derived,
                commands_are_entries,
                a_command_ends_at_its_limit,
                the_same_entries_give_the_same_store,
                entries_of_another_log_end_at_the_same_limits,
            ]
        );
        $crate::conformance_tests!(
            $subject,
            erasing,
            [
                what_is_erased_leaves_its_place,
                an_erased_change_does_not_come_back,
                a_command_erases_so_many_documents_at_most,
                an_erasure_that_is_refused_takes_nothing,
                an_erasure_is_the_same_wherever_it_is_applied,
                readers_meet_no_damage_while_documents_are_erased,
            ]
        );
    };
}
