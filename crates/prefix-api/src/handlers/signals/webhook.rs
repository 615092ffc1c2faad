//! Webhooks that the configuration describes.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, ReqData};
use prefix_api_types::SignalsAnswer;
use prefix_signals::webhook::{Adapter, Auth};

use crate::api::Api;
use crate::body::RawBody;
use crate::call::Call;
use crate::gate::{failed, pay};
use crate::handlers::Reply;
use crate::intake;
use crate::limits::Budget;
use crate::problem::{Kind, Problem};
use crate::query::Query;

/// Take what a webhook adapter of the configuration describes. An adapter with `auth: hmac` or `none` asks for no
/// credentials of the API.
#[utoipa::path(
    post, path = "/v1/signals/webhook/{name}", tag = "signals", operation_id = "post_webhook",
    params(
        ("name" = String, Path, description = "`webhook_adapters[].name`, which is the source of the events too."),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; a repetition within 24 h gets the first answer."),
    ),
    request_body(content = serde_json::Value, description = "As the detector sends it."),
    responses((status = 200, description = "What became of each node.", body = SignalsAnswer))
)]
pub(crate) async fn post(
    api: Data<Api>,
    call: Call,
    adapter: ReqData<Arc<Adapter>>,
    request: HttpRequest,
    query: Query,
    body: Result<RawBody, Problem>,
) -> Reply {
    let body = body?;
    if let Auth::Hmac(signature) = adapter.auth() {
        let checked = signature.verify(&body.0, |name| only(request.headers(), name), api.now());
        checked.map_err(|error| {
            failed(&api, &request, Problem::new(Kind::Unauthenticated, error.to_string()))
        })?;
        pay(&api, Budget::Signals, &call)?;
    }
    let (bytes, hash) = super::payload(&call, query, Ok(body))?;
    intake::may_report(&call, adapter.source())?;
    let items = super::read(&api, adapter.source(), |context| adapter.read(&bytes, context))?;
    super::answer(&api, &call, adapter.source(), items, hash).await
}

/// The value of a header that is there once, and text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}
