//! Alertmanager.

use actix_web::web::Data;
use prefix_api_types::SignalsAnswer;
use prefix_signals::alertmanager;

use crate::api::Api;
use crate::body::RawBody;
use crate::call::Call;
use crate::handlers::Reply;
use crate::intake;
use crate::problem::Problem;
use crate::query::Query;

/// Take the alerts of Alertmanager (webhook, version 4); each is an event, or an error of its own.
#[utoipa::path(
    post, path = "/v1/signals/alertmanager", tag = "signals", operation_id = "post_alertmanager",
    params(
        ("source" = Option<String>, Query, description = "The source of the events; default `alertmanager`."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body(content = serde_json::Value, description = "As Alertmanager sends it."),
    responses((status = 200, description = "What became of each alert.", body = SignalsAnswer))
)]
pub(crate) async fn post(
    api: Data<Api>,
    call: Call,
    mut query: Query,
    body: Result<RawBody, Problem>,
) -> Reply {
    let source = query.parsed("source");
    let (bytes, hash) = super::payload(&call, query, body)?;
    let source = super::source(source, "alertmanager")?;
    intake::may_report(&call, &source)?;
    let items = super::read(&api, &source, |context| alertmanager::read(&bytes, context))?;
    super::answer(&api, &call, &source, items, hash).await
}
