//! Signal groups: what several sources say about one attack (http-api.md §7).

use actix_web::web::{Data, Path};
use prefix_api_types::{GroupPage, GroupSignal, RequiredAgreement, SignalGroup};
use prefix_core::id::GroupId;
use prefix_core::ports::GroupQuery;
use prefix_core::signal::GroupStatus;

use super::mitigations::pop;
use super::{Reply, checked, from_path, ok};
use crate::api::Api;
use crate::query::Query;
use crate::value;

/// Signal groups, newest first; of the answering instance's pop unless `pop` says otherwise.
#[utoipa::path(
    get, path = "/v1/signal-groups", tag = "signals", operation_id = "list_signal_groups",
    params(
        crate::document::PageParameters,
        ("status" = Option<String>, Query, description = "Of one of these statuses, separated by commas: `open`, `resolved`, `expired`."),
        ("victim_ip" = Option<String>, Query, description = "For exactly this address."),
        ("vector" = Option<String>, Query, description = "Of this kind."),
        ("pop" = Option<String>, Query, description = "Of this pop; `all` = every pop."),
    ),
    responses((status = 200, description = "A page of signal groups.", body = GroupPage))
)]
pub(crate) async fn list(api: Data<Api>, mut query: Query) -> Reply {
    let filter = GroupQuery {
        page: query.page(),
        status: query.optional("status", statuses).unwrap_or_default(),
        victim_ip: query.parsed("victim_ip"),
        vector: query.parsed("vector"),
        pop: match query.optional("pop", pop) {
            Some(asked) => asked,
            None => Some(api.engine.settings().pop.clone()),
        },
    };
    checked(query.finish())?;
    let page = api.engine.signal_groups(&filter).await?;
    ok(&GroupPage::of(&page, |group| SignalGroup::from(group)))
}

fn statuses(text: &str) -> Result<Vec<GroupStatus>, String> {
    let known = GroupStatus::ALL.map(GroupStatus::as_str).join(", ");
    let status = |word: &str| {
        let found = GroupStatus::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or_else(|| format!("must be of {known}, not {}", value::quoted(word)))
    };
    text.split(',').map(status).collect()
}

/// One signal group with its signals, and the mitigation that it was handed on to.
#[utoipa::path(
    get, path = "/v1/signal-groups/{id}", tag = "signals", operation_id = "get_signal_group",
    params(("id" = Uuid, Path, description = "`group_id` of the group.")),
    responses((status = 200, description = "The group.", body = SignalGroup))
)]
pub(crate) async fn get(api: Data<Api>, id: Path<String>) -> Reply {
    let id: GroupId = from_path("id", &id, value::id_of)?;
    let group = api.engine.signal_group(id).await?;
    let (policy, now) = (api.engine.policy(), api.engine.now());
    let is_open = group.is_open(now);
    let terms = policy.terms(group.playbook.as_ref());
    let required = RequiredAgreement {
        min_sources: terms.min_sources,
        confidence_threshold: terms.confidence_threshold.value(),
    };
    ok(&SignalGroup {
        mitigation_id: group.mitigation_id.map(Into::into),
        required: is_open.then_some(required),
        explanation: is_open.then(|| policy.correlation_of(&group, now).explanation),
        events: Some(group.signals.iter().map(|signal| GroupSignal::of(id, signal)).collect()),
        ..SignalGroup::from(&group)
    })
}
