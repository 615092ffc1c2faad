//! Operators: people with a login.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use prefix_api_types::{MitigationId, Operator, Operators};
use prefix_core::id::OperatorId;
use prefix_engine::PasswordChange;

use crate::access::Role;
use crate::api::Api;
use crate::body::Body;
use crate::call::Call;
use crate::handlers::{Reply, change, dry, from_path, ok, respond};
use crate::problem::{Kind, Problem};
use crate::query::Query;
use crate::{request, value};

/// Every operator.
#[utoipa::path(
    get, path = "/v1/operators", tag = "access", operation_id = "list_operators",
    responses((status = 200, description = "The operators.", body = Operators))
)]
pub(crate) async fn list(api: Data<Api>) -> Reply {
    let operators: Vec<Operator> = api.engine.operators().await?.iter().map(Operator::from).collect();
    ok(&Operators { count: operators.len() as u64, operators })
}

/// Create an operator.
#[utoipa::path(
    post, path = "/v1/operators", tag = "access", operation_id = "create_operator",
    params(crate::document::DryRunParameter),
    request_body = prefix_api_types::NewOperator,
    responses(
        (status = 201, description = "The new operator.", body = Operator),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn post(api: Data<Api>, call: Call, query: Query, body: Body) -> Reply {
    let least = api.engine.access_settings().password_min_length;
    let (dry_run, new) = change(query, request::operator(&body.tree, least))?;
    let made =
        api.engine.create_operator(new.username, new.role, new.password, &call.caller(dry_run)).await?;
    let answer = Operator::from(&made);
    if dry_run {
        dry(Some(answer), Vec::<MitigationId>::new())
    } else {
        respond(StatusCode::CREATED, &answer)
    }
}

/// Give an operator another role. The logins of the operator end.
#[utoipa::path(
    put, path = "/v1/operators/{id}", tag = "access", operation_id = "change_role",
    params(
        crate::document::DryRunParameter,
        ("id" = Uuid, Path, description = "`operator_id` of the operator."),
    ),
    request_body = prefix_api_types::NewRole,
    responses((status = 200, description = "The operator.", body = Operator))
)]
pub(crate) async fn put(api: Data<Api>, call: Call, id: Path<String>, query: Query, body: Body) -> Reply {
    let id: OperatorId = from_path("id", &id, value::id_of)?;
    let (dry_run, role) = change(query, request::role(&body.tree))?;
    let answer = Operator::from(&api.engine.change_role(id, role, &call.caller(dry_run)).await?);
    if dry_run { dry(Some(answer), Vec::<MitigationId>::new()) } else { ok(&answer) }
}

/// Delete an operator, with the logins and the tokens that the operator made, but for tokens of detectors.
#[utoipa::path(
    delete, path = "/v1/operators/{id}", tag = "access", operation_id = "delete_operator",
    params(
        crate::document::DryRunParameter,
        ("id" = Uuid, Path, description = "`operator_id` of the operator."),
    ),
    responses(
        (status = 204, description = "Deleted."),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn delete(api: Data<Api>, call: Call, id: Path<String>, query: Query) -> Reply {
    let id: OperatorId = from_path("id", &id, value::id_of)?;
    let (dry_run, ()) = change(query, Ok(()))?;
    api.engine.delete_operator(id, &call.caller(dry_run)).await?;
    done(dry_run)
}

/// Change a password: one's own by the one before, as an admin anybody's. The other logins of that operator end.
#[utoipa::path(
    put, path = "/v1/operators/{id}/password", tag = "access", operation_id = "change_password",
    params(
        crate::document::DryRunParameter,
        ("id" = Uuid, Path, description = "`operator_id` of the operator."),
    ),
    request_body = prefix_api_types::NewPassword,
    responses(
        (status = 204, description = "Changed."),
        (status = 200, description = "The answer of a dry run."),
    )
)]
pub(crate) async fn put_password(
    api: Data<Api>,
    call: Call,
    id: Path<String>,
    query: Query,
    body: Body,
) -> Reply {
    let id: OperatorId = from_path("id", &id, value::id_of)?;
    let is_own = call.principal.id.operator() == Some(id);
    if !is_own && call.principal.role != Role::Admin {
        return Err(Problem::new(Kind::Forbidden, "only an admin changes the password of somebody else"));
    }
    let least = api.engine.access_settings().password_min_length;
    let (dry_run, (new, current)) = change(query, request::password(&body.tree, least))?;
    if is_own && current.is_none() {
        return Err(Problem::at("/current_password", "is required to change one's own password"));
    }
    let change = PasswordChange { operator_id: id, new, current };
    api.engine.change_password(change, &call.caller(dry_run)).await?;
    done(dry_run)
}

pub(super) fn done(dry_run: bool) -> Reply {
    if dry_run { dry(None::<()>, Vec::<MitigationId>::new()) } else { Ok(HttpResponse::NoContent().finish()) }
}
