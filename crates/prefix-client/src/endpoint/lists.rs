//! Lists: their first page, or all of them.

use crate::client::Client;
use crate::endpoint::Answer;
use crate::operation;
use crate::page::Paged;
use crate::query::{AuditQuery, EventQuery, GroupQuery, MitigationQuery};
use crate::transport::Call;
use prefix_api_types::{AuditEntry, Event, Mitigation, Page, SignalGroup};

/// A method for the first page and one for all of them.
macro_rules! lists {
    ($($(#[$doc:meta])* $first:ident, $(#[$all_doc:meta])* $all:ident: $query:ty = $operation:ident -> $item:ty;)+) => {
        impl Client {$(
            $(#[$doc])*
            pub async fn $first(&self, query: &$query) -> Answer<Page<$item>> {
                self.call(Call::new(operation::$operation).query(query)).await
            }

            $(#[$all_doc])*
            pub fn $all(&self, query: &$query) -> Paged<$item> {
                Paged::new(self, operation::$operation, query)
            }
        )+}
    };
}

lists! {
    /// The first page of events.
    events,
    /// All events, page by page.
    all_events: EventQuery = EVENTS_LIST -> Event;
    /// The first page of mitigations.
    mitigations,
    /// All mitigations, page by page.
    all_mitigations: MitigationQuery = MITIGATIONS_LIST -> Mitigation;
    /// The first page of signal groups.
    signal_groups,
    /// All signal groups, page by page.
    all_signal_groups: GroupQuery = GROUPS_LIST -> SignalGroup;
    /// The first page of the audit trail.
    audit,
    /// The whole audit trail, page by page.
    all_audit: AuditQuery = AUDIT_LIST -> AuditEntry;
}
