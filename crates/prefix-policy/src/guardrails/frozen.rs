//! A panic is on: within its scope nothing new is announced, whatever it is.

use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::name::{CustomerId, Pop};
use prefix_core::panic::PanicScope;

/// `frozen`: the first guardrail of all.
pub(super) fn check(frozen: &[PanicScope], pop: &Pop, customer: Option<&CustomerId>) -> Result<(), Refusal> {
    let Some(scope) = frozen.iter().find(|scope| scope.covers(pop, customer)) else { return Ok(()) };
    let of_pop = scope.pop.as_ref().map_or_else(|| "every pop".to_owned(), |pop| format!("pop {pop}"));
    let of_customer = scope.customer_id.as_ref().map(|id| format!(", customer {id}")).unwrap_or_default();
    let text = format!(
        "{of_pop}{of_customer} is frozen by panic {} of {} since {} ({}); nothing new is announced there until it is \
         thawed",
        scope.panic_id,
        scope.started_by,
        scope.started_at.format("%Y-%m-%dT%H:%M:%SZ"),
        scope.reason
    );
    Err(Refusal::new(Guardrail::Frozen, text))
}
