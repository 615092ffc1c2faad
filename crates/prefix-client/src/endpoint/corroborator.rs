//! Sources that only corroborate.

use crate::client::Client;
use crate::error::ApiError;

use crate::operation;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{CorroborationAnswer, CorroboratorActivity, CorroboratorCache, NewCorroboration};

impl Client {
    /// Corroborates what others report, or will report within the window.
    ///
    /// The call carries a new idempotency key, the same on every retry.
    pub async fn corroborate(
        &self,
        signal: &NewCorroboration,
    ) -> Result<Reply<CorroborationAnswer>, ApiError> {
        self.call(Call::new(operation::SIGNALS_CORROBORATE).body(signal)?.idempotent(None)).await
    }

    /// Which corroborating sources were heard in the last minutes, 1 to 1440; without a number, 60.
    pub async fn corroborator_activity(
        &self,
        minutes: Option<u32>,
    ) -> Result<Reply<CorroboratorActivity>, ApiError> {
        let pairs = Pairs::default().with("minutes", minutes.as_ref());
        self.call(Call::new(operation::SIGNALS_ACTIVITY).query(pairs.0)).await
    }

    /// Which corroborating signals wait for a group; at most `limit` of them, 1 to 1000.
    pub async fn corroborator_cache(
        &self,
        source: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Reply<CorroboratorCache>, ApiError> {
        let pairs = Pairs::default().with("source", source).with("limit", limit.as_ref());
        self.call(Call::new(operation::SIGNALS_CACHE).query(pairs.0)).await
    }
}
