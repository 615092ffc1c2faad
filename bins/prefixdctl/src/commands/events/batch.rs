//! `events batch`: a file of any length, cut into requests that the API takes.

use crate::commands::bodies::{Answers, in_parts, merged};
use crate::exit::{Exit, Failure};
use crate::files::{name, text};
use crate::output::Format;
use crate::session::Session;
use crate::views::BATCH;
use bytes::Bytes;
use prefix_client::{BatchAnswer, EventStatus};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// The most events of one request.
const MOST_EVENTS: usize = 100;

/// The most bytes of one request.
const MOST_BYTES: usize = 1024 * 1024;

const HEAD: &str = "{\"events\":[";
const TAIL: &str = "]}";

/// Sends the file and shows what became of each event.
pub(super) async fn run(session: &Session, file: &Path) -> Result<Exit, Failure> {
    let text = text(file)?;
    let events = events(&text).map_err(|error| Failure::Invalid(format!("{}: {error}", name(file))))?;
    if events.is_empty() {
        return Err(Failure::Invalid(format!("{} holds no event", name(file))));
    }
    let client = session.client()?;
    let send = async |body| client.send_raw_batch(body).await.map(|reply| reply.body);
    let Answers { bodies, sizes, broken } = in_parts(session, "events", requests(&events), send).await;
    let rejected = if bodies.is_empty() { 0 } else { show(session, &bodies, &sizes)? };
    if let Some(error) = broken {
        let done: usize = sizes.iter().sum();
        if done > 0 {
            session.note(&format!("sent the first {done} of {} events, then this happened:", events.len()));
        }
        return Err(error.into());
    }
    Ok(if rejected > 0 { Exit::Refused } else { Exit::Ok })
}

fn show(session: &Session, bodies: &[Bytes], sizes: &[usize]) -> Result<usize, Failure> {
    let body = merged(bodies, &["accepted", "rejected"], sizes)?;
    let answer: BatchAnswer = serde_json::from_slice(&body)
        .map_err(|error| Failure::General(format!("the answer cannot be read: {error}")))?;
    if session.print_document(&body)? {
        return Ok(answer.rejected);
    }
    if session.format() == Format::Table {
        // A thousand lines of success would hide the one that failed.
        let mut failed = answer.results;
        failed.retain(|result| result.status == EventStatus::Rejected);
        for result in &mut failed {
            result.error = result.error.as_deref().map(|error| within_item(error).to_owned());
        }
        if !failed.is_empty() {
            session.print_rows(BATCH, &failed)?;
        }
        session.print(&format!("{} accepted, {} rejected\n", answer.accepted, answer.rejected))?;
    } else {
        session.print_rows(BATCH, &answer.results)?;
    }
    Ok(answer.rejected)
}

/// The error without the item's place in its request, which is another than its place in the file.
fn within_item(error: &str) -> &str {
    let Some(rest) = error.strip_prefix("/events/") else { return error };
    let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if rest.starts_with('/') { rest } else { error }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// The events of a JSON array, of `{"events": []}`, or one JSON value after another; each as it was written.
pub(in crate::commands) fn events(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if trimmed.starts_with('[') {
        return serde_json::from_str(trimmed);
    }
    let values: Vec<&RawValue> =
        serde_json::Deserializer::from_str(trimmed).into_iter().collect::<Result<_, _>>()?;
    if let [single] = values.as_slice()
        && let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(single.get())
    {
        return Ok(envelope.events);
    }
    Ok(values)
}

/// Cuts the events into requests of at most 100 events and 1 MiB, each with the number of its events.
///
/// An event that is larger alone gets a request of its own, and the server's refusal.
fn requests(events: &[&RawValue]) -> Vec<(usize, String)> {
    let mut requests = Vec::new();
    let mut body = HEAD.to_owned();
    let mut size = 0;
    for event in events {
        let event = event.get();
        let grown = body.len() + 1 + event.len() + TAIL.len();
        if size > 0 && (size == MOST_EVENTS || grown > MOST_BYTES) {
            requests.push((size, std::mem::replace(&mut body, HEAD.to_owned()) + TAIL));
            size = 0;
        }
        if size > 0 {
            body.push(',');
        }
        body.push_str(event);
        size += 1;
    }
    if size > 0 {
        requests.push((size, body + TAIL));
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shapes_of_file_are_the_same_events() {
        for text in [
            r#"[{"a":1},{"a":2}]"#,
            r#"{"events":[{"a":1},{"a":2}]}"#,
            "{\"a\":1}\n{\"a\":2}\n",
            "\u{feff}\n{\"a\":1} {\"a\":2}",
        ] {
            let found: Vec<_> = events(text).unwrap().iter().map(|event| event.get().to_owned()).collect();
            assert_eq!(found, [r#"{"a":1}"#, r#"{"a":2}"#], "{text}");
        }
        assert_eq!(events(r#"{"a":1}"#).unwrap().len(), 1);
        assert!(events("").unwrap().is_empty());
        assert!(events("{\"a\":1}\n{\"a\":").is_err());
    }

    #[test]
    fn an_error_names_the_place_within_its_item() {
        assert_eq!(within_item("/events/50/victim_ip is missing"), "/victim_ip is missing");
        assert_eq!(within_item("/events/50 is no object"), "/events/50 is no object");
        assert_eq!(within_item("bad source"), "bad source");
    }

    #[test]
    fn requests_hold_a_hundred_events_at_most() {
        let text = format!("[{}]", vec!["{}"; 250].join(","));
        let sizes: Vec<_> = requests(&events(&text).unwrap()).iter().map(|(size, _)| *size).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn requests_stay_within_a_mebibyte() {
        let event = format!("\"{}\"", "x".repeat(300_000));
        let text = format!("[{}]", [event.as_str(); 7].join(","));
        let requests = requests(&events(&text).unwrap());
        assert_eq!(requests.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [3, 3, 1]);
        for (_, body) in &requests {
            assert!(body.len() <= MOST_BYTES);
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
        let huge = format!("[\"{}\"]", "x".repeat(2 * MOST_BYTES));
        assert_eq!(super::requests(&events(&huge).unwrap()).len(), 1);
    }
}
