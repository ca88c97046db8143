//! Does a database of read models keep the contract? One named test per rule, for every database:
//! [`read_model_conformance!`](macro@crate::read_model_conformance).
#![allow(missing_docs, reason = "a rule's name is the rule; its text is the test")]

mod case;
pub mod commits;
pub mod comparison;
pub mod faults;
pub mod fences;
pub mod promotion;
pub mod readers;
pub mod statements;
pub mod versions;
pub mod watches;

pub use case::{FreshReadModels, Models, check_read_models};

/// Makes one `#[test]` per rule of the contract, in a module per subject.
///
/// It takes the path of a function that is given the test's name and gives
/// [`FreshReadModels`], or nothing where the test is skipped.
///
/// ```text
/// fn sqlite(_test: &str) -> Option<factum_testkit::FreshReadModels> { ... }
/// factum_testkit::read_model_conformance!(crate::conformance::sqlite);
/// ```
#[macro_export]
macro_rules! read_model_conformance {
    ($make:path) => {
        $crate::read_model_rules! { $make;
            commits {
                rows_and_progress_are_committed_together
                rows_and_progress_are_rolled_back_together
                a_writer_dropped_within_a_transaction_leaves_nothing
                a_transaction_sees_its_own_changes_and_nobody_else_does
                an_empty_transaction_moves_the_progress
                all_of_the_progress_comes_back
                each_partition_has_progress_of_its_own
                partitions_are_written_at_the_same_time
                a_commit_refused_keeps_nothing
                calls_out_of_order_are_refused
            }
            comparison {
                the_same_rows_do_not_differ
                rows_are_told_apart_by_key
                examples_are_as_many_as_asked_for
                a_null_is_a_value
                a_key_of_several_columns
                a_table_without_a_key_is_compared_by_whole_rows
                other_columns_are_told
                another_key_is_told
                a_table_that_only_one_version_has_is_told
                an_odd_name_is_only_a_name
            }
            faults {
                a_fault_comes_back_with_every_attempt
                a_fault_can_be_cleared
                a_commit_without_a_fault_clears_it
                a_fault_is_its_partitions_alone
                skips_come_back_in_order
                a_skip_said_again_counts_as_said_last
            }
            fences {
                a_new_owner_fences_the_old_one
                an_owner_that_loses_the_partition_within_a_transaction_commits_nothing
                a_fenced_owner_keeps_neither_fault_nor_skip
                a_new_owner_begins_where_the_old_one_committed
                other_partitions_are_not_fenced
                a_discarded_versions_owner_is_told
                many_who_take_over_leave_one_owner
            }
            promotion {
                a_version_that_is_behind_may_not_serve
                a_version_that_has_caught_up_serves_and_the_old_one_is_kept
                it_must_have_come_as_far_as_the_furthest_partition
                the_version_before_the_last_is_discarded
                the_previous_version_serves_again_once_it_has_caught_up
                promoting_what_serves_changes_nothing
                a_stopped_version_stays_stopped
                two_who_promote_leave_one_serving
            }
            readers {
                a_reader_sees_a_commit_whole_or_not_at_all
                a_reader_can_change_nothing
                several_projections_in_one_query
                the_least_progress_of_the_partitions_is_told
                a_reader_stays_with_its_versions
                a_failed_query_does_not_spoil_the_next
                columns_are_named_in_the_statements_order
                a_reader_of_nothing_can_compute
            }
            statements {
                every_kind_of_value_comes_back
                extreme_values_come_back
                a_missing_parameter_is_named
                parameters_may_come_twice_and_more_may_be_given
                what_looks_like_a_parameter_in_quotes_is_text
                a_wrong_statement_is_refused_with_its_text
                a_values_text_is_never_in_an_error
                two_statements_in_one_are_refused
                a_statement_changes_rows_and_nothing_else
                statements_may_be_executed_in_turn
            }
            versions {
                the_first_version_serves_and_the_next_is_building
                a_third_is_refused_while_one_is_building
                a_version_says_what_it_was_made_of
                versions_are_listed_by_name_and_number
                tables_are_made_all_or_nothing
                a_projection_without_tables
                versions_do_not_share_tables
                tables_are_told_with_their_keys
                a_version_that_serves_is_not_discarded
                a_number_is_never_used_again
                a_deleted_projection_is_gone
                an_unknown_version_is_unknown_to_every_call
                a_change_declared_compatible_is_kept
                a_version_that_is_stopped_stays_so
                the_history_outlasts_the_version
                read_models_of_another_store_are_refused
                read_models_of_another_epoch_are_refused
                an_empty_database_takes_another_history
                what_one_handle_does_another_sees
                two_who_create_at_once_make_one_building
                a_scratch_version_leaves_nothing
            }
            watches {
                a_commit_through_another_handle_wakes
                without_a_commit_the_time_runs_out
                a_commit_before_the_wait_is_not_missed
                a_fault_wakes_too
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! read_model_rules {
    ($make:path; $($subject:ident { $($rule:ident)* })*) => {
        $(mod $subject {
            $(#[test]
            fn $rule() {
                $crate::check_read_models($make, stringify!($rule), $crate::read_model::$subject::$rule);
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    /// A rule that is not in the list would never run.
    #[test]
    fn every_rule_is_in_the_list() {
        let list = include_str!("read_model.rs");
        for (subject, text) in [
            ("commits", include_str!("read_model/commits.rs")),
            ("comparison", include_str!("read_model/comparison.rs")),
            ("faults", include_str!("read_model/faults.rs")),
            ("fences", include_str!("read_model/fences.rs")),
            ("promotion", include_str!("read_model/promotion.rs")),
            ("readers", include_str!("read_model/readers.rs")),
            ("statements", include_str!("read_model/statements.rs")),
            ("versions", include_str!("read_model/versions.rs")),
            ("watches", include_str!("read_model/watches.rs")),
        ] {
            let (_, after) =
                list.split_once(&format!("            {subject} {{\n")).expect("the subject is in the list");
            let listed: Vec<&str> = after.lines().map(str::trim).take_while(|line| *line != "}").collect();
            let written: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next()).collect();
            assert_eq!(listed, written, "{subject}");
        }
    }
}
