//! An audit entry as it is shown, and as the chain hashes it (metrics-and-feeds.md §4).

use chrono::{DateTime, Utc};
use prefix_core::audit::{ActorType, AuditEntry};
use prefix_core::chain;
use prefix_core::id::AuditId;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

#[cfg(feature = "openapi")]
use super::schema;

/// Who changed or refused what, when and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub struct AuditObject {
    /// Its identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub audit_id: AuditId,
    /// Its place in the chain; null until it is sealed.
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub seq: Option<i64>,
    /// When, with exactly six decimals.
    #[serde(serialize_with = "six_decimals")]
    pub timestamp: DateTime<Utc>,
    /// The version of this shape.
    #[cfg_attr(feature = "openapi", schema(example = 1))]
    pub schema_version: u8,
    /// The kind of actor.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::actor_type))]
    pub actor_type: ActorType,
    /// Who; missing for the daemon itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// What was done.
    pub action: String,
    /// The kind of thing it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    /// Which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Request id, reason, before and after.
    pub details: Value,
    /// `hash` of the entry before; null until it is sealed.
    pub prev_hash: Option<String>,
    /// Its own hash; null until it is sealed.
    pub hash: Option<String>,
}

/// Shows an entry: the same document that the chain hashes.
pub fn audit(entry: &AuditEntry) -> AuditObject {
    let mut document = chain::document(entry);
    let text = |hash: chain::ChainHash| hash.to_string();
    AuditObject {
        audit_id: entry.audit_id,
        seq: entry.seal.map(|seal| seal.seq),
        timestamp: entry.timestamp,
        schema_version: AuditEntry::SCHEMA_VERSION,
        actor_type: entry.actor.kind,
        actor_id: entry.actor.id.clone(),
        action: entry.action.clone(),
        target_type: entry.target_type.clone(),
        target_id: entry.target_id.clone(),
        details: document.remove("details").unwrap_or_default(),
        prev_hash: entry.seal.map(|seal| text(seal.prev_hash)),
        hash: entry.seal.map(|seal| text(seal.hash)),
    }
}

fn six_decimals<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&chain::six_decimals(*time))
}

#[cfg(test)]
mod tests {
    use prefix_core::audit::{Actor, AuditAction};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_has_the_shape_of_the_contract() {
        let details =
            json!({"request_id": "r", "before": {"bps": 9_007_199_254_740_993_u64, "n": -5, "x": 1.5}});
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let entry = AuditEntry::new(at, Actor::SYSTEM, AuditAction::Start, details);
        let shown = serde_json::to_value(audit(&entry)).unwrap();
        assert_eq!(
            shown,
            json!({
                "audit_id": entry.audit_id, "seq": null, "timestamp": "2026-11-18T11:06:40.000000Z",
                "schema_version": 1, "actor_type": "system", "action": "start",
                "details": {"request_id": "r", "before": {"bps": "9007199254740993", "n": -5, "x": 1.5}},
                "prev_hash": null, "hash": null,
            })
        );
        let read: AuditObject = serde_json::from_value(shown).unwrap();
        assert_eq!(read, audit(&entry));
    }

    #[test]
    fn what_is_shown_is_what_is_hashed() {
        let at = DateTime::from_timestamp_nanos(1_795_000_000_123_456_789);
        let details = json!({"n": u64::MAX, "x": 0.1, "deep": [{"m": i64::MIN}], "text": "ü"});
        let plain = AuditEntry::new(at, Actor::SYSTEM, AuditAction::Start, details);
        let mut sealed = [
            plain.clone(),
            AuditEntry { actor: Actor::operator("alice"), ..plain.clone() }.on("mitigation", 7),
        ];
        chain::seal(None, &mut sealed);
        for entry in sealed.iter().chain([&plain]) {
            let shown = serde_json::to_value(audit(entry)).unwrap();
            assert_eq!(shown, Value::Object(chain::document(entry)));
        }
    }
}
