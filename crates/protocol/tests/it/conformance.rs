//! The contract of every store, over the network.

mod own {
    //! By Factum's own service: the whole contract.

    use std::sync::Arc;

    use factum_protocol::remote::Ways;
    use factum_testkit::Fresh;

    async fn fresh() -> Fresh {
        let clock = Fresh::clock();
        let (server, store) = crate::served::memory(clock.clone(), Ways::Best).await;
        Fresh { store: Arc::new(store), clock, keep: Box::new(server) }
    }

    factum_testkit::conformance!(super::fresh);
}

mod kurrent {
    //! By KurrentDB's calls alone: the contract but for what they do not tell. Appends are done and refused as everywhere;
    //! what a refusal or a success says is less.

    use std::sync::Arc;

    use factum_protocol::remote::Ways;
    use factum_testkit::Fresh;

    async fn fresh() -> Fresh {
        let clock = Fresh::clock();
        let (server, store) = crate::served::memory(clock.clone(), Ways::KurrentOnly).await;
        Fresh { store: Arc::new(store), clock, keep: Box::new(server) }
    }

    /// Each with what the calls do not tell.
    const LEFT_OUT: &[&str] = &[
        // A stream with only metadata is said to be missing, a soft-deleted one to be live or missing.
        "a_stream_with_only_metadata",
        "a_soft_deleted_stream",
        "a_soft_deleted_stream_that_never_had_an_event",
        "a_soft_delete_in_each_state",
        "a_tombstone_in_each_state",
        "a_check_on_a_stream_that_is_not_written",
        "strong_half_a_repetition_of_a_soft_deleted_stream_conflicts",
        // Of a stream that is written and checked, one check is named.
        "every_failing_check_is_named",
        // Which revision a stream shows first.
        "a_stream_with_everything_hidden_is_there_but_empty",
        "the_head_says_what_was_true_when_the_read_started",
        // That an append had been done before.
        "several_streams_are_a_repetition_only_together",
        "strong_a_repetition_does_not_revive_a_soft_deleted_stream",
        "strong_the_current_revision_never_looks_for_repetition",
        "strong_the_same_events_at_the_same_place_answer_as_the_first_time",
        "weak_the_same_events_answer_as_the_first_time",
        // Several streams in one append need an event each.
        "a_repetition_that_names_a_tombstoned_stream_tells_no_revision_of_it",
    ];

    /// A rule that is neither checked nor left out for a reason would never be looked at.
    #[test]
    fn every_rule_is_checked_or_left_out_for_a_reason() {
        let (_, all) = include_str!("../../../testkit/src/conformance.rs").split_once("$make;\n").unwrap();
        let is_rule = |line: &&str| {
            !line.is_empty() && line.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
        };
        let rules: Vec<&str> =
            all.lines().map(str::trim).take_while(|line| *line != "}}").filter(is_rule).collect();
        assert!(rules.len() > 100, "{rules:?}");
        let here = include_str!("conformance.rs").split_once("conformance_rules!").unwrap().1;
        for rule in rules {
            let checked = here.lines().any(|line| line.trim() == rule);
            assert!(checked != LEFT_OUT.contains(&rule), "{rule}");
        }
    }

