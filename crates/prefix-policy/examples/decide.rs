//! Embeds the policy: two documents, one report, one explained decision.
//!
//! `cargo run -p prefix-policy --example decide`
#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use chrono::Utc;
use prefix_core::event::{EventAction, Report};
use prefix_core::matching::PacketMatch;
use prefix_core::name::Pop;
use prefix_core::ports::QuotaCounts;
use prefix_diagnostics::Diagnostic;
use prefix_policy::{
    BanVerdict, Facts, Guardrails, InventoryDocument, PlaybooksDocument, Policy, PolicyParts, SafelistIndex,
};

const INVENTORY: &str = "
customers:
  - customer_id: acme
    name: ACME Corp
    prefixes: [203.0.113.0/24]
    services:
      - service_id: dns
        assets: [{ip: 203.0.113.10}]
        allowed_ports: {udp: [53], tcp: [53]}
";

const PLAYBOOKS: &str = "
playbooks:
  - name: udp
    match: {vector: udp_flood}
    steps:
      - {action: discard, ttl_seconds: 120}
";

/// The errors of a document as one error.
fn refused(errors: Vec<Diagnostic>) -> String {
    errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n")
}

fn main() -> Result<(), Box<dyn Error>> {
    let guardrails = Guardrails::default();
    let inventory: InventoryDocument = serde_saphyr::from_str(INVENTORY)?;
    let inventory = inventory.build(&guardrails).map_err(refused)?.value;
    let playbooks: PlaybooksDocument = serde_saphyr::from_str(PLAYBOOKS)?;
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).map_err(refused)?.value;
    let policy = Policy::new(PolicyParts { inventory, playbooks, guardrails, ..PolicyParts::default() });

    let now = Utc::now();
    let report = Report {
        timestamp: now,
        source: "fastnetmon".parse()?,
        victim_ip: "203.0.113.10".parse()?,
        vector: Some("udp_flood".parse()?),
        protocol: None,
        bps: None,
        pps: None,
        top_dst_ports: [53, 80, 443].into(),
        matches: PacketMatch::default(),
        confidence: None,
        action: EventAction::Ban,
        external_event_id: None,
        ended_at: None,
        victim_prefix: None,
        reach: prefix_core::event::Reach::Full,
        reports: None,
        sampled: false,
        unread: Vec::new(),
        raw_details: None,
    };
    let pop: Pop = "fra1".parse()?;
    let facts = Facts {
        now,
        pop: &pop,
        unfinished: &[],
        recent: &[],
        safelist: &SafelistIndex::default(),
        frozen: &[],
        quota: &QuotaCounts::default(),
        group: None,
    };
    let verdict = policy.decide_ban(&report, &facts);
    for entry in &verdict.decision().trace {
        println!("{:?} {:?}: {}", entry.stage, entry.result, entry.detail);
    }
    if let BanVerdict::Mitigate {
        waits: None,
        plan: prefix_policy::Plan { route: Some(route), action, ttl, .. },
        ..
    } = verdict
    {
        println!("=> {route}, {}, for {ttl}", action.action_type());
    }
    Ok(())
}
