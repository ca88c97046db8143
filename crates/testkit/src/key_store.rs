//! Does a key store keep the vault's contract? One named test per rule, for every key store:
//! [`key_store_conformance!`](macro@crate::key_store_conformance).
#![allow(missing_docs, reason = "a rule's name is the rule; its text is the test")]

mod case;
pub mod creation;
pub mod destruction;
pub mod fences;
pub mod finding;
pub mod identity;
pub mod leases;
pub mod ledger;
pub mod model;
pub mod outside_values;
pub mod rotation;
pub mod survival;

pub use case::{FreshKeyStores, KeyStores, OpenKeyStore, check_key_stores};

/// Makes one `#[test]` per rule of the contract, in a module per subject.
///
/// It takes the path of a function that is given the test's name and gives
/// [`FreshKeyStores`], or nothing where the test is skipped.
///
/// ```text
/// fn sqlite(_test: &str) -> Option<factum_testkit::FreshKeyStores> { ... }
/// factum_testkit::key_store_conformance!(crate::key_store::conformance::sqlite);
/// ```
#[macro_export]
macro_rules! key_store_conformance {
    ($make:path) => {
        $crate::key_store_rules! { $make;
            identity {
                a_new_one_belongs_to_nobody
                the_first_identity_stays
                many_who_initialise_at_once_agree
                roots_are_wrapped_anew_only_from_the_epoch_that_wraps_them
            }
            creation {
                a_first_key_is_kept
                owners_have_keys_of_their_own
                a_second_first_key_is_told_of_the_first
                a_key_succeeds_the_live_one
                a_generation_that_is_not_the_next_is_stale
                an_id_is_given_once
                a_key_comes_back_as_it_was_given
                sixteen_who_need_a_first_key_get_the_same
                sixteen_who_succeed_a_key_make_one
                one_id_for_two_owners_at_once_goes_to_one
            }
            fences {
                a_fence_stands_before_the_first_key
                keys_behind_a_fence_are_not_given_out
                a_fence_is_set_up_once
                many_who_fence_the_same_make_one_line
                many_who_fence_different_ones_get_numbers_without_gaps
                one_erasure_for_two_subjects_at_once_is_one
                a_fence_for_a_purpose_covers_that_alone
                a_fence_for_a_subject_covers_every_purpose
                a_key_stays_behind_its_first_fence
                what_was_kept_for_long_enough_goes_and_later_keys_stay
                a_key_that_a_fence_would_cover_is_not_made
                a_lifted_fence_allows_the_next_key
                lifting_one_fence_leaves_the_others
                a_fence_beats_those_who_make_keys_at_the_same_time
            }
            finding {
                live_erased_and_unknown_are_told_apart
                answers_are_in_the_order_of_the_questions
                a_batch_as_large_as_allowed_is_answered
                a_subjects_keys_are_listed_by_owner_and_generation
                keys_made_before_a_time_are_listed_for_their_purpose
                what_it_holds_is_counted
            }
            destruction {
                what_was_not_fenced_is_not_destroyed
                destroyed_keys_stay_known_as_erased
                destroying_again_changes_nothing
                one_erasure_destroys_only_its_own_keys
                values_go_with_their_key
                a_destroyed_key_never_comes_back
                an_erasure_beats_those_who_wrap_anew_and_keep_values
            }
            ledger {
                a_new_ledger_is_empty
                erasures_are_numbered_as_they_were_fenced
                the_ledger_is_read_in_parts
                a_line_says_what_was_done_since
                a_new_line_is_never_before_one_that_was_read
            }
            rotation {
                keys_of_other_epochs_are_listed_in_parts
                keys_are_wrapped_anew
                a_wrapping_may_have_another_length
                what_changed_meanwhile_is_left_as_it_is
                a_key_named_twice_is_wrapped_in_turn
                two_who_rotate_at_once_wrap_each_key_once
            }
            outside_values {
                values_come_back_in_the_order_of_the_questions
                a_value_that_is_there_stays_as_it_is
                a_value_needs_a_live_key
            }
            leases {
                a_process_may_hold_keys_until_its_time_is_over
                a_lease_is_renewed_over_the_one_before
                a_process_that_ends_holds_nothing
                many_renew_at_once
            }
            survival {
                everything_survives_reopening
            }
            model {
                random_operations_come_to_what_the_model_says
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! key_store_rules {
    ($make:path; $($subject:ident { $($rule:ident)* })*) => {
        $(mod $subject {
            $(#[test]
            fn $rule() {
                $crate::check_key_stores($make, stringify!($rule), $crate::key_store::$subject::$rule);
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    /// A rule that is not in the list would never run.
    #[test]
    fn every_rule_is_in_the_list() {
        let list = include_str!("key_store.rs");
        for (subject, text) in [
            ("identity", include_str!("key_store/identity.rs")),
            ("creation", include_str!("key_store/creation.rs")),
            ("fences", include_str!("key_store/fences.rs")),
            ("finding", include_str!("key_store/finding.rs")),
            ("destruction", include_str!("key_store/destruction.rs")),
            ("ledger", include_str!("key_store/ledger.rs")),
            ("rotation", include_str!("key_store/rotation.rs")),
            ("outside_values", include_str!("key_store/outside_values.rs")),
            ("leases", include_str!("key_store/leases.rs")),
            ("survival", include_str!("key_store/survival.rs")),
            ("model", include_str!("key_store/model.rs")),
        ] {
            let (_, after) =
                list.split_once(&format!("            {subject} {{\n")).expect("the subject is in the list");
            let listed: Vec<&str> = after.lines().map(str::trim).take_while(|line| *line != "}").collect();
            let is_rule = |line: &&str| line.ends_with("(stores: &KeyStores) {");
            let written = text.lines().filter(is_rule);
            let written: Vec<&str> =
                written.filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next()).collect();
            assert_eq!(listed, written, "{subject}");
        }
    }
}
