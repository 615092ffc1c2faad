//! What every operation has in common: credentials, and the answers that are no success.

use actix_web::http::Method;
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::access::Permission;
use crate::endpoint::{ENDPOINTS, Endpoint};
use crate::limits::Budget;
use crate::settings::VERSION;

const SCHEME: &str = "bearer";
const COOKIE: &str = "session";

const JSON: &str = "application/json";

/// Completes the document from the route table.
pub(crate) struct Completed;

impl Modify for Completed {
    fn modify(&self, document: &mut OpenApi) {
        VERSION.clone_into(&mut document.info.version);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer
            .description(Some("An API token (`pfx_...`); in mode bearer also the shared secret."))
            .build();
        document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            COOKIE,
            "The cookie of a login; `__Host-session` where the API is reached by https.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for endpoint in ENDPOINTS {
            let Some(item) = document.paths.paths.get_mut(endpoint.path) else { continue };
            let operation = match endpoint.method {
                Method::POST => &mut item.post,
                Method::PUT => &mut item.put,
                Method::DELETE => &mut item.delete,
                _ => &mut item.get,
            };
            let Some(operation) = operation else { continue };
            operation.security = Some(if endpoint.is_public() {
                Vec::new()
            } else {
                [SCHEME, COOKIE].map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new())).into()
            });
            if has_dry_run(operation) {
                rehearsed(operation);
            }
            for (status, text) in problems(endpoint) {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| problem(text).into());
            }
        }
    }
}

fn has_dry_run(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "dry_run"))
}

/// 200 is besides the answer of a dry run, with the normal answer in it.
fn rehearsed(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    // what a dry run would have answered: that, whatever its status
    let normal = ["200", "201"].iter().find_map(|status| match responses.get(*status) {
        Some(RefOr::T(response)) => schema_of(response),
        _ => None,
    });
    let result: RefOr<Schema> = match &normal {
        Some(normal) => AnyOfBuilder::new().item(normal.clone()).item(null()).into(),
        None => null().into(),
    };
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    let dry = ObjectBuilder::new()
        .description(Some(
            "The answer to a change with `?dry_run=true`: nothing was stored, announced or audited.",
        ))
        .property("dry_run", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])))
        .property("result", result)
        .property("affected_mitigations", ArrayBuilder::new().items(id))
        .required("dry_run")
        .required("result")
        .required("affected_mitigations");
    let is_normally_200 = !["201", "202", "204"].iter().any(|status| responses.contains_key(*status));
    let Some(RefOr::T(response)) = responses.get_mut("200") else { return };
    let of_200 = schema_of(response);
    if of_200.is_none() && is_normally_200 {
        // the answer is empty, which no schema of a body can say beside that of a dry run
        return;
    }
    let both: RefOr<Schema> = match of_200 {
        Some(normal) => AnyOfBuilder::new().item(normal).item(dry).into(),
        None => dry.into(),
    };
    response.content.insert(JSON.to_owned(), ContentBuilder::new().schema(Some(both)).build().into());
}

fn schema_of(response: &Response) -> Option<RefOr<Schema>> {
    match response.content.get(JSON)? {
        RefOr::T(content) => content.schema.clone(),
        RefOr::Ref(_) => None,
    }
}

fn null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

fn problem(text: String) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content("application/problem+json", body).build()
}

fn problems(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let mut answers = vec![("500", "A fault of prefixd, never of the input.".to_owned())];
    let mut add = |status, text: &str| answers.push((status, text.to_owned()));
    let with_body =
        matches!(endpoint.method, Method::POST | Method::PUT) && endpoint.path != "/v1/config/reload";
    add("400", "The request breaks the schema; errors[] says where.");
    if !endpoint.is_public() {
        add("401", "No or invalid credentials.");
        add("503", "Nothing was stored; send the request again.");
        let roles = endpoint.permission.roles().join(", ");
        let sources = if endpoint.permission == Permission::Intake {
            "; or a source that the token may not use"
        } else {
            ""
        };
        add("403", &format!("Only for roles {roles}{sources}."));
    }
    if endpoint.is_login() {
        add("401", "User name or password are wrong.");
        add("403", "Another site has sent it.");
        add("404", "There are no logins in this mode.");
        add("503", "Storage does not answer; send the request again.");
    }
    if endpoint.method == Method::POST && endpoint.path == "/v1/operators" {
        add("409", "Another operator has, or had, the name.");
    }
    if endpoint.path == "/v1/health/ready" {
        add("503", "Storage does not answer, or prefixd is going down.");
    }
    if endpoint.path.contains("{id}")
        || endpoint.path.contains("{prefix}")
        || endpoint.is_webhook()
        || endpoint.path == "/v1/panic/thaw"
    {
        add("404", "There is no such thing.");
    }
    if with_body {
        let limit = if endpoint.is_adapter() { "`http.max_signal_body_bytes`" } else { "1 MiB" };
        add("413", &format!("The body is larger than {limit}."));
        add("415", "The body is not JSON.");
    }
    if endpoint.method != Method::GET {
        add("422", "Refused by a guardrail, the configuration or the state; type says which.");
    }
    match endpoint.budget {
        Budget::Free => {}
        Budget::Signals => {
            add("429", "Too many refused credentials or signatures of this address.");
            add("503", "Too many events, or they cannot be stored now: send them again, as a whole.");
        }
        _ => add("429", "Too many requests."),
    }
    answers
}
