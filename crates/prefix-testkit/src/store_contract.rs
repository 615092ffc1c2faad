//! The contract of the `Store` port: one suite that the fake and every real store must pass.
//!
//! `store_contract!(fresh)` makes a test of each promise; `fresh` is an async function that returns an empty store of
//! its own.
#![allow(
    clippy::missing_panics_doc,
    reason = "each of these functions is a test: it panics when the promise is broken"
)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod access;
pub mod atomic;
pub mod chain;
pub mod concurrent;
pub mod corroborations;
pub mod counts;
pub mod feed;
pub mod history;
pub mod leadership;
pub mod lists;
pub mod panic;
pub mod sample;
pub mod signals;
pub mod snapshot;

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use prefix_core::event::Event;
use prefix_core::mitigation::Mitigation;
use prefix_core::ports::{ChangeSet, MitigationChange, ReadSet, RowChange, Snapshot, Store, StoreError};

/// An empty store, and what must live as long as it does.
pub struct Fresh {
    /// The store.
    pub store: Arc<dyn Store>,
    keep: Option<Box<dyn Any + Send + Sync>>,
    another: Option<Opener>,
}

/// Opens a store.
type Opener = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send + Sync>;

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("keeps", &self.keep.is_some()).finish_non_exhaustive()
    }
}

impl Fresh {
    /// A store that needs nothing else.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, keep: None, another: None }
    }

    /// A store, and its folder or database, which goes when the test is over.
    pub fn with(store: Arc<dyn Store>, keep: impl Any + Send + Sync) -> Self {
        Self { store, keep: Some(Box::new(keep)), another: None }
    }

    /// The same, with a way to open the same data once more: a second instance at work on it.
    #[must_use]
    pub fn shared_by<F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Arc<dyn Store>> + Send + 'static,
    {
        self.another = Some(Box::new(move || Box::pin(open())));
        self
    }

    /// Another handle on the same data; the same one if there is no other.
    pub async fn another(&self) -> Arc<dyn Store> {
        match &self.another {
            Some(open) => open().await,
            None => Arc::clone(&self.store),
        }
    }
}

/// Writes `changes`, whatever the facts are.
pub async fn write(store: &dyn Store, reads: &ReadSet, changes: ChangeSet) -> Result<(), StoreError> {
    store.transact(reads, &mut |_| changes.clone()).await
}

/// Reads the facts and changes nothing.
pub async fn facts(store: &dyn Store, reads: &ReadSet) -> Snapshot {
    let mut facts = None;
    let mut decide = |snapshot| {
        facts = Some(snapshot);
        ChangeSet::default()
    };
    store.transact(reads, &mut decide).await.unwrap();
    facts.unwrap()
}

/// A new row.
pub fn insert<T: Clone>(row: &T) -> RowChange<T> {
    RowChange { before: None, after: Box::new(row.clone()) }
}

/// A changed row.
pub fn change<T: Clone>(before: &T, change: impl FnOnce(&mut T)) -> RowChange<T> {
    let mut after = before.clone();
    change(&mut after);
    RowChange { before: Some(Box::new(before.clone())), after: Box::new(after) }
}

/// These mitigations and nothing else.
fn changed(mitigations: impl IntoIterator<Item = MitigationChange>) -> ChangeSet {
    ChangeSet { mitigations: mitigations.into_iter().collect(), ..ChangeSet::default() }
}

/// New mitigations and nothing else.
fn new_rows<'a>(new: impl IntoIterator<Item = &'a Mitigation>) -> ChangeSet {
    changed(new.into_iter().map(insert))
}

/// Stores new events.
async fn put_events(store: &dyn Store, events: &[Event]) {
    let changes = ChangeSet { events: events.to_vec(), ..ChangeSet::default() };
    write(store, &sample::reads(), changes).await.unwrap();
}

/// Stores new mitigations.
async fn put<'a>(store: &dyn Store, new: impl IntoIterator<Item = &'a Mitigation>) {
    write(store, &sample::admission(), new_rows(new)).await.unwrap();
}

