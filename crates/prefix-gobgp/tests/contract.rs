//! The contract of the port, kept by `GoBGP` 3 and 4.

mod port;
macro_rules! contract {
    ($($promise:ident)*) => {
        mod v3 { $(
            #[tokio::test]
            async fn $promise() {
                let speaker = prefix_testkit::lab::Gobgpd::v3().start().await.unwrap();
                super::port::$promise(&crate::support::adapter(&speaker)).await;
            }
        )* }
        mod v4 { $(
            #[tokio::test]
            async fn $promise() {
                let speaker = prefix_testkit::lab::Gobgpd::v4().start().await.unwrap();
                super::port::$promise(&crate::support::adapter(&speaker)).await;
            }
        )* }
    };
}

contract! {
    every_component_and_action_is_listed_as_announced
    announcing_again_replaces_the_action_in_place
    a_route_has_one_identity_however_it_was_written
    a_withdrawal_takes_that_route_and_no_other
    withdrawing_what_is_not_there_is_no_error
    no_changes_are_no_results
    single_routes_are_found_in_the_order_asked
    a_path_that_cannot_be_sent_is_refused_and_the_others_are_announced
    thousands_come_and_go
    a_watch_tells_its_state_first_and_then_every_change
    two_watches_see_the_same
}
