//! What the OpenAPI document says of types that the domain owns: words are enumerated from the types themselves.

use prefix_core::event::EventStatus;
use prefix_core::guardrail::Guardrail;
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::signal::GroupStatus;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaType, Type};

fn words<'a>(words: impl IntoIterator<Item = &'a str>, nullable: bool) -> RefOr<Schema> {
    let mut values: Vec<serde_json::Value> = words.into_iter().map(Into::into).collect();
    let mut kind = SchemaType::Type(Type::String);
    if nullable {
        values.push(serde_json::Value::Null);
        kind = SchemaType::from_iter([Type::String, Type::Null]);
    }
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).into()
}

pub(super) fn status() -> RefOr<Schema> {
    words(Status::ALL.map(Status::as_str), false)
}

pub(super) fn end_reason() -> RefOr<Schema> {
    use EndReason as R;
    let all = [
        R::Ttl,
        R::MaxLifetime,
        R::Operator,
        R::DetectorUnban,
        R::Panic,
        R::Safelist,
        R::Revalidation,
        R::DryRunEnded,
    ];
    words(all.map(EndReason::as_str), true)
}

pub(super) fn optional_guardrail() -> RefOr<Schema> {
    words(Guardrail::ALL.map(Guardrail::code), true)
}

pub(super) fn action_type() -> RefOr<Schema> {
    words(["police", "discard", "redirect", "mark", "rtbh"], false)
}

pub(super) fn event_action() -> RefOr<Schema> {
    words(["ban", "unban"], false)
}

pub(super) fn event_status() -> RefOr<Schema> {
    use EventStatus as S;
    let all = [
        S::Accepted,
        S::Extended,
        S::Queued,
        S::Held,
        S::AcceptedNoPlaybook,
        S::AcceptedNoMitigation,
        S::Withdrawn,
        S::Released,
        S::NoActiveMitigation,
        S::NotFound,
        S::Rejected,
    ];
    words(all.map(EventStatus::as_str), false)
}

pub(super) fn group_status() -> RefOr<Schema> {
    words(GroupStatus::ALL.map(GroupStatus::as_str), false)
}

pub(super) fn actor_type() -> RefOr<Schema> {
    words(["system", "detector", "operator"], false)
}

pub(super) fn optional_protocol() -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(255));
    AnyOfBuilder::new()
        .item(words(["udp", "tcp", "icmp", "gre", "any"], false))
        .item(number)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .into()
}

pub(super) fn packet_length() -> RefOr<Schema> {
    let bytes = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(20)).maximum(Some(9216));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property("min", bytes())
        .property("max", bytes())
        .required("min")
        .required("max")
        .into()
}

/// A decision that explains itself.
#[derive(ToSchema)]
#[schema(as = Decision)]
#[allow(dead_code, reason = "read by the derive only")]
pub struct DecisionSchema {
    /// `mitigate`, `extend`, `hold`, `no_playbook`, `not_mitigated`, `refuse`, `withdraw`, `release` or `none`.
    outcome: String,
    /// Whose address it is.
    customer_id: Option<String>,
    /// Which service of the customer.
    service_id: Option<String>,
    /// The policy profile of the customer.
    profile: Option<String>,
    /// The playbook that matched.
    playbook: Option<String>,
    /// The step of the playbook, 0-based.
    step: Option<u16>,
    /// The rule, if one could be built.
    rule: Option<DecidedRuleSchema>,
    /// The guardrail that refused.
    #[schema(schema_with = optional_guardrail)]
    guardrail: Option<String>,
    /// The way of the decision; it ends at the first `stop`.
    trace: Vec<TraceEntrySchema>,
}

/// The rule that was decided on.
#[derive(ToSchema)]
#[schema(as = DecidedRule)]
#[allow(dead_code, reason = "read by the derive only")]
pub struct DecidedRuleSchema {
    /// The rule for people.
    flow: String,
    /// The bytes of the rule, hexadecimal.
    nlri: String,
    /// What is done with matching packets.
    #[schema(schema_with = action_type)]
    action_type: String,
    /// Bits per second, of `police`.
    rate_bps: Option<i64>,
    /// Packets per second, of `police`.
    rate_pps: Option<i64>,
    /// How long it lives without another report.
    ttl_seconds: u32,
}

/// One station of a decision.
#[derive(ToSchema)]
#[schema(as = TraceEntry)]
#[allow(dead_code, reason = "read by the derive only")]
pub struct TraceEntrySchema {
    /// `identity`, `inventory`, `extend`, `correlation`, `playbook`, `rule`, `allowed_ports`, `guardrails` or
    /// `announce`.
    stage: String,
    /// `pass`, `stop`, `skip` or `info`.
    result: String,
    /// Why, in words.
    detail: String,
}
