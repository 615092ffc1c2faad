//! The kill switch: a panic freezes a scope, and nothing new is announced there until somebody thaws it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::PanicId;
use crate::name::{CustomerId, Pop};

/// How a panic began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanicOrigin {
    /// Over the API.
    Api,
    /// By `prefixdctl panic --direct`, past API and storage.
    Direct,
}

impl PanicOrigin {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Direct => "direct",
        }
    }
}

/// The end of a panic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thaw {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is frozen, since when and why. Rows are kept after the thaw: a marker of `panic --direct` that turns up later
/// is then known as thawed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicScope {
    /// Its identifier.
    pub panic_id: PanicId,
    /// Why, in the words of whoever pulled the switch.
    pub reason: String,
    /// Of this pop only; `None` = every pop.
    pub pop: Option<Pop>,
    /// Of this customer only; `None` = everybody.
    pub customer_id: Option<CustomerId>,
    /// When.
    pub started_at: DateTime<Utc>,
    /// Who.
    pub started_by: String,
    /// How.
    pub origin: PanicOrigin,
    /// Its end, if it has ended.
    #[serde(default)]
    pub thawed: Option<Thaw>,
}

impl PanicScope {
    /// True if rules of this customer at this pop may not be announced. A rule of nobody is covered only by scopes
    /// that name no customer.
    pub fn covers(&self, pop: &Pop, customer: Option<&CustomerId>) -> bool {
        self.thawed.is_none()
            && self.pop.as_ref().is_none_or(|own| own == pop)
            && self.customer_id.as_ref().is_none_or(|own| Some(own) == customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(pop: Option<&str>, customer: Option<&str>) -> PanicScope {
        PanicScope {
            panic_id: PanicId::generate(),
            reason: "a wrong rule".into(),
            pop: pop.map(|name| name.parse().unwrap()),
            customer_id: customer.map(|name| name.parse().unwrap()),
            started_at: DateTime::UNIX_EPOCH,
            started_by: "ada".into(),
            origin: PanicOrigin::Api,
            thawed: None,
        }
    }

    #[test]
    fn a_scope_covers_what_it_names_and_nothing_else() {
        let (ams, fra): (Pop, Pop) = ("ams1".parse().unwrap(), "fra1".parse().unwrap());
        let acme: CustomerId = "acme".parse().unwrap();
        let everything = scope(None, None);
        assert!(everything.covers(&ams, Some(&acme)) && everything.covers(&fra, None));
        let of_pop = scope(Some("ams1"), None);
        assert!(of_pop.covers(&ams, Some(&acme)) && !of_pop.covers(&fra, Some(&acme)));
        let of_customer = scope(None, Some("acme"));
        assert!(of_customer.covers(&fra, Some(&acme)) && !of_customer.covers(&fra, None));
        assert!(!of_customer.covers(&fra, Some(&"other".parse().unwrap())));
    }

    #[test]
    fn a_thawed_scope_covers_nothing() {
        let thaw = Thaw { at: DateTime::UNIX_EPOCH, by: "ada".into(), reason: "over".into() };
        let scope = PanicScope { thawed: Some(thaw), ..scope(None, None) };
        assert!(!scope.covers(&"ams1".parse().unwrap(), None));
    }
}
