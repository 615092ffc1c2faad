//! Query parameters: only what was asked for is sent.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use prefix_api_types::{GroupStatus, MitigationStatus};

/// A list of parameters in the making.
#[derive(Debug, Default)]
pub(crate) struct Pairs(pub(crate) Vec<(&'static str, String)>);

impl Pairs {
    pub(crate) fn with(mut self, name: &'static str, value: Option<&(impl ToString + ?Sized)>) -> Self {
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn with_time(mut self, name: &'static str, value: Option<DateTime<Utc>>) -> Self {
        self.0.extend(value.map(|time| (name, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
        self
    }
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Only of this detector.
    pub source: Option<String>,
    /// Only on this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Only received at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only received before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl EventQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("source", self.source.as_ref())
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}

/// Which mitigations to list.
#[derive(Debug, Clone, Default)]
pub struct MitigationQuery {
    /// Only in one of these states.
    pub status: Vec<MitigationStatus>,
    /// Only of this customer.
    pub customer_id: Option<String>,
    /// Only of exactly this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Of this site; `all` = of every site; missing = of the answering instance's.
    pub pop: Option<String>,
    /// Only those (not) taken note of.
    pub acknowledged: Option<bool>,
    /// Only created at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only created before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl MitigationQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let status = self.status.iter().map(MitigationStatus::as_str).collect::<Vec<_>>().join(",");
        Pairs::default()
            .with("status", Some(&status).filter(|status| !status.is_empty()))
            .with("customer_id", self.customer_id.as_ref())
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with("pop", self.pop.as_ref())
            .with("acknowledged", self.acknowledged.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}

/// Which signal groups to list.
#[derive(Debug, Clone, Default)]
pub struct GroupQuery {
    /// Only in one of these states.
    pub status: Vec<GroupStatus>,
    /// Only on exactly this address.
    pub victim_ip: Option<IpAddr>,
    /// Only of this kind.
    pub vector: Option<String>,
    /// Of this site; `all` = of every site; missing = of the answering instance's.
    pub pop: Option<String>,
    /// Only created at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only created before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl GroupQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let status = self.status.iter().map(GroupStatus::as_str).collect::<Vec<_>>().join(",");
        Pairs::default()
            .with("status", Some(&status).filter(|status| !status.is_empty()))
            .with("victim_ip", self.victim_ip.as_ref())
            .with("vector", self.vector.as_ref())
            .with("pop", self.pop.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only by this actor.
    pub actor_id: Option<String>,
    /// Only to this kind of thing.
    pub target_type: Option<String>,
    /// Only to this thing.
    pub target_id: Option<String>,
    /// Only at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only before this time.
    pub end: Option<DateTime<Utc>>,
    /// Size of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl AuditQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("action", self.action.as_ref())
            .with("actor_id", self.actor_id.as_ref())
            .with("target_type", self.target_type.as_ref())
            .with("target_id", self.target_id.as_ref())
            .with_time("start", self.start)
            .with_time("end", self.end)
            .with("limit", self.limit.as_ref())
            .0
    }
}

/// What of the chain to check.
#[derive(Debug, Clone, Default)]
pub struct ChainQuery {
    /// From this entry on; without it, from the first.
    pub from_seq: Option<i64>,
    /// Up to this entry; without it, to the last.
    pub to_seq: Option<i64>,
    /// A hash noted earlier, which must be part of the chain.
    pub expect: Option<String>,
}

impl ChainQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        Pairs::default()
            .with("from_seq", self.from_seq.as_ref())
            .with("to_seq", self.to_seq.as_ref())
            .with("expect", self.expect.as_ref())
            .0
    }
}
