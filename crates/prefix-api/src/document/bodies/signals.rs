//! What sources that only corroborate send.

use serde_json::Value;
use utoipa::ToSchema;

/// A corroborating signal. At least one dimension that its source declares (`match_dimensions`) must be there; `pop`
/// alone needs `vector`. Unknown members are ignored; null counts as missing.
#[derive(ToSchema)]
#[schema(as = NewCorroboration)]
pub(crate) struct CorroborationBody {
    /// Who sends it: a source of mode `corroborating`.
    #[schema(min_length = 1, max_length = 1024, example = "netflow")]
    source: String,
    /// Only about attacks of this kind.
    #[schema(example = "udp_flood")]
    vector: Option<String>,
    /// About this customer.
    #[schema(min_length = 1, max_length = 256)]
    customer_id: Option<String>,
    /// About this pop.
    #[schema(example = "fra1")]
    pop: Option<String>,
    /// About this service.
    #[schema(min_length = 1, max_length = 256)]
    service_id: Option<String>,
    /// About this interface, as the inventory calls it.
    #[schema(min_length = 1, max_length = 256)]
    interface: Option<String>,
    /// How sure it is; default of the source.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    /// Anything; stored as it came, never interpreted.
    raw_details: Option<Value>,
}
