//! FastNetMon.

use actix_web::web::Data;
use prefix_api_types::EventAnswer;
use prefix_signals::fastnetmon;

use crate::api::Api;
use crate::body::RawBody;
use crate::call::Call;
use crate::handlers::Reply;
use crate::intake;
use crate::problem::Problem;
use crate::query::Query;

/// Take a message of FastNetMon, Advanced or community edition: it is one event.
#[utoipa::path(
    post, path = "/v1/signals/fastnetmon", tag = "signals", operation_id = "post_fastnetmon",
    params(
        ("source" = Option<String>, Query, description = "The source of the event; default `fastnetmon`."),
        ("action" = Option<String>, Query, description = "`ban`, `unban`, `partial_block` or `alert`, for a body without it."),
        ("explain" = Option<bool>, Query, description = "Add `decision` to the answer."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body(content = serde_json::Value, description = "As FastNetMon Advanced sends it, or the notify script of the community edition."),
    responses((status = 202, description = "Stored, and decided.", body = EventAnswer))
)]
pub(crate) async fn post(
    api: Data<Api>,
    call: Call,
    mut query: Query,
    body: Result<RawBody, Problem>,
) -> Reply {
    let (source, explain) = (query.parsed("source"), query.flag("explain"));
    let action = query.optional("action", |word| Ok(word.to_owned()));
    let (bytes, hash) = super::payload(&call, query, body)?;
    let source = super::source(source, "fastnetmon")?;
    intake::may_report(&call, &source)?;
    let report = super::read(&api, &source, |context| fastnetmon::read(&bytes, action.as_deref(), context))?;
    intake::one(&api, &call, Ok(report), explain, hash).await
}
