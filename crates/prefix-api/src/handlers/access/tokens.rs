//! API tokens.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use prefix_api_types::{ApiToken, ApiTokenCreated, ApiTokens, MitigationId};
use prefix_core::id::TokenId;
use secrecy::ExposeSecret;

use super::operators::done;
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::handlers::{Reply, change, dry, from_path, ok, respond};
use crate::query::Query;
use crate::{request, value};

/// Every token, the revoked ones included.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "access", operation_id = "list_tokens",
    responses((status = 200, description = "The tokens.", body = ApiTokens))
)]
pub(crate) async fn list(api: Data<Api>) -> Reply {
    let tokens: Vec<ApiToken> = api.engine.tokens().await?.iter().map(ApiToken::from).collect();
    ok(&ApiTokens { count: tokens.len() as u64, tokens })
}

/// Make a token. The answer shows it this once.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "access", operation_id = "create_token",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::NewApiToken,
    responses(
        (status = 201, description = "The new token.", body = ApiTokenCreated),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn post(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let (dry_run, new) = change(query, request::token(&body.tree))?;
    let (token, secret) = api.engine.create_token(new, &call.caller(dry_run)).await?;
    let shown = (!dry_run).then(|| secret.secret.expose_secret().to_owned().into());
    let answer = ApiTokenCreated { about: ApiToken::from(&token), token: shown };
    if dry_run {
        dry(Some(answer), Vec::<MitigationId>::new())
    } else {
        respond(StatusCode::CREATED, &answer)
    }
}

/// Revoke a token: once this is answered nothing is stored with it, on any instance.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "access", operation_id = "revoke_token",
    params(
        crate::document::DryRunParameter,
        ("id" = Uuid, Path, description = "`token_id` of the token."),
    ),
    responses(
        (status = 204, description = "Revoked."),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn delete(api: Data<Api>, call: Call, id: Path<String>, query: Query) -> Reply {
    let id: TokenId = from_path("id", &id, value::id_of)?;
    let (dry_run, ()) = change(query, Ok(()))?;
    api.engine.revoke_token(id, &call.caller(dry_run)).await?;
    done(dry_run)
}
