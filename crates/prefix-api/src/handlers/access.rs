//! Who may do what (http-api.md §2 and §8): logging in and out, and who one is.

pub(crate) mod operators;
pub(crate) mod preferences;
pub(crate) mod sessions;
pub(crate) mod tokens;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use prefix_api_types::{LoggedIn, Me};
use prefix_engine::LoginAttempt;
use secrecy::ExposeSecret;

use super::{Reply, checked, ok, respond};
use crate::api::Api;
use crate::body::{Body, NoBody};
use crate::call::{Call, client};
use crate::problem::{Kind, Problem};
use crate::request;
use crate::request_id::RequestId;

/// So much of what a program says of itself is kept.
const LONGEST_USER_AGENT: usize = 256;

/// Log in: the answer brings the cookie that every further request shows.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "access", operation_id = "login",
    request_body = prefix_api_types::NewLogin,
    responses((status = 200, description = "Logged in; `Set-Cookie` has the login.", body = LoggedIn))
)]
pub(crate) async fn login(api: Data<Api>, request: HttpRequest, body: Body) -> Reply {
    if !api.has_logins() {
        return Err(Problem::new(Kind::NotFound, format!("there are no logins in mode {}", api.auth_mode)));
    }
    let (username, password) = checked(request::login(&body.tree))?;
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let attempt = LoginAttempt {
        username,
        password,
        address: client(&request),
        user_agent: user_agent.map(|text| text.chars().take(LONGEST_USER_AGENT).collect()),
        request_id: RequestId::of_request(&request).as_str().to_owned(),
    };
    let (operator, secret) = api.engine.login(attempt).await?;
    let answer = respond(StatusCode::OK, &LoggedIn::from(&operator))?;
    with_cookie(answer, &api.cookie.set(secret.secret.expose_secret()))
}

fn with_cookie(mut response: HttpResponse, cookie: &str) -> Reply {
    let mut value = HeaderValue::from_str(cookie).map_err(|_| Problem::internal())?;
    value.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, value);
    Ok(response)
}

/// Log out: this login ends, at once and everywhere.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "access", operation_id = "logout",
    responses((status = 200, description = "Logged out."))
)]
pub(crate) async fn logout(api: Data<Api>, call: Call, _: NoBody) -> Reply {
    api.engine.logout(&call.caller(false)).await?;
    with_cookie(HttpResponse::Ok().finish(), &api.cookie.clear())
}

/// Who asks.
#[utoipa::path(
    get, path = "/v1/auth/me", tag = "access", operation_id = "me",
    responses((status = 200, description = "The principal of this request.", body = Me))
)]
pub(crate) async fn me(call: Call) -> Reply {
    let principal = &call.principal;
    ok(&Me {
        operator_id: principal.id.operator().map(Into::into),
        username: principal.id.name().into_owned(),
        role: Some(principal.role.into()),
        auth_method: principal.auth_method.as_str().to_owned(),
        sources: principal.sources.iter().flat_map(|all| all.iter()).map(ToString::to_string).collect(),
    })
}
