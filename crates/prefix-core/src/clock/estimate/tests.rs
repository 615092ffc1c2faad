//! Samples in, time out.

use super::*;

const STEP: TimeDelta = TimeDelta::seconds(1);

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).unwrap()
}

fn boot(milliseconds: u64) -> Duration {
    Duration::from_millis(5_000_000 + milliseconds)
}

/// Storage's clock is `ahead` milliseconds, and read half-way through a round trip.
fn sample(since_boot: u64, ahead: i64, round_trip: u64) -> ClockSample {
    let asked = boot(since_boot);
    let middle = i64::try_from(since_boot + round_trip / 2).unwrap();
    ClockSample { time: at(middle + ahead), asked, answered: asked + Duration::from_millis(round_trip) }
}

fn estimate(samples: impl IntoIterator<Item = ClockSample>) -> ClockEstimate {
    let mut estimate = ClockEstimate::new(STEP);
    samples.into_iter().for_each(|one| estimate.sample(&one));
    estimate
}

/// A sample each second.
fn each_second(seconds: std::ops::Range<u64>, ahead: i64) -> impl Iterator<Item = ClockSample> {
    seconds.map(move |second| sample(second * 1_000, ahead, 4))
}

#[test]
fn without_a_sample_there_is_no_time() {
    let mut estimate = estimate([]);
    assert_eq!((estimate.now(boot(0)), estimate.error(boot(0))), (None, None));
    assert!(!estimate.is_valid(boot(0)) && estimate.anchor(boot(0)).is_none());
}

#[test]
fn the_sample_with_the_least_round_trip_counts_and_time_goes_on_from_it() {
    let mut estimate = estimate([sample(0, 90, 400), sample(1_000, 1, 2), sample(2_000, -70, 400)]);
    assert_eq!(estimate.now(boot(11_000)), Some(at(11_001)));
    let error = estimate.error(boot(11_000)).unwrap();
    assert!(error > Duration::from_millis(1) && error < Duration::from_millis(7), "{error:?}");
}

#[test]
fn a_slow_answer_is_not_valid_and_an_old_one_becomes_invalid() {
    assert!(!estimate([sample(0, 0, 600)]).is_valid(boot(600)));
    let good = estimate([sample(0, 0, 2)]);
    assert!(good.is_valid(boot(400_000)));
    assert!(!good.is_valid(boot(510_000)), "two clocks may be 255 ms apart after 510 s");
}

#[test]
fn a_clock_that_is_slewed_is_followed_and_time_never_falls() {
    let mut estimate = estimate(each_second(0..3, 0));
    assert_eq!(estimate.now(boot(3_000)), Some(at(3_000)));
    estimate.sample(&sample(3_000, -800, 4));
    assert_eq!(estimate.now(boot(3_100)), Some(at(3_000)), "it stands until the other clock has caught up");
    assert_eq!(estimate.now(boot(5_000)), Some(at(4_200)));
    assert_eq!(estimate.frame(), ClockFrame(0));
}

#[test]
fn a_step_is_taken_once_it_was_stable_for_ten_seconds_and_not_before() {
    for by in [-3_600_000, 3_600_000, -1_100, 1_100] {
        let mut estimate = estimate(each_second(0..10, 0));
        for one in each_second(10..20, by) {
            estimate.sample(&one);
            assert_eq!(estimate.due_step(), None);
        }
        assert_eq!(estimate.suspected_step(), Some(TimeDelta::milliseconds(by)));
        assert_eq!(estimate.now(boot(20_000)), Some(at(20_000)), "the old time goes on");
        estimate.sample(&sample(20_010, by, 4));
        let step = estimate.take_step().unwrap();
        assert_eq!((step, estimate.frame()), (TimeDelta::milliseconds(by), ClockFrame(by * 1_000)));
        assert_eq!(estimate.now(boot(21_000)), Some(at(21_000 + by)));
        assert_eq!((estimate.suspected_step(), estimate.take_step()), (None, None), "once");
    }
}

#[test]
fn a_clock_that_is_set_back_right_again_was_never_followed() {
    let mut estimate = estimate(each_second(0..10, 0));
    each_second(10..15, 86_400_000).for_each(|one| estimate.sample(&one));
    assert!(estimate.suspected_step().is_some());
    each_second(15..40, 0).for_each(|one| estimate.sample(&one));
    assert_eq!((estimate.suspected_step(), estimate.due_step()), (None, None));
    assert_eq!(estimate.now(boot(40_000)), Some(at(40_000)));
}

#[test]
fn a_clock_that_does_not_stand_still_is_not_followed() {
    let mut estimate = estimate(each_second(0..10, 0));
    for second in 10..60 {
        let by = i64::try_from(second).unwrap() * 5_000;
        estimate.sample(&sample(second * 1_000, by, 4));
        assert_eq!(estimate.due_step(), None);
    }
    assert_eq!(estimate.now(boot(60_000)), Some(at(60_000)));
}

#[test]
fn one_sample_or_two_that_deviate_are_no_step() {
    let mut estimate = estimate(each_second(0..10, 0));
    each_second(10..12, 9_000).for_each(|one| estimate.sample(&one));
    assert_eq!(estimate.suspected_step(), None);
}

#[test]
fn what_a_former_process_knew_is_gone_on_from_in_todays_frame() {
    let known = estimate(each_second(0..3, 0)).anchor(boot(3_000)).unwrap();
    let mut next = ClockEstimate::new(STEP);
    // meanwhile another instance has made a step of an hour good
    let frame = ClockFrame(0).after(TimeDelta::hours(1));
    next.resume(Some(&known), frame);
    assert_eq!(next.now(boot(60_000)), Some(at(3_660_000)));
    assert_eq!((next.frame(), next.suspected_step()), (frame, None));
    let mut other = ClockEstimate::new(STEP);
    other.resume(None, frame);
    assert_eq!((other.now(boot(0)), other.frame()), (None, frame));
}

#[test]
fn an_anchor_means_the_same_for_every_process_of_the_boot() {
    let anchor = estimate([sample(0, 0, 0)]).anchor(boot(1_000)).unwrap();
    assert_eq!((anchor.at(boot(3_000)), anchor.at(boot(500))), (at(3_000), at(500)));
    let text = serde_json::to_string(&anchor).unwrap();
    assert_eq!(serde_json::from_str::<Anchor>(&text).unwrap(), anchor);
}
