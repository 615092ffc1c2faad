//! Reading the state: health, peers, sites, counts, the history of an address.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{HealthDetail, HealthSummary, History, Peer, Peers, Pop, Series, Stats, Timeseries};
use std::net::IpAddr;

impl Client {
    /// Is the process there? Public.
    pub async fn health(&self) -> Result<Reply<HealthSummary>, ApiError> {
        self.call(Call::new(operation::HEALTH)).await
    }

    /// Can it take events? Public. 503 is an answer here (`false`), and never retried.
    pub async fn ready(&self) -> Result<Reply<bool>, ApiError> {
        let call = Call::new(operation::HEALTH_READY).also_good(503);
        let reply = self.call::<serde_json::Value>(call).await?;
        let ready = reply.status == 200;
        Ok(reply.map(|_| ready))
    }

    /// All about its condition.
    pub async fn health_detail(&self) -> Result<Reply<HealthDetail>, ApiError> {
        self.call(Call::new(operation::HEALTH_DETAIL)).await
    }

    /// The BGP neighbours.
    pub async fn peers(&self) -> Result<Reply<Vec<Peer>>, ApiError> {
        Ok(self.call::<Peers>(Call::new(operation::PEERS)).await?.map(|list| list.peers))
    }

    /// The sites.
    pub async fn pops(&self) -> Result<Reply<Vec<Pop>>, ApiError> {
        self.call(Call::new(operation::POPS)).await
    }

    /// Totals.
    pub async fn stats(&self) -> Result<Reply<Stats>, ApiError> {
        self.call(Call::new(operation::STATS)).await
    }

    /// Counts over time; `range` up to `7d`, `bucket` from `5m`.
    pub async fn timeseries(
        &self,
        series: &Series,
        range: Option<&str>,
        bucket: Option<&str>,
    ) -> Result<Reply<Timeseries>, ApiError> {
        let pairs = Pairs::default().with("metric", Some(series)).with("range", range).with("bucket", bucket);
        self.call(Call::new(operation::STATS_TIMESERIES).query(pairs.0)).await
    }

    /// What happened to an address; at most `limit` events and mitigations, 1 to 1000.
    pub async fn history(&self, ip: IpAddr, limit: Option<u32>) -> Result<Reply<History>, ApiError> {
        let pairs = Pairs::default().with("limit", limit.as_ref());
        self.call(Call::new(operation::IP_HISTORY).argument(&ip).query(pairs.0)).await
    }
}
