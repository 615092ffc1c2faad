//! One measurement after the other: the same traffic without rules, in both orders, and without each kind of companion.

use super::field::{Field, Held, count};
use super::report::Report;
use super::traffic::Flow;
use prefix_testkit::lab::{RuleCount, Stream};
use std::sync::Arc;

/// A report, the rules that it makes, and traffic.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) report: Report,
    /// All of them get the same rules.
    pub(super) victims: &'static [&'static str],
    /// In the order of RFC 8955 §5.1.
    pub(super) rules: &'static [&'static str],
    pub(super) mixes: Vec<Mix>,
}

/// Attack and wanted traffic together, and what must become of them.
pub(super) struct Mix {
    pub(super) name: &'static str,
    pub(super) flows: Vec<Flow>,
    /// With all rules, in any order.
    pub(super) whole: Shares,
    /// Without the rules of a role: every companion's is here.
    pub(super) without: Vec<(&'static str, Shares)>,
}

/// Percent: at least, and at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    /// Of the attack, stopped.
    pub(super) stopped: (f64, f64),
    /// Of what the customer wants, passed.
    pub(super) passed: (f64, f64),
}

/// That much of the attack is stopped, and that much of the rest passes, in percent.
pub(super) fn shares(stopped: (u32, u32), passed: (u32, u32)) -> Shares {
    let percent = |(least, most): (u32, u32)| (f64::from(least), f64::from(most));
    Shares { stopped: percent(stopped), passed: percent(passed) }
}

/// What was measured, in percent.
#[derive(Debug, Clone)]
struct Measured {
    stopped: f64,
    passed: f64,
    /// Of all packets, those that each rule decided about.
    decided: Vec<f64>,
}

/// Packets that the lab itself may lose, and what two runs may differ by where a policer decides.
const MARGIN: f64 = 3.0;
const POLICED_MARGIN: f64 = 12.0;

/// Sends the traffic of a mix through `set`, in every way, prints each and notes what is not as it must be.
pub(super) async fn measure(
    field: &Field,
    scenario: &str,
    mix: &Mix,
    set: &[Held],
    failures: &mut Vec<String>,
) {
    let (flows, streams) = split(mix);
    let mut say = |rules: &str, measured: &Measured, expected: Shares| {
        println!(
            "| {scenario} | {} | {rules} | {:.0} % | {:.0} % |",
            mix.name, measured.stopped, measured.passed
        );
        let within = |share: f64, (least, most): (f64, f64)| share >= least && share <= most;
        if !within(measured.stopped, expected.stopped) || !within(measured.passed, expected.passed) {
            failures.push(format!("{scenario}, {}, {rules}: {measured:.1?}, not {expected:?}", mix.name));
        }
    };
    let nothing = run(field, &flows, &streams, &[]).await;
    say("none", &nothing, shares((0, 3), (97, 100)));
    if set.is_empty() {
        return;
    }
    let ordered = run(field, &flows, &streams, set).await;
    say("RFC order", &ordered, mix.whole);
    let reversed: Vec<Held> = set.iter().rev().cloned().collect();
    let mut backwards = run(field, &flows, &streams, &reversed).await;
    say("reverse order", &backwards, mix.whole);
    for role in roles(set) {
        let rest: Vec<Held> = set.iter().filter(|rule| rule.role != role).cloned().collect();
        let expected = mix.without.iter().find(|(of, _)| *of == role);
        let (_, expected) = expected.unwrap_or_else(|| panic!("{scenario} does not say what {role} is for"));
        say(&format!("without `{role}`"), &run(field, &flows, &streams, &rest).await, *expected);
    }
    backwards.decided.reverse();
    let differs = |one: f64, two: f64, most: f64| (one - two).abs() > most;
    let same_rules =
        ordered.decided.iter().zip(&backwards.decided).all(|(one, two)| !differs(*one, *two, MARGIN));
    if !same_rules
        || differs(ordered.stopped, backwards.stopped, POLICED_MARGIN)
        || differs(ordered.passed, backwards.passed, POLICED_MARGIN)
    {
        failures.push(format!(
            "{scenario}, {}: {ordered:.1?} in RFC order, {backwards:.1?} in reverse",
            mix.name
        ));
    }
}

/// The kinds of companions of a set.
fn roles(set: &[Held]) -> Vec<String> {
    let mut roles: Vec<String> =
        set.iter().map(|rule| rule.role.clone()).filter(|role| role != "main").collect();
    roles.sort();
    roles.dedup();
    roles
}

fn split(mix: &Mix) -> (Vec<bool>, Arc<Vec<Stream>>) {
    let streams = mix.flows.iter().map(|flow| flow.stream.clone()).collect();
    (mix.flows.iter().map(|flow| flow.is_attack).collect(), Arc::new(streams))
}

async fn run(field: &Field, is_attack: &[bool], streams: &Arc<Vec<Stream>>, rules: &[Held]) -> Measured {
    let passages = field.sends(streams, rules).await;
    let counts = field.filter.counts(rules.len()).await.unwrap();
    let share = |of_attack: bool| {
        let those = is_attack.iter().zip(&passages).filter(|(is_attack, _)| **is_attack == of_attack);
        let (mut sent, mut arrived) = (0, 0);
        for (_, passage) in those {
            sent += passage.sent;
            arrived += passage.arrived;
        }
        100.0 * count(arrived) / count(sent)
    };
    let sent = count(passages.iter().map(|passage| passage.sent).sum());
    let decided = |rule: &RuleCount| 100.0 * count(rule.matched) / sent;
    Measured {
        stopped: 100.0 - share(true),
        passed: share(false),
        decided: counts.iter().map(decided).collect(),
    }
}
