//! Thousands of requests that Schemathesis makes of the OpenAPI document, good and bad: no answer is a fault of the server
//! or anything that the document does not describe.

use crate::test_network::Network;
use prefix_testkit::lab::Schemathesis;
use std::time::Instant;

/// The fewest requests that count as a test.
const FEWEST: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_to_generated_requests_is_outside_its_schema() {
    let much = 1_000_000;
    let net = Network::with_gobgp_4()
        .setting("http.rate_limit.events_per_second", much)
        .setting("http.rate_limit.burst", much)
        .setting("http.rate_limit.requests_per_second", much)
        .setting("http.rate_limit.requests_burst", much)
        .start()
        .await;
    let began = Instant::now();
    let run = Schemathesis::run(&net.daemon.url()).await.unwrap_or_else(|error| panic!("{error}"));
    println!("measured: {} generated requests in {:.0?}", run.requests, began.elapsed());
    assert!(run.passed, "{}\n{}", run.output, net.daemon.log_tail());
    assert!(run.requests >= FEWEST, "only {} requests\n{}", run.requests, run.output);
}
