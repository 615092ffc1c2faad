//! A small provider with one customer, a resolver, a web server and a lonely host, in both families.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::clock::ClockFrame;
use prefix_core::decision::Decision;
use prefix_core::event::{EventAction, Report};
use prefix_core::guardrail::Refusal;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::lease::Lease;
use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::{EndReason, Mitigation, RowClock, SpeakerView, Status};
use prefix_core::name::Pop;
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::port::PortList;
use prefix_core::ports::QuotaCounts;
use prefix_core::safelist::{Safelist, SafelistEntry};
use prefix_policy::{
    BanVerdict, CheckContext, Facts, InventoryDocument, ManualRequest, ManualVerdict, Plan,
    PlaybooksDocument, Policy, PolicyParts, SafelistIndex, StepVerdict,
};
use serde_json::{Value, json};

/// The resolver of the customer: serves 53, asks others on 53.
pub(crate) const RESOLVER: &str = "203.0.113.10";
/// Its web server: TCP 80 and 443, UDP 443.
pub(crate) const WEB: &str = "203.0.113.20";
/// In the customer's prefix, in no service.
pub(crate) const HOST: &str = "203.0.113.99";
/// The same three with IPv6.
pub(crate) const RESOLVER6: &str = "2001:db8:10::53";
pub(crate) const HOST6: &str = "2001:db8:10::99";

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

pub(crate) struct Lab {
    pub(crate) parts: PolicyParts,
    pub(crate) safelist: Vec<SafelistEntry>,
    pub(crate) frozen: Vec<PanicScope>,
    pub(crate) quota: QuotaCounts,
    pub(crate) rows: Vec<Mitigation>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) frame: ClockFrame,
    pop: Pop,
}

impl Lab {
    /// A lab where every vector meets one playbook with these steps.
    pub(crate) fn with_steps(steps: Value) -> Self {
        Self::with_playbooks(json!({
            "default_playbook": "all",
            "playbooks": [{ "name": "all", "match": { "vector": "unknown" }, "steps": steps }],
        }))
    }

    pub(crate) fn with_playbooks(document: Value) -> Self {
        let mut parts = PolicyParts::default();
        parts.guardrails.allow_redirect = true;
        parts.guardrails.allow_mark = true;
        parts.guardrails.allow_rtbh = true;
        parts.guardrails.allow_packet_length_match = true;
        let inventory: InventoryDocument = serde_json::from_value(inventory()).unwrap();
        parts.inventory = inventory.build(&parts.guardrails).unwrap().value;
        let playbooks: PlaybooksDocument = serde_json::from_value(document).unwrap();
        parts.playbooks = playbooks.build(&parts.guardrails, Some(&parts.inventory)).unwrap().value;
        Self {
            parts,
            safelist: Vec::new(),
            frozen: Vec::new(),
            quota: QuotaCounts::default(),
            rows: Vec::new(),
            now: at(0),
            frame: ClockFrame::default(),
            pop: "fra1".parse().unwrap(),
        }
    }

    /// Replaces the inventory.
    pub(crate) fn inventory(&mut self, document: Value) {
        let document: InventoryDocument = serde_json::from_value(document).unwrap();
        self.parts.inventory = document.build(&self.parts.guardrails).unwrap().value;
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::new(self.parts.clone())
    }

    pub(crate) fn safelist_index(&self) -> SafelistIndex {
        SafelistIndex::new(&Safelist { revision: 1, entries: self.safelist.clone().into() })
    }

