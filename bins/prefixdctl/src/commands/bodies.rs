//! Several answers to the parts of one request, as the one answer that the API would have given.

use crate::exit::Failure;
use crate::progress::Progress;
use crate::session::Session;
use bytes::Bytes;
use prefix_client::ApiError;
use serde_json::{Map, Value};

/// The answers to the parts that were sent, each with the number of its items, and why the next part has none.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) bodies: Vec<Bytes>,
    pub(super) sizes: Vec<usize>,
    pub(super) broken: Option<ApiError>,
}

/// Sends one part after another until one fails. What was done before is done: its results are kept.
pub(super) async fn in_parts<P>(
    session: &Session,
    what: &str,
    parts: Vec<(usize, P)>,
    send: impl AsyncFn(P) -> Result<Bytes, ApiError>,
) -> Answers {
    let mut progress = Progress::new(session, what, Some(parts.iter().map(|(size, _)| size).sum()));
    let mut answers = Answers::default();
    for (size, part) in parts {
        match send(part).await {
            Ok(body) => answers.bodies.push(body),
            Err(error) => {
                answers.broken = Some(error);
                break;
            }
        }
        answers.sizes.push(size);
        progress.advance(size);
    }
    answers
}

/// Adds up `counters` and strings the `results` together; a result's `index` counts on over all parts.
///
/// One body stays as it is, byte for byte.
pub(super) fn merged(bodies: &[Bytes], counters: &[&str], sizes: &[usize]) -> Result<Bytes, Failure> {
    if let [body] = bodies {
        return Ok(body.clone());
    }
    let unreadable = |error| Failure::General(format!("the answers cannot be joined: {error}"));
    let mut sums = vec![0_u64; counters.len()];
    let mut results = Vec::new();
    let mut offset: usize = 0;
    for (body, size) in bodies.iter().zip(sizes) {
        let mut document: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
        for (sum, counter) in sums.iter_mut().zip(counters) {
            *sum += document.get(*counter).and_then(Value::as_u64).unwrap_or_default();
        }
        if let Some(Value::Array(part)) = document.remove("results") {
            results.extend(part.into_iter().map(|mut result| {
                if let Some(index) = result.get("index").and_then(Value::as_u64) {
                    result["index"] = Value::from(index + offset as u64);
                }
                result
            }));
        }
        offset += size;
    }
    let mut whole: Map<String, Value> =
        counters.iter().zip(sums).map(|(counter, sum)| ((*counter).to_owned(), Value::from(sum))).collect();
    whole.insert("results".to_owned(), Value::Array(results));
    serde_json::to_vec(&whole).map(Bytes::from).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_batch_count_on() {
        let part = |text: &'static str| Bytes::from_static(text.as_bytes());
        let bodies = [
            part(r#"{"accepted":2,"rejected":0,"results":[{"index":0},{"index":1}]}"#),
            part(r#"{"accepted":0,"rejected":1,"results":[{"index":0,"error":"no"}]}"#),
        ];
        let whole: Value =
            serde_json::from_slice(&merged(&bodies, &["accepted", "rejected"], &[2, 1]).unwrap()).unwrap();
        assert_eq!(
            whole,
            serde_json::json!({"accepted": 2, "rejected": 1,
                "results": [{"index": 0}, {"index": 1}, {"index": 2, "error": "no"}]})
        );
    }

    #[test]
    fn one_answer_stays_as_it_is() {
        let body = Bytes::from_static(b"{ \"accepted\" : 1 }");
        assert_eq!(merged(std::slice::from_ref(&body), &["accepted"], &[1]).unwrap(), body);
    }
}
