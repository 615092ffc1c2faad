//! Signal groups.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::page::Paged;
use crate::query::GroupQuery;
use crate::reply::Reply;
use crate::transport::Call;
use prefix_api_types::{Page, SignalGroup, SignalGroupId};

impl Client {
    /// The first page of signal groups.
    pub async fn signal_groups(&self, query: &GroupQuery) -> Result<Reply<Page<SignalGroup>>, ApiError> {
        self.call(Call::new(operation::GROUPS_LIST).query(query.pairs())).await
    }

    /// All signal groups, page by page.
    pub fn all_signal_groups(&self, query: &GroupQuery) -> Paged<SignalGroup> {
        Paged::new(self, operation::GROUPS_LIST, query.pairs())
    }

    /// One signal group with its signals.
    pub async fn signal_group(&self, id: SignalGroupId) -> Result<Reply<SignalGroup>, ApiError> {
        self.call(Call::new(operation::GROUPS_GET).argument(&id)).await
    }
}
