//! Reading one thing: the state, one row, the running configuration, the verdict on the audit trail.

use crate::client::Client;
use crate::endpoint::Answer;
use crate::operation;
use crate::query::ChainQuery;
use crate::transport::Call;
use prefix_api_types::{
    ChainVerdict, CorroboratorActivity, CorroboratorCache, Event, EventId, HealthDetail, HealthSummary,
    History, Mitigation, MitigationId, PanicState, Peer, Peers, Pop, SafelistEntry, Series, SignalGroup,
    SignalGroupId, Stats, Timeseries,
};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Reads that need nothing but perhaps the name of a thing.
macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty)?) = $operation:ident -> $value:ty;)+) => {
        impl Client {$(
            $(#[$doc])*
            pub async fn $name(&self $(, $argument: $kind)?) -> Answer<$value> {
                self.call(Call::new(operation::$operation)$(.argument(&$argument))?).await
            }
        )+}
    };
}

reads! {
    /// Is the process there? Public.
    health() = HEALTH -> HealthSummary;
    /// All about its condition.
    health_detail() = HEALTH_DETAIL -> HealthDetail;
    /// The sites.
    pops() = POPS -> Vec<Pop>;
    /// Totals.
    stats() = STATS -> Stats;
    /// One event with its decision.
    event(id: EventId) = EVENTS_GET -> Event;
    /// One mitigation with its decision.
    mitigation(id: MitigationId) = MITIGATIONS_GET -> Mitigation;
    /// One signal group with its signals.
    signal_group(id: SignalGroupId) = GROUPS_GET -> SignalGroup;
    /// Every entry of the safelist.
    safelist() = SAFELIST_LIST -> Vec<SafelistEntry>;
    /// What is frozen.
    panic_state() = PANIC_STATE -> PanicState;
    /// The running settings, secrets left out. The documents of the configuration are shown, not interpreted, so they stay
    /// untyped.
    config_settings() = CONFIG_SETTINGS -> Value;
    /// The running inventory.
    config_inventory() = CONFIG_INVENTORY -> Value;
    /// The running playbooks and vectors.
    config_playbooks() = CONFIG_PLAYBOOKS -> Value;
    /// The running terms of correlation; where its secrets are is shown to admins only.
    config_correlation() = CONFIG_CORRELATION -> Value;
}

impl Client {
    /// Can it take events? Public. 503 is an answer here (`false`), and never retried.
    pub async fn ready(&self) -> Answer<bool> {
        let reply = self.call::<Value>(Call::new(operation::HEALTH_READY).also_good(503)).await?;
        let ready = reply.status == 200;
        Ok(reply.map(|_| ready))
    }

    /// The BGP neighbours.
    pub async fn peers(&self) -> Answer<Vec<Peer>> {
        Ok(self.call::<Peers>(Call::new(operation::PEERS)).await?.map(|list| list.peers))
    }

    /// Counts over time; `range` up to `7d`, `bucket` from `5m`.
    pub async fn timeseries(
        &self,
        series: &Series,
        range: Option<&str>,
        bucket: Option<&str>,
    ) -> Answer<Timeseries> {
        let query = json!({"metric": series, "range": range, "bucket": bucket});
        self.call(Call::new(operation::STATS_TIMESERIES).query(&query)).await
    }

    /// What happened to an address; at most `limit` events and mitigations, 1 to 1000.
    pub async fn history(&self, ip: IpAddr, limit: Option<u32>) -> Answer<History> {
        self.call(Call::new(operation::IP_HISTORY).argument(&ip).query(&json!({"limit": limit}))).await
    }

    /// Which corroborating sources were heard in the last minutes, 1 to 1440; without a number, 60.
    pub async fn corroborator_activity(&self, minutes: Option<u32>) -> Answer<CorroboratorActivity> {
        self.call(Call::new(operation::SIGNALS_ACTIVITY).query(&json!({"minutes": minutes}))).await
    }

    /// Which corroborating signals wait for a group; at most `limit` of them, 1 to 1000.
    pub async fn corroborator_cache(
        &self,
        source: Option<&str>,
        limit: Option<u32>,
    ) -> Answer<CorroboratorCache> {
        let query = json!({"source": source, "limit": limit});
        self.call(Call::new(operation::SIGNALS_CACHE).query(&query)).await
    }

    /// Checks the chain of the answering instance's pop.
    pub async fn verify_audit(&self, query: &ChainQuery) -> Answer<ChainVerdict> {
        self.call(Call::new(operation::AUDIT_VERIFY).query(query)).await
    }
}
