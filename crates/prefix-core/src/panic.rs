//! Panics: a panic freezes a scope, in which nothing is announced until the scope is thawed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::PanicId;
use crate::name::{CustomerId, Pop};

words! {
    /// The way a panic was started.
    pub enum PanicOrigin {
        /// By the API.
        Api = "api",
        /// By `prefixdctl panic --direct`, without API and storage.
        Direct = "direct",
    }
}

/// The end of a panic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thaw {
    /// When it was thawed.
    pub at: DateTime<Utc>,
    /// Who thawed it.
    pub by: String,
    /// The reason that was given.
    pub reason: String,
}

/// A frozen scope. It is kept after the thaw, so that a marker of `panic --direct` that is found later is known as
/// thawed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicScope {
    /// The identifier of the panic.
    pub panic_id: PanicId,
    /// The reason that was given.
    pub reason: String,
    /// The pop; `None` = every pop.
    pub pop: Option<Pop>,
    /// The customer; `None` = every customer.
    pub customer_id: Option<CustomerId>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// Who started it.
    pub started_by: String,
    /// The way it was started.
    pub origin: PanicOrigin,
    /// Its thaw; `None` while it is frozen.
    #[serde(default)]
    pub thawed: Option<Thaw>,
}

impl PanicScope {
    /// Whether rules of this customer at this pop must not be announced. A rule without a customer is covered only by
    /// scopes without one.
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
