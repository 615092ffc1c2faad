//! Everything that can go wrong between a client and the server, told apart by who has to act.

use chrono::{DateTime, Utc};
use prefix_api_types::{FieldError, Guardrail, Problem as Document, Seconds};
use std::fmt;
use std::time::Duration;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server refused and said why (RFC 9457).
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Something answered, but not in the way of this API: a proxy, another program, or a wrong address.
    #[error("the server answered {status} without a problem document: {excerpt}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The `x-request-id` of the answer.
        request_id: Option<String>,
        /// The beginning of the body.
        excerpt: String,
    },
    /// No connection: refused, unknown name, no route, or TLS.
    #[error("cannot reach {base}: {reason}")]
    Connect {
        /// The address that was tried.
        base: String,
        /// The chain of causes.
        reason: String,
    },
    /// The whole call, retries included, took longer than allowed.
    #[error("no answer from {base} within {} seconds", after.as_secs_f64())]
    Timeout {
        /// The address that was tried.
        base: String,
        /// The time allowed.
        after: Duration,
    },
    /// The answer is not what this version understands.
    #[error("the answer to {method} {path} cannot be read: {source}")]
    Decode {
        /// The method of the request.
        method: &'static str,
        /// The path of the request.
        path: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
        /// The `x-request-id` of the answer.
        request_id: Option<String>,
    },
    /// The request could not be written.
    #[error("the request to {path} cannot be written: {reason}")]
    Encode {
        /// The path of the request.
        path: String,
        /// Why.
        reason: String,
    },
}

impl ApiError {
    /// The HTTP status, if anything answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Unexpected { status, .. } => Some(*status),
            Self::Connect { .. } | Self::Timeout { .. } | Self::Decode { .. } | Self::Encode { .. } => None,
        }
    }

    /// The server's id of the request, for its log and audit trail.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.request_id.as_deref(),
            Self::Unexpected { request_id, .. } | Self::Decode { request_id, .. } => request_id.as_deref(),
            Self::Connect { .. } | Self::Timeout { .. } | Self::Encode { .. } => None,
        }
    }

    /// The problem document, if the server sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A problem document of the server.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The `type`, such as `urn:prefixd:problem:guardrail`.
    pub problem_type: String,
    /// What kind of problem it is, for people.
    pub title: String,
    /// What happened here.
    pub detail: String,
    /// One entry for each mistake.
    pub errors: Vec<FieldError>,
    /// The server's id of the request.
    pub request_id: Option<String>,
    /// The code of the guardrail that refused.
    pub guardrail: Option<Guardrail>,
    /// The defined vectors, where the one of the request is not.
    pub vectors: Vec<String>,
    /// How long to wait before the next try.
    pub retry_after: Option<Duration>,
    /// The document as it came.
    pub body: String,
}

impl Problem {
    /// The last part of the type, such as `guardrail`; the guardrail's own code follows it after a colon.
    pub fn code(&self) -> String {
        let suffix = self.problem_type.rsplit(':').next().unwrap_or_default();
        match (&self.guardrail, suffix) {
            (Some(code), "guardrail") => format!("guardrail:{code}"),
            (_, "") => self.status.to_string(),
            (_, suffix) => suffix.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

/// Reads the body of a refusal; anything but a problem document becomes [`ApiError::Unexpected`].
pub(crate) fn refusal(
    status: u16,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    body: &[u8],
) -> ApiError {
    let document = serde_json::from_slice::<Document>(body).ok();
    let Some(document) =
        document.filter(|document| !document.detail.is_empty() || !document.title.is_empty())
    else {
        return ApiError::Unexpected { status, request_id, excerpt: excerpt(body) };
    };
    let said = [document.detail, document.error].into_iter().find(|text| !text.is_empty());
    let told = document.retry_after_seconds.and_then(Seconds::duration);
    let instance = Some(document.instance).filter(|instance| !instance.is_empty());
    ApiError::Problem(Box::new(Problem {
        status,
        problem_type: document.problem_type,
        detail: said.unwrap_or_else(|| document.title.clone()),
        title: document.title,
        errors: document.errors.unwrap_or_default(),
        request_id: instance.or(request_id),
        guardrail: document.guardrail,
        vectors: document.vectors.unwrap_or_default(),
        retry_after: retry_after.or(told),
        body: String::from_utf8_lossy(body).into_owned(),
    }))
}

/// The first line or so of a body that nobody expected.
fn excerpt(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(body);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None if words.is_empty() => "empty body".to_owned(),
        None => words,
    }
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_problem_document_is_read_whole() {
        let body = br#"{"type":"urn:prefixd:problem:guardrail","title":"Refused by a guardrail","status":422,
            "detail":"no","error":"no","instance":"abc","guardrail":"safelisted","retry_after_seconds":1.5,
            "errors":[{"pointer":"/victim_ip","detail":"bad"}],"new_member":[1]}"#;
        let error = refusal(422, Some("header".into()), None, body);
        let problem = error.problem().unwrap();
        assert_eq!(problem.code(), "guardrail:safelisted");
        assert_eq!(problem.request_id.as_deref(), Some("abc"));
        assert_eq!(problem.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(problem.errors, [FieldError { pointer: "/victim_ip".into(), detail: "bad".into() }]);
        assert_eq!(error.to_string(), "no");
    }

    #[test]
    fn a_page_of_a_proxy_is_no_problem_document() {
        let error = refusal(502, None, None, b"<html>\n  <h1>Bad Gateway</h1></html>");
        assert!(matches!(&error, ApiError::Unexpected { status: 502, .. }));
        assert_eq!(
            error.to_string(),
            "the server answered 502 without a problem document: <html> <h1>Bad Gateway</h1></html>"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
