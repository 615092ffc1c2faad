//! One measurement after the other: the same traffic without rules, in both orders, and without each kind of companion.

use super::field::{Field, Held, count};
use super::report::Report;
use super::traffic::{Flow, Part};
use prefix_testkit::lab::{Passage, RuleCount};
use std::collections::BTreeSet;
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
    /// Of what the customer wants and a rule tells from the attack, passed.
    pub(super) passed: (f64, f64),
}

/// That much of the attack is stopped, and that much of the rest passes, in percent.
pub(super) fn shares(stopped: (u32, u32), passed: (u32, u32)) -> Shares {
    let percent = |(least, most): (u32, u32)| (f64::from(least), f64::from(most));
    Shares { stopped: percent(stopped), passed: percent(passed) }
}

/// What was measured.
#[derive(Debug, Clone)]
struct Measured {
    /// Percent of the attack.
    stopped: f64,
    /// Percent of what the customer wants and a rule tells from the attack.
    passed: f64,
    /// Of all packets, those that each rule decided about, in percent.
    decided: Vec<f64>,
    /// Name of each kind of traffic, what it is, and how many packets were sent and arrived.
    kinds: Vec<(&'static str, Part, Passage)>,
}

/// Packets that the lab itself may lose, and what two runs may differ by where a policer decides, in percent.
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
    let mut say = |rules: &str, measured: &Measured, expected: Shares| {
        let [stopped, passed, alike] =
            [Part::Attack, Part::Wanted, Part::Alike].map(|part| measured.cell(part));
        println!("| {scenario} | {rules} | {stopped} | {passed} | {alike} |");
        let within = |share: f64, (least, most): (f64, f64)| share >= least && share <= most;
        if !within(measured.stopped, expected.stopped) || !within(measured.passed, expected.passed) {
            failures.push(format!("{scenario}, {rules}: {measured:.1?}, not {expected:?}"));
        }
    };
    let nothing = run(field, mix, &[]).await;
    say("none", &nothing, shares((0, 3), (97, 100)));
    if set.is_empty() {
        return;
    }
    let ordered = run(field, mix, set).await;
    say("RFC order", &ordered, mix.whole);
    let reversed: Vec<Held> = set.iter().rev().cloned().collect();
    let mut backwards = run(field, mix, &reversed).await;
    say("reverse order", &backwards, mix.whole);
    for role in roles(set) {
        let rest: Vec<Held> = set.iter().filter(|rule| rule.role != role).cloned().collect();
        let expected = mix.without.iter().find(|(of, _)| *of == role);
        let (_, expected) = expected.unwrap_or_else(|| panic!("{scenario} does not say what {role} is for"));
        say(&format!("without `{role}`"), &run(field, mix, &rest).await, *expected);
    }
    backwards.decided.reverse();
    let differ = |one: f64, two: f64, most: f64| (one - two).abs() > most;
    if ordered.decided.iter().zip(&backwards.decided).any(|(one, two)| differ(*one, *two, MARGIN))
        || differ(ordered.stopped, backwards.stopped, POLICED_MARGIN)
        || differ(ordered.passed, backwards.passed, POLICED_MARGIN)
    {
        failures.push(format!("{scenario}: {ordered:.1?} in RFC order, {backwards:.1?} in reverse order"));
    }
}

impl Measured {
    /// The share of the attack that was stopped, or of the rest that passed, for each kind of packets.
    fn cell(&self, part: Part) -> String {
        let kinds = self.kinds.iter().filter(|(_, of, _)| *of == part).map(|(name, _, passage)| {
            let passed = percent_arrived([passage]);
            format!("{name} {:.0} %", if part == Part::Attack { 100.0 - passed } else { passed })
        });
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// The kinds of companions of a set.
fn roles(set: &[Held]) -> BTreeSet<String> {
    set.iter().map(|rule| rule.role.clone()).filter(|role| role != "main").collect()
}

fn percent_arrived<'a>(passages: impl IntoIterator<Item = &'a Passage>) -> f64 {
    let (mut sent, mut arrived) = (0, 0);
    for passage in passages {
        sent += passage.sent;
        arrived += passage.arrived;
    }
    100.0 * count(arrived) / count(sent)
}

async fn run(field: &Field, mix: &Mix, rules: &[Held]) -> Measured {
    let streams = Arc::new(mix.flows.iter().map(|flow| flow.stream.clone()).collect());
    let passages = field.sends(&streams, rules).await;
    let counts = field.filter.counts(rules.len()).await.unwrap();
    let sent = count(passages.iter().map(|passage| passage.ahead + passage.sent).sum());
    let mut kinds: Vec<(&str, Part, Passage)> = Vec::new();
    for (flow, passage) in mix.flows.iter().zip(&passages) {
        match kinds.iter_mut().find(|(name, part, _)| (*name, *part) == (flow.name, flow.part)) {
            Some((_, _, all)) => {
                all.sent += passage.sent;
                all.arrived += passage.arrived;
            }
            None => kinds.push((flow.name, flow.part, *passage)),
        }
    }
    let arrived = |part: Part| {
        let those = kinds.iter().filter(|(_, of, _)| *of == part);
        percent_arrived(those.map(|(_, _, passage)| passage))
    };
    Measured {
        stopped: 100.0 - arrived(Part::Attack),
        passed: arrived(Part::Wanted),
        decided: counts.iter().map(|rule: &RuleCount| 100.0 * count(rule.matched) / sent).collect(),
        kinds,
    }
}
