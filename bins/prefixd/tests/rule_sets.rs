//! Rule sets meet packets: an attack and the customer's own traffic, through a router that enforces what prefixd sent.
//!
//! One network for all scenarios: the daemon with the shipped playbooks, gobgpd, ExaBGP in the router, and on both sides of
//! the router a network of its own. Each scenario is a report as a detector sends it, the rules that must come of it, and
//! traffic that is sent with no rules, with the rules in the order of RFC 8955 §5.1, in reverse order, and without each kind
//! of companion. `docs/packets.md` holds the table that this test prints.

mod configuration;
mod field;
mod report;
mod scenario;
mod scenarios;
mod several_rows;
mod traffic;

use field::Field;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_an_attack_lets_the_customer_pass_in_any_order_and_without_any_companion() {
    let field = Field::start().await;
    let scenarios = scenarios::all();
    // detectors say it again while the attack goes on, and by then it is time for a second step
    for pause in [0, 1500] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        for scenario in &scenarios {
            scenario.report.is_sent(&field.net, scenario.victims).await;
        }
    }
    println!("| scenario | rules | of the attack stopped | of the rest passed | like the attack, passed |");
    println!("|---|---|---|---|---|");
    let mut sets = Vec::new();
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let set = field.set_of(scenario.victims, scenario.rules).await;
        for mix in &scenario.mixes {
            scenario::measure(&field, scenario.name, mix, &set, &mut failures).await;
        }
        sets.push((scenario.name, set));
    }
    several_rows::one_rule_stands_while_another_row_wants_it(&field, &mut failures).await;
    several_rows::a_rule_that_flaps_stays(&field, &mut failures).await;
    println!("\n| scenario | rules, in the order of RFC 8955 §5.1 |\n|---|---|");
    for (name, set) in &sets {
        let mut rules: Vec<String> = set.iter().map(|rule| format!("`{rule}`").replace('|', "\\|")).collect();
        // victims have the same rules
        rules.dedup();
        println!("| {name} | {} |", if rules.is_empty() { "none".to_owned() } else { rules.join("<br>") });
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
