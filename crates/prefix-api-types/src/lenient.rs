//! Reading what a server leaves out, or leaves empty, as the type's default.

use serde::{Deserialize, Deserializer};

/// A member that every server of today sends; `None` only where an older or newer one leaves it out.
pub(crate) type Always<T> = Option<T>;

/// A member that is left out where there is none.
pub(crate) type IfAny<T> = Option<T>;

/// `null` reads as the default; together with `#[serde(default)]` so does a member that is missing.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A member that is there is `Some`, whatever it is: a null is kept as one. Together with `#[serde(default)]` only a
/// missing member is `None`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::{Mitigation, Reloaded};

    #[test]
    fn null_and_missing_members_read_alike() {
        let missing: Reloaded = serde_json::from_str("{}").unwrap();
        let null: Reloaded = serde_json::from_str(r#"{"reloaded": null, "changes": null}"#).unwrap();
        assert_eq!(missing, null);
    }

    #[test]
    fn the_least_of_a_mitigation_can_be_read() {
        let text = r#"{"mitigation_id": "0193f0a0-0000-7000-8000-000000000001", "status": "contested",
            "victim_ip": "2001:db8::1", "leases": null, "bgp": null, "warnings": null}"#;
        let mitigation: Mitigation = serde_json::from_str(text).unwrap();
        assert_eq!(mitigation.status.as_str(), "contested");
        assert!(!mitigation.bgp.announced);
    }
}