    fn with_facts<R>(&self, ask: impl FnOnce(&Policy, &Facts<'_>) -> R) -> R {
        let (recent, unfinished): (Vec<&Mitigation>, Vec<&Mitigation>) =
            self.rows.iter().partition(|row| row.status.is_final());
        let facts = Facts {
            now: self.now,
            pop: &self.pop,
            unfinished: &unfinished,
            recent: &recent,
            safelist: &self.safelist_index(),
            frozen: &self.frozen,
            quota: &self.quota,
            group: None,
        };
        ask(&self.policy(), &facts)
    }

    pub(crate) fn ban(&self, report: &Report) -> BanVerdict {
        self.with_facts(|policy, facts| policy.decide_ban(report, facts))
    }

    pub(crate) fn manual(&self, request: &ManualRequest) -> ManualVerdict {
        self.with_facts(|policy, facts| policy.decide_manual(request, facts))
    }

    pub(crate) fn admit(&self, row: &Mitigation) -> Result<(), Refusal> {
        self.with_facts(|policy, facts| policy.admit(row, facts))
    }

    pub(crate) fn next_step(&self, row: &Mitigation) -> StepVerdict {
        self.policy().next_step(row, self.check_context(&self.safelist_index()))
    }

    fn check_context<'a>(&'a self, safelist: &'a SafelistIndex) -> CheckContext<'a> {
        CheckContext { now: self.now, safelist, frozen: &self.frozen }
    }

    pub(crate) fn revalidate(&self, row: &Mitigation) -> Result<(), Refusal> {
        self.policy().revalidate(row, self.check_context(&self.safelist_index()))
    }

    /// A panic of this customer (`None` = everybody) at this pop (`None` = every pop).
    pub(crate) fn panic(&mut self, pop: Option<&str>, customer: Option<&str>) {
        self.frozen.push(PanicScope {
            panic_id: PanicId::generate(),
            reason: "a wrong rule".into(),
            pop: pop.map(|name| name.parse().unwrap()),
            customer_id: customer.map(|name| name.parse().unwrap()),
            started_at: self.now,
            started_by: "ada".into(),
            origin: PanicOrigin::Api,
            thawed: None,
        });
    }

    pub(crate) fn safe(&mut self, prefix: &str) {
        self.safelist.push(SafelistEntry {
            prefix: prefix.parse().unwrap(),
            added_at: at(0),
            added_by: "config".into(),
            reason: None,
            expires_at: None,
        });
    }

    /// The plan of a report that must lead to a new rule.
    pub(crate) fn plan(&self, report: &Report) -> Plan {
        match self.ban(report) {
            BanVerdict::Mitigate { waits: None, plan, .. } => plan,
            other => panic!("no new rule: {other:#?}"),
        }
    }

    /// The rule of a report and what it does: `dst ... | discard`.
    pub(crate) fn rule(&self, report: &Report) -> String {
        match self.ban(report) {
            BanVerdict::Mitigate { waits: None, plan, .. } => line(&plan),
            BanVerdict::NoPlaybook(_) => "no rule".to_owned(),
            BanVerdict::Refuse { refusal, .. } => format!("refused: {}", refusal.guardrail),
            other => panic!("unexpected: {other:#?}"),
        }
    }

    /// Carries out a report that must lead to a new rule: the row lives and is confirmed.
    pub(crate) fn raise(&mut self, report: &Report) -> MitigationId {
        let BanVerdict::Mitigate { waits: None, plan, companions, decision } = self.ban(report) else {
            panic!("no new rule: {:#?}", self.ban(report))
        };
        let row = self.row(plan, report, decision.clone());
        let id = row.mitigation_id;
        self.rows.push(row);
        for plan in companions {
            let mut row = self.row(plan, report, decision.clone());
            row.parent_id = Some(id);
            self.rows.push(row);
        }
        id
    }

    fn row(&self, plan: Plan, report: &Report, decision: Decision) -> Mitigation {
        let (until, edge) = self.policy().lease_until_by(&report.source, None, plan.ttl, self.now);
        let lease = Lease::new(
            report.source.clone(),
            report.external_event_id.clone(),
            report.confidence.unwrap_or_default(),
            edge,
            self.now,
            until,
        );
        let mut progress = plan.progress();
        progress.step_confirmed_at = Some(self.now);
        let mut row = Mitigation {
            mitigation_id: MitigationId::generate(),
            revision: 0,
            pop: self.pop.clone(),
            status: Status::Active,
            end_reason: None,
            superseded_by: None,
            parent_id: None,
            role: Some(plan.role),
            customer_id: plan.customer_id,
            service_id: plan.service_id,
            victim_ip: report.victim_ip,
            vector: report.vector.clone().unwrap(),
            matching: plan.matching,
            route: plan.route,
            action: plan.action,
            ttl: plan.ttl,
            playbook: plan.playbook,
            progress,
            leases: vec![lease],
            speaker: SpeakerView { attempted: true, announced: true, ..SpeakerView::default() },
            created_at: self.now,
            updated_at: self.now,
            expires_at: self.now,
            lifetime_ends_at: self.now + plan.lifetime,
            ended_at: None,
            withdrawn_at: None,
            triggering_event_id: None,
            last_event_id: None,
            reason: None,
            acknowledged_at: None,
            acknowledged_by: None,
            dry_run: false,
            warnings: plan.warnings,
            guardrail: None,
            correlation: None,
            decision,
            clock: RowClock::default(),
            carpet: None,
        };
        row.follow_leases();
        row
    }

    pub(crate) fn find(&self, id: MitigationId) -> &Mitigation {
        self.rows.iter().find(|row| row.mitigation_id == id).unwrap()
    }

    pub(crate) fn edit(&mut self, id: MitigationId) -> &mut Mitigation {
        self.rows.iter_mut().find(|row| row.mitigation_id == id).unwrap()
    }

    /// Ends a row at once.
    pub(crate) fn end(&mut self, id: MitigationId, reason: EndReason) {
        let now = self.now;
        let row = self.edit(id);
        row.begin_end(reason, now).unwrap();
        if row.status == Status::Withdrawing {
            row.finish_end(now).unwrap();
        }
    }

    pub(crate) fn later(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }
}

/// The rule of a plan and what it does.
pub(crate) fn line(plan: &Plan) -> String {
    let parts = plan.action.parts();
    let rate = parts.rate_bps.map_or(String::new(), |rate| format!(" {}", rate.get()));
    let rate = rate + &parts.rate_pps.map_or(String::new(), |rate| format!(" {}pps", rate.get()));
    format!("{} | {}{rate}", plan.route.as_ref().unwrap(), parts.action_type)
}

pub(crate) fn inventory() -> Value {
    json!({ "customers": [{
        "customer_id": "acme",
        "name": "ACME Corp",
        "prefixes": ["203.0.113.0/24", "2001:db8:10::/48"],
        "services": [
            { "service_id": "dns",
              "assets": [{ "ip": RESOLVER }, { "ip": RESOLVER6 }],
              "allowed_ports": { "udp": [53], "tcp": [53] },
              "allowed_source_ports": { "udp": [53] } },
            { "service_id": "web",
              "assets": [{ "ip": "203.0.113.20", "range_end": "203.0.113.23" }],
              "allowed_ports": { "udp": [443], "tcp": [80, 443] } },
        ],
    }] })
}

/// A ban, as short as it can be.
pub(crate) fn report(vector: &str, victim: &str) -> Report {
    Report {
        timestamp: at(0),
        source: "detector".parse().unwrap(),
        victim_ip: victim.parse().unwrap(),
        vector: Some(vector.parse().unwrap()),
        protocol: None,
        bps: None,
        pps: None,
        top_dst_ports: PortList::default(),
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
    }
}

/// Makes reports read like sentences.
pub(crate) trait Saying {
    fn on(self, ports: &[u16]) -> Self;
    fn over(self, protocol: &str) -> Self;
    fn sure(self, confidence: f64) -> Self;
    fn from(self, source: &str) -> Self;
    fn episode(self, id: &str) -> Self;
}

impl Saying for Report {
    fn on(mut self, ports: &[u16]) -> Self {
        self.top_dst_ports = ports.iter().copied().collect();
        self
    }

    fn over(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.parse().unwrap());
        self
    }

    fn sure(mut self, confidence: f64) -> Self {
        self.confidence = Some(prefix_core::confidence::Confidence::new(confidence).unwrap());
        self
    }

    fn from(mut self, source: &str) -> Self {
        self.source = source.parse().unwrap();
        self
    }

    fn episode(mut self, id: &str) -> Self {
        self.external_event_id = Some(id.parse().unwrap());
        self
    }
}

pub(crate) fn discard() -> Value {
    json!([{ "action": "discard", "ttl_seconds": 120 }])
}

pub(crate) fn police() -> Value {
    json!([{ "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 120 }])
}
