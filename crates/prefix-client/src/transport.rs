//! One call: attempts, pauses as the server asks for them, one deadline over all.

use crate::client::{Client, chain};
use crate::error::{self, ApiError};
use crate::operation::Operation;
use crate::outcome::{Mode, Outcome};
use crate::query::pairs;
use crate::reply::Reply;
use bytes::Bytes;
use chrono::Utc;
use prefix_api_types::{DryRun, Secret};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often 429 and 503 are tried again.
const RETRIES: u32 = 3;

/// The pause before a retry when the server names none: the server's own default for 503.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// What a client tells of one attempt.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The HTTP method.
    pub method: &'static str,
    /// The whole address.
    pub url: &'a str,
    /// The attempt's number, from 1.
    pub number: u32,
    /// The status, or nothing if no answer came.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// The server's id of the request.
    pub request_id: Option<&'a str>,
    /// The pause before the next attempt, if there is one.
    pub pause: Option<Duration>,
}

pub(crate) type Observer = Arc<dyn Fn(&Attempt<'_>) + Send + Sync>;

/// One call in the making.
#[derive(Debug, Default)]
pub(crate) struct Call {
    operation: Operation,
    arguments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    idempotency_key: Option<String>,
    /// A status that is an answer here although it is no success, and is not retried.
    also_good: Option<u16>,
}

impl Call {
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, ..Self::default() }
    }

    pub(crate) fn argument(mut self, value: &impl ToString) -> Self {
        self.arguments.push(value.to_string());
        self
    }

    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        self.query.extend(pairs(query));
        self
    }

    /// With further headers.
    pub(crate) fn headers(mut self, headers: Vec<(String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn mode(self, mode: Mode) -> Self {
        match mode {
            Mode::Apply => self,
            Mode::DryRun => self.query(&json!({"dry_run": true})),
        }
    }

    pub(crate) fn raw_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn body(self, body: &impl Serialize) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Encode {
            path: self.operation.path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(self.raw_body(bytes))
    }

    /// With a new key: every attempt of this call carries the same.
    pub(crate) fn idempotent(mut self) -> Self {
        self.idempotency_key = Some(uuid::Uuid::new_v4().to_string());
        self
    }

    pub(crate) fn also_good(mut self, status: u16) -> Self {
        self.also_good = Some(status);
        self
    }

    fn is_good(&self, status: u16) -> bool {
        (200..300).contains(&status) || self.also_good == Some(status)
    }
}

/// What one attempt brought.
struct Answer {
    status: u16,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    replayed: bool,
    set_cookie: Option<Secret>,
    body: Bytes,
}

impl Client {
    /// Carries the call out and reads its body as `T`; an empty body reads as `null`.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<Reply<T>, ApiError> {
        self.call_as(call, |body| serde_json::from_slice(body)).await
    }

    /// Carries a change out, and tells a rehearsal from the real thing.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        call: Call,
        mode: Mode,
    ) -> Result<Reply<Outcome<T>>, ApiError> {
        self.call_as(call.mode(mode), |body| match mode {
            Mode::Apply => serde_json::from_slice(body).map(Outcome::Done),
            Mode::DryRun => serde_json::from_slice::<DryRun<T>>(body).map(Outcome::Rehearsed),
        })
        .await
    }

    async fn call_as<T>(
        &self,
        call: Call,
        read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<Reply<T>, ApiError> {
        let answer = self.send(&call).await?;
        let text: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
        let value = match read(text) {
            Ok(value) => value,
            Err(source) => {
                return Err(ApiError::Decode {
                    method: call.operation.method,
                    path: call.operation.path.to_owned(),
                    source,
                    request_id: answer.request_id,
                });
            }
        };
        let Answer { status, request_id, replayed, set_cookie, body, .. } = answer;
        Ok(Reply { value, body, status, request_id, replayed, set_cookie })
    }

    async fn send(&self, call: &Call) -> Result<Answer, ApiError> {
        let mut url = self.base.join(call.operation.segments(&call.arguments));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let deadline = Instant::now() + self.timeout;
        let mut number = 1;
        loop {
            let begun = Instant::now();
            let left = deadline.saturating_duration_since(begun);
            let result = self.attempt(call, &url, left).await;
            let pause = match &result {
                Ok(answer) if !call.is_good(answer.status) && matches!(answer.status, 429 | 503) => {
                    let refusal = error::refusal(answer.status, None, answer.retry_after, &answer.body);
                    let asked = refusal.problem().and_then(|problem| problem.retry_after);
                    Some(asked.or(answer.retry_after).unwrap_or(DEFAULT_PAUSE))
                }
                _ => None,
            };
            // A pause that ends after the deadline helps nobody: the refusal itself is the better answer.
            let pause = pause.filter(|pause| number <= RETRIES && Instant::now() + *pause < deadline);
            if let Some(observer) = &self.observer {
                let answer = result.as_ref().ok();
                observer(&Attempt {
                    method: call.operation.method,
                    url: url.as_str(),
                    number,
                    status: answer.map(|answer| answer.status),
                    took: begun.elapsed(),
                    request_id: answer.and_then(|answer| answer.request_id.as_deref()),
                    pause,
                });
            }
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
                number += 1;
                continue;
            }
            let answer = result?;
            if call.is_good(answer.status) {
                return Ok(answer);
            }
            return Err(error::refusal(answer.status, answer.request_id, answer.retry_after, &answer.body));
        }
    }

    async fn attempt(&self, call: &Call, url: &Url, left: Duration) -> Result<Answer, ApiError> {
        let method = call.operation.method.parse().unwrap_or(Method::GET);
        let mut request = self.http.request(method, url.clone()).timeout(left);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let status = response.status().as_u16();
        let request_id = header("x-request-id");
        let replayed = header("idempotency-replayed").is_some_and(|value| value == "true");
        let retry_after =
            header(RETRY_AFTER.as_str()).and_then(|value| error::retry_after(&value, Utc::now()));
        let pair = header("set-cookie").and_then(|set| set.split(';').next().map(str::to_owned));
        let set_cookie = pair.map(Secret::from);
        let body = response.bytes().await.map_err(|error| self.failure(error))?;
        Ok(Answer { status, request_id, retry_after, replayed, set_cookie, body })
    }

    fn failure(&self, error: reqwest::Error) -> ApiError {
        let base = self.base.to_string();
        if error.is_timeout() {
            return ApiError::Timeout { base, after: self.timeout };
        }
        let error = error.without_url();
        // The outermost text ("error sending request") says nothing that "cannot reach" does not.
        let reason = std::error::Error::source(&error).map_or_else(|| chain(&error), chain);
        ApiError::Connect { base, reason }
    }
}