    factum_testkit::conformance_rules! { super::fresh;
        atomicity {
            several_streams_in_one_append
            a_stream_may_come_again_to_interleave
            one_refusal_refuses_everything
            several_soft_deleted_streams_are_revived_together
            an_append_without_events_answers_and_changes_nothing
            a_stream_and_its_metadata_in_one_append
            a_reader_sees_all_of_an_append_or_nothing
            what_a_store_cannot_do_it_refuses
        }
        conditions {
            it_holds_where_nothing_matches
            it_names_the_newest_event_that_matches
            events_up_to_and_with_after_do_not_count
            counts_hold_below_their_limit
            deleted_and_truncated_events_still_count
            all_failing_conditions_and_checks_are_named_together
            an_append_does_not_conflict_with_itself
            an_append_without_events_is_still_checked_and_changes_nothing
            a_condition_taken_from_a_reads_snapshot_sees_what_came_after
            a_query_over_its_limits_is_refused
        }
        deletes {
            a_soft_deleted_stream_is_not_found_but_stays_in_the_log
            a_soft_delete_replaces_the_metadata_by_exactly_one_key
            an_append_revives_and_what_was_deleted_stays_hidden
            a_revival_keeps_the_metadata_written_after_the_delete
            metadata_written_over_a_soft_delete_revives_the_stream
            a_stream_can_be_deleted_and_revived_many_times
            a_stream_with_only_metadata_can_be_deleted
            a_tombstone_is_an_event_of_the_stream_beyond_all_others
            a_tombstoned_stream_refuses_everything_for_ever
            the_metadata_stream_of_a_tombstoned_stream_is_deleted_too
            the_audit_view_shows_a_tombstoned_stream_with_its_tombstone
            metadata_streams_and_the_schemas_are_not_deleted
        }
        expected {
            a_stream_that_never_was
            a_live_stream
            a_tombstoned_stream
            numbering_never_restarts
        }
        limits {
            the_largest_event_is_taken_and_one_byte_more_is_not
            an_append_over_its_bytes_is_refused
            the_longest_names_are_taken
            too_many_tags_are_refused
            schema_version_zero_is_refused
            personal_data_in_clear_is_refused
            too_many_conditions_are_refused
            unusual_names_are_names
        }
        log_reads {
            all
            an_empty_log
            by_category
            by_event_type
            by_tag
            by_query
            by_correlation_and_causation
            by_append_and_by_event
            stream_starts
            a_stream_among_others
            filters_leave_what_passes_and_limits_count_that
            a_revision_counts_the_events_of_one_stream_only
            positions_are_dense_and_in_order
        }
        metadata {
            only_the_last_metadata_counts_and_only_it_is_readable
            metadata_is_kept_byte_for_byte
            what_is_no_json_object_counts_as_no_metadata
            truncate_before_hides_what_is_older
            max_count_keeps_the_newest
            the_tighter_of_count_and_truncation_wins
            max_age_hides_what_is_older_by_the_clock
            what_metadata_hides_stays_in_the_log
            metadata_round_trips_through_its_short_forms
        }
        moments {
            as_of_now
            as_of_a_position
            as_of_a_recorded_time
            as_of_an_occurred_time
            as_of_a_revision
            from_a_time_on
            a_start_and_a_moment_together
            the_snapshot_ends_where_the_moment_does
            recorded_times_never_go_back
        }
        races {
            on_one_condition_exactly_one_wins
            on_one_expected_revision_exactly_one_wins
            on_a_count_exactly_as_many_win_as_fit
            on_one_append_id_one_writes_and_all_get_its_answer
            on_the_same_events_one_writes_and_all_get_its_answer
            appends_without_expectations_all_succeed_densely
        }
        redactions {
            the_place_stays_and_what_it_said_is_gone
            it_is_recorded_who_did_it_to_which_event_and_why
            it_is_found_by_what_it_keeps_and_by_nothing_else
            a_repeated_append_is_still_recognised
            conditions_see_its_type_and_not_its_tags
            asked_again_it_answers_as_the_first_time
            what_cannot_be_redacted_is_refused_and_nothing_is_recorded
            nobody_else_writes_or_deletes_the_record
            what_a_stream_hides_can_be_redacted_too
            subscribers_get_it_in_its_place_and_its_record_where_it_comes
            a_whole_stream_of_redacted_events_is_a_stream
            a_store_that_cannot_redact_refuses_it
        }
        regressions {
            a_subscriber_never_skips_a_concurrent_commit
            a_refused_append_uses_up_no_position
            sixteen_writers_on_one_condition_have_one_winner
            what_comes_between_a_read_and_its_condition_is_a_conflict
            a_filtered_subscriber_advances_over_a_long_irrelevant_stretch
            indexes_agree_with_the_log_after_deletes_and_retention
        }
        repetition {
            strong_other_events_at_the_place_conflict
            weak_unknown_first_event_is_a_new_append
            weak_known_first_event_and_unknown_later_one_conflict
            the_same_id_in_another_stream_is_another_event
            a_repeated_id_inside_one_write_is_not_checked
            a_repetition_is_answered_although_its_condition_would_now_fail
            an_append_id_answers_as_the_first_time_whatever_the_events
            an_append_id_is_known_for_ever
            an_append_id_used_for_other_streams_is_refused
            a_refused_append_does_not_use_up_its_id
            an_append_that_revived_a_stream_is_answered_the_same_again
        }
        schemas {
            what_does_not_fit_is_refused_with_place_and_rule
            an_unregistered_version_of_a_registered_type_is_refused
            a_schema_is_immutable
            a_malformed_registration_is_refused
            one_event_that_does_not_fit_refuses_the_whole_append
            a_registration_counts_for_the_rest_of_its_own_append
            a_repetition_is_answered_although_it_would_no_longer_fit
            a_conflict_is_told_before_a_violation
            the_registry_can_be_loaded_from_the_store
        }
        stream_reads {
            forwards_from_a_revision_includes_it
            backwards_from_a_revision_starts_at_it_or_the_last_before
            from_a_position
            a_limit_counts_events_that_are_given
            a_missing_stream_is_not_found
            events_carry_the_position_that_the_append_answered
            every_part_of_an_event_comes_back_verbatim
            a_long_stream_comes_in_pages_without_gap
            pages_say_how_far_they_looked
            a_limited_read_can_go_on_where_it_stopped
            a_reader_sees_neither_later_appends_nor_later_deletes
        }
        subscriptions {
            from_the_start_history_then_caught_up_then_live
            an_empty_log_is_caught_up_at_once
            from_the_end_only_what_comes
            after_a_revision
            after_a_position
            a_place_beyond_the_end_is_refused
            another_stores_or_epochs_checkpoint_is_refused
            a_checkpoint_resumes_exactly_where_it_was_taken
            a_filtered_one_advances_over_what_does_not_pass
            no_checkpoint_comes_twice_and_none_goes_back
            a_stream_that_is_not_there_yet_is_waited_for
            a_soft_deleted_stream_is_waited_for_and_goes_on_when_revived
            a_tombstone_is_delivered_and_then_the_error
            what_metadata_hides_is_not_delivered
            a_dropped_wait_loses_nothing
            the_hand_over_to_live_has_no_gap_and_no_duplicate
        }
    }
}
