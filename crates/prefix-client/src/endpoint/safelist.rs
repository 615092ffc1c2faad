//! The safelist.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation;
use crate::outcome::{Mode, Outcome};
use crate::reply::Reply;
use crate::transport::Call;
use ipnetwork::IpNetwork;
use prefix_api_types::{NewSafelistEntry, SafelistAdded, SafelistEntry};

impl Client {
    /// Every entry.
    pub async fn safelist(&self) -> Result<Reply<Vec<SafelistEntry>>, ApiError> {
        self.call(Call::new(operation::SAFELIST_LIST)).await
    }

    /// Adds or changes an entry, and withdraws the rules it forbids.
    pub async fn add_to_safelist(
        &self,
        entry: &NewSafelistEntry,
        mode: Mode,
    ) -> Result<Reply<Outcome<SafelistAdded>>, ApiError> {
        self.change(Call::new(operation::SAFELIST_ADD).body(entry)?, mode).await
    }

    /// Removes an entry.
    pub async fn remove_from_safelist(
        &self,
        prefix: IpNetwork,
        mode: Mode,
    ) -> Result<Reply<Outcome<()>>, ApiError> {
        self.change(Call::new(operation::SAFELIST_REMOVE).argument(&prefix), mode).await
    }
}
