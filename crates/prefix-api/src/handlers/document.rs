//! The OpenAPI document.

use std::sync::LazyLock;

use actix_web::HttpResponse;

use super::Reply;
use crate::document::ApiDocument;

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "openapi",
    responses((status = 200, description = "This document.", body = serde_json::Value))
)]
pub(crate) async fn get() -> Reply {
    static TEXT: LazyLock<String> = LazyLock::new(ApiDocument::text);
    Ok(HttpResponse::Ok().content_type("application/json").body(TEXT.as_str()))
}
