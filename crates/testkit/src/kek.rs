//! Does a provider of key-encryption keys keep the contract? One named test per rule, for every provider:
//! [`kek_conformance!`](macro@crate::kek_conformance).
#![allow(missing_docs, reason = "a rule's name is the rule; its text is the test")]

pub mod batches;
mod case;
pub mod destruction;
pub mod epochs;
pub mod wrapping;

pub use case::{FreshKek, Keks, OpenKek, check_kek};

/// Makes one `#[test]` per rule of the contract, in a module per subject.
///
/// It takes the path of a function that is given the test's name, as the runner has it, and gives [`FreshKek`], or nothing where the test is skipped.
///
/// ```text
/// fn key_file(_test: &str) -> Option<factum_testkit::FreshKek> { ... }
/// factum_testkit::kek_conformance!(crate::kek::key_file);
/// ```
#[macro_export]
macro_rules! kek_conformance {
    ($make:path) => {
        $crate::kek_rules! { $make;
            batches {
                an_empty_batch_is_answered_with_nothing
                a_full_batch_keeps_its_order
                a_batch_over_the_limit_is_refused
                a_batch_may_be_of_several_epochs
                one_foreign_secret_refuses_the_batch
                one_destroyed_epoch_refuses_the_batch
            }
            destruction {
                a_destroyed_epoch_is_gone_for_ever
                several_are_destroyed_at_once
                destroying_again_changes_nothing
                nothing_is_before_the_first
                the_newest_is_never_destroyed
            }
            epochs {
                there_is_one_from_the_start
                a_new_one_is_the_next_and_the_last
                more_than_nine_stay_in_order
                an_old_one_still_wraps_and_unwraps
                each_says_when_it_was_made
                what_one_handle_makes_another_uses
                one_that_never_was_is_told
            }
            wrapping {
                a_secret_comes_out_as_it_was
                a_label_may_be_empty_or_any_bytes
                another_label_is_refused
                changed_bytes_are_refused
                bytes_cut_short_are_refused
                what_another_has_wrapped_is_refused
                another_epochs_number_is_refused
                a_secret_is_never_wrapped_to_the_same_bytes
                what_was_wrapped_outlasts_the_handle
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! kek_rules {
    ($make:path; $($subject:ident { $($rule:ident)* })*) => {
        $(mod $subject {
            $(#[test]
            fn $rule() {
                $crate::check_kek($make, concat!(module_path!(), "::", stringify!($rule)), $crate::kek::$subject::$rule);
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    /// A rule that is not in the list would never run.
    #[test]
    fn every_rule_is_in_the_list() {
        let list = include_str!("kek.rs");
        for (subject, text) in [
            ("batches", include_str!("kek/batches.rs")),
            ("destruction", include_str!("kek/destruction.rs")),
            ("epochs", include_str!("kek/epochs.rs")),
            ("wrapping", include_str!("kek/wrapping.rs")),
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