/// One test per promise. `$fresh` is an `async fn() -> Fresh`.
#[macro_export]
macro_rules! store_contract {
    ($fresh:ident) => {
        $crate::store_contract!($fresh, atomic:
            a_unit_of_work_is_stored_as_a_whole,
            a_refused_unit_of_work_stores_nothing,
            a_row_that_changed_in_between_is_not_overwritten,
            a_rule_may_be_wanted_by_several_rows,
            a_rule_can_be_taken_over_in_one_unit_of_work,
            nothing_decided_means_nothing_stored,
            what_identifies_a_row_never_changes,
            any_text_is_given_back_as_it_came,
            a_reply_is_kept_for_a_day_and_never_replaced_before,
            the_safelist_grows_a_revision_with_every_change,
            times_are_exact_to_the_microsecond,
        );
        $crate::store_contract!($fresh, concurrent:
            equal_rules_at_once_make_one_mitigation,
            a_quota_is_never_exceeded_by_one,
            quotas_hold_over_all_pops_and_nothing_of_them_is_lost,
            one_pop_ends_rules_of_another,
            a_dropped_caller_leaves_nothing_half_done,
            a_caller_that_decided_is_stored_even_if_it_is_dropped,
            a_safelist_entry_is_seen_by_every_later_admission,
            writers_of_different_rows_all_succeed,
        );
        $crate::store_contract!($fresh, snapshot:
            rows_are_found_by_id_whatever_their_status_and_pop,
            the_rows_of_a_victim_are_the_unfinished_and_the_recent,
            the_rows_of_a_rule_are_the_unfinished,
            the_queue_begins_with_the_oldest,
            each_row_comes_once,
            counters_follow_the_rows,
            the_rate_of_new_rules_is_never_too_low,
            episodes_and_sightings_are_remembered_for_bans,
            the_last_end_of_an_episode_is_remembered,
            the_unfinished_rows_of_a_pop_are_complete,
        );
        $crate::store_contract!($fresh, lists:
            a_list_is_read_in_pages_without_skipping_or_repeating,
            mitigations_are_filtered,
            events_are_filtered,
            audit_entries_are_filtered,
            a_list_has_no_raw_details,
        );
        $crate::store_contract!($fresh, counts:
            totals_and_stats_follow_the_rows,
            a_series_counts_by_bucket,
            pruning_takes_what_is_old_in_small_steps,
            an_event_of_a_living_mitigation_is_not_pruned,
            no_kind_of_old_rows_has_to_wait_for_another,
            the_horizon_of_retention_is_moved_from_where_it_is,
            a_store_says_that_it_answers,
        );
        $crate::store_contract!($fresh, signals:
            a_group_is_given_back_as_it_came,
            a_pop_victim_and_vector_have_one_open_group,
            signals_at_once_make_one_group,
            a_group_that_changed_in_between_is_not_overwritten,
            what_identifies_a_group_never_changes,
            groups_are_found_by_victim,
            groups_are_found_by_id_and_by_pop,
            open_groups_are_listed_by_the_end_of_their_window,
            groups_are_filtered,
            groups_are_read_in_pages_without_skipping_or_repeating,
            old_groups_and_corroborations_are_pruned,
        );
        $crate::store_contract!($fresh, corroborations:
            the_newest_corroborations_are_found_oldest_first,
            an_attached_corroboration_takes_the_place_of_what_it_was,
            waiting_corroborations_are_listed_and_counted,
            the_activity_of_corroborators_is_counted_by_source,
        );
        $crate::store_contract!($fresh, history:
            a_recorded_event_has_neither_raw_details_nor_a_trace,
            a_recording_is_read_in_pages_without_skipping_or_repeating,
            recorded_corroborations_are_read_in_pages,
            a_long_recording_comes_whole,
            a_recording_is_filtered,
            a_source_was_heard_when_it_last_said_anything,
        );
        $crate::store_contract!(two $fresh, leadership:
            an_epoch_begins_with_each_new_leader,
            another_instance_leads_when_the_lease_is_over,
            a_renewal_sets_the_end_of_the_lease_anew,
            who_resigns_is_replaced_at_once,
            a_lease_that_is_over_is_taken_only_by_who_saw_no_renewal,
            a_claim_reads_the_clock_of_storage,
            the_frame_of_the_pop_is_its_leaders,
            one_that_does_not_want_to_lead_only_reports,
            instances_of_a_pop_see_each_other,
            pops_have_leaders_of_their_own,
            a_deposed_leader_stores_nothing,
            nothing_of_an_old_epoch_is_stored_once_the_next_has_begun,
        );
        $crate::store_contract!(two $fresh, feed:
            what_others_change_is_in_the_feed_of_its_pop,
            a_first_look_and_a_lost_cursor_mean_anything,
            the_feed_misses_nothing_under_concurrent_writers,
            rows_are_read_by_their_ids,
            unfinished_rows_are_found_by_pop_and_customer,
        );
        $crate::store_contract!(two $fresh, panic:
            a_freeze_binds_the_very_next_admission,
            a_thawed_scope_is_kept_and_binds_nobody,
            a_freeze_and_an_admission_never_overlap,
        );
        $crate::store_contract!(two $fresh, access:
            credentials_are_given_back_as_they_came,
            the_revision_rises_when_something_ends_or_shrinks,
            operators_are_changed_once_and_their_names_are_theirs_for_ever,
            sessions_end_by_id_and_by_operator,
            the_last_use_of_a_token_is_noted,
            preferences_are_kept_by_principal,
            who_holds_an_ended_credential_is_told_so,
            after_a_revocation_nothing_is_stored_with_the_token,
            a_revocation_and_a_change_of_the_safelist_do_not_block_each_other,
            what_is_decided_about_people_is_decided_alone,
        );
        $crate::store_contract!(two $fresh, chain:
            entries_are_sealed_in_the_order_of_writing,
            only_the_leader_seals,
            pops_have_chains_of_their_own,
            many_writers_and_a_sealer_make_one_chain,
            what_a_crash_left_open_is_sealed_by_the_next_leader,
            two_that_seal_at_once_make_one_chain,
        );
    };
    (two $fresh:ident, $group:ident: $($name:ident),* $(,)?) => {
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fresh = super::$fresh().await;
                    let other = fresh.another().await;
                    $crate::store_contract::$group::$name(&fresh.store, &other).await;
                }
            )*
        }
    };
    ($fresh:ident, $group:ident: $($name:ident),* $(,)?) => {
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fresh = super::$fresh().await;
                    $crate::store_contract::$group::$name(&fresh.store).await;
                }
            )*
        }
    };
}
