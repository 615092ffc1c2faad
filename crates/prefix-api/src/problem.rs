//! Every answer that is no success has one shape: `application/problem+json` (RFC 9457, http-api.md §1.2).

mod kind;
mod of_engine;

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use prefix_api_types::Problem as Body;
use prefix_core::audit::AuditAction;
use prefix_diagnostics::Diagnostic;

pub(crate) use kind::Kind;
pub(crate) use prefix_api_types::FieldError;

/// More mistakes than these are counted, not shown.
const MOST_ERRORS: usize = 50;

/// Diagnostics as they are answered.
pub(crate) fn field_errors(diagnostics: impl IntoIterator<Item = Diagnostic>) -> Vec<FieldError> {
    diagnostics.into_iter().map(|found| FieldError::new(found.pointer(), found.text)).collect()
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    kind: Kind,
    /// As it is answered, but for the id of the request.
    body: Box<Body>,
    allow: Option<String>,
    replayed: bool,
    audited: bool,
}

impl Problem {
    /// A problem of a kind; `detail` is for people, lower case, without full stop.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let body = Body {
            problem_type: format!("urn:prefixd:problem:{}", kind.suffix()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            error: detail.clone(),
            detail,
            errors: (kind == Kind::BadRequest).then(Vec::new),
            retry_after_seconds: kind.default_retry().map(Into::into),
            ..Body::default()
        };
        Self { kind, body: Box::new(body), allow: None, replayed: false, audited: false }
    }

    /// A request that breaks the endpoint's schema, with everything that is wrong with it.
    pub(crate) fn bad_request(errors: Vec<Diagnostic>) -> Self {
        Self::malformed(field_errors(errors))
    }

    fn malformed(mut errors: Vec<FieldError>) -> Self {
        let shown = |error: &FieldError| match error.pointer.as_str() {
            "" => error.detail.clone(),
            place => format!("{place} {}", error.detail),
        };
        let first = errors.first().map_or_else(|| "the request is malformed".to_owned(), shown);
        let detail = match errors.len() {
            0 | 1 => first,
            n => format!("{first} (and {} more, see errors)", n - 1),
        };
        if errors.len() > MOST_ERRORS {
            let hidden = errors.len() - MOST_ERRORS;
            errors.truncate(MOST_ERRORS);
            errors.push(FieldError {
                pointer: String::new(),
                detail: format!("{hidden} more mistakes are not shown"),
            });
        }
        Self::new(Kind::BadRequest, detail).of_fields(errors)
    }

    /// A request with one mistake.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::malformed(vec![FieldError::new(pointer, detail)])
    }

    /// With `errors[]`.
    pub(crate) fn with_errors(self, errors: Vec<Diagnostic>) -> Self {
        self.of_fields(field_errors(errors))
    }

    fn of_fields(self, errors: Vec<FieldError>) -> Self {
        let shown = !errors.is_empty() || self.kind == Kind::BadRequest;
        self.with(|body| body.errors = shown.then_some(errors))
    }

    /// With further members.
    pub(crate) fn with(mut self, set: impl FnOnce(&mut Body)) -> Self {
        set(&mut self.body);
        self
    }

    /// With the seconds after which it makes sense to ask again.
    pub(crate) fn retry_after(self, seconds: Option<u64>) -> Self {
        self.with(|body| body.retry_after_seconds = seconds.map(Into::into))
    }

    /// Whether it was given before, to the same `Idempotency-Key`.
    pub(crate) fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }

    /// Whether its audit entry is written already, with the change it belongs to.
    pub(crate) fn audited(mut self, audited: bool) -> Self {
        self.audited = audited;
        self
    }

    /// The answer to a method that the path does not have.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        let detail = format!("this path does not know that method, it knows {allow}");
        Self { allow: Some(allow.to_owned()), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// The form of an answer that a lower layer gave with a bare status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match Kind::of_status(status) {
            Kind::NotFound => {
                Self::new(Kind::NotFound, "there is no such path; GET /openapi.json lists all of them")
            }
            Kind::BadRequest => Self::at("", "the request is malformed"),
            Kind::Internal => Self::internal(),
            kind => Self::new(kind, kind.title().to_lowercase()),
        }
    }

    /// What kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The action of the audit entry that is still to be written: every 403 and 422 has one (metrics-and-feeds.md §4).
    pub(crate) fn unwritten_audit(&self) -> Option<AuditAction> {
        match self.kind.status().as_u16() {
            _ if self.audited || self.replayed => None,
            403 => Some(AuditAction::Forbidden),
            422 => Some(AuditAction::Reject),
            _ => None,
        }
    }

    /// Its mistakes.
    pub(crate) fn errors(&self) -> &[FieldError] {
        self.body.errors.as_deref().unwrap_or_default()
    }

    /// What it says to people.
    pub(crate) fn detail(&self) -> &str {
        &self.body.detail
    }

    /// The body; `instance` is the id of the request.
    #[cfg(test)]
    pub(crate) fn body(&self, instance: &str) -> serde_json::Value {
        serde_json::to_value(self.shown(instance)).unwrap_or_default()
    }

    /// The body as text, under another status of the same meaning.
    pub(crate) fn text_with_status(&self, instance: &str, status: u16) -> String {
        serde_json::to_string(&Body { status, ..self.shown(instance) }).unwrap_or_default()
    }

    fn shown(&self, instance: &str) -> Body {
        Body { instance: instance.to_owned(), ..(*self.body).clone() }
    }

    /// The answer.
    pub(crate) fn response(&self, instance: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.kind.status());
        response.content_type("application/problem+json");
        if let Some(seconds) = self.body.retry_after_seconds.filter(|_| self.kind.has_retry_header()) {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.kind == Kind::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.replayed {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        let mut response = response.body(serde_json::to_string(&self.shown(instance)).unwrap_or_default());
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.suffix(), self.body.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    /// Without the id of the request, which the outermost layer knows: it writes the answer anew.
    fn error_response(&self) -> HttpResponse {
        self.response("")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_body_has_every_member_of_the_contract() {
        let body = Problem::at("/victim_ip", "is required").body("id-1");
        assert_eq!(
            body,
            json!({
                "type": "urn:prefixd:problem:bad-request", "title": "Malformed request", "status": 400,
                "detail": "/victim_ip is required", "error": "/victim_ip is required", "instance": "id-1",
                "errors": [{"pointer": "/victim_ip", "detail": "is required"}],
            })
        );
    }

    #[test]
    fn floods_of_mistakes_are_counted() {
        let errors = vec![Diagnostic::shape("x", "is wrong"); 10_000];
        let body = Problem::bad_request(errors).body("");
        assert_eq!(body["errors"].as_array().unwrap().len(), MOST_ERRORS + 1);
        assert_eq!(body["errors"][MOST_ERRORS]["detail"], "9950 more mistakes are not shown");
        assert_eq!(body["detail"], "/x is wrong (and 9999 more, see errors)");
    }

    #[test]
    fn waiting_is_said_twice_where_the_contract_wants_it() {
        let response = Problem::new(Kind::StorageUnavailable, "x").response("");
        assert_eq!(response.headers().get("retry-after").unwrap(), "5");
        let response = Problem::new(Kind::Unauthenticated, "x").response("");
        assert_eq!(response.headers().get("www-authenticate").unwrap(), "Bearer");
        assert_eq!(Problem::new(Kind::StorageUnavailable, "x").body("")["retry_after_seconds"], 5);
    }
}
