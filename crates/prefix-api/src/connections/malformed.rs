//! What the HTTP library answers by itself, without a body, before any handler is asked: malformed requests and heads that
//! are too large or too slow. On the wire these become what every other error of the API is.

use uuid::Uuid;

use super::Seldom;
use crate::problem::Problem;

/// Heads of the library, by how they begin, and what they are called.
const ANSWERS: [(&[u8], &str, &str); 3] = [
    (
        b"HTTP/1.1 400 ",
        "400 Bad Request",
        "this is no HTTP/1.1 request that can be told from others; the connection is closed",
    ),
    (
        b"HTTP/1.1 408 ",
        "408 Request Timeout",
        "the head of the request did not arrive within 5 s; the connection is closed",
    ),
    (
        b"HTTP/1.1 431 ",
        "431 Request Header Fields Too Large",
        "the head of the request is too large; send fewer or shorter headers",
    ),
];

/// Anybody can cause these lines.
static MALFORMED: Seldom = Seldom::new();

/// The library's own heads are shorter.
const LONGEST: usize = 256;

/// The answer in the place of a bare one of the library; `None` for everything else. Answers of the API have a body and
/// `x-request-id`, and no text of a JSON document has a line end in it, so none of them can be taken for one.
pub(super) fn instead_of(written: &[u8]) -> Option<Vec<u8>> {
    let (_, status, detail) = ANSWERS.iter().find(|(begin, ..)| written.starts_with(begin))?;
    let bare = written.len() <= LONGEST
        && written.ends_with(b"\r\n\r\n")
        && contains(written, b"content-length: 0\r\n")
        && !contains(written, b"x-request-id");
    if !bare {
        return None;
    }
    MALFORMED.note(|times| {
        tracing::warn!(times, status, "requests that are no HTTP were refused and their connections closed");
    });
    Some(answer(status, &Problem::at("", *detail), ""))
}

/// A whole answer that closes its connection. `status` stands in the body as in the head.
pub(super) fn answer(status: &str, problem: &Problem, headers: &str) -> Vec<u8> {
    let id = Uuid::new_v4().to_string();
    let number: u16 = status.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(400);
    let body = problem.text_with_status(&id, number);
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nConnection: close\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nCache-Control: no-store\r\n{headers}\
         x-request-id: {id}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_answer_of_the_library_is_replaced() {
        let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: x\r\n\r\n";
        let text = String::from_utf8(instead_of(bare).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["status"], &body["type"]),
            (&400.into(), &"urn:prefixd:problem:bad-request".into())
        );
        assert_eq!(body["detail"], body["error"]);
        for ours in [
            &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"{}",
            b"",
        ] {
            assert_eq!(instead_of(ours), None);
        }
    }

    #[test]
    fn a_slow_head_and_a_large_one_say_so() {
        for (status, word) in [("408 Request Timeout", "within 5 s"), ("431 X", "too large")] {
            let bare = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let text = String::from_utf8(instead_of(bare.as_bytes()).unwrap()).unwrap();
            assert!(text.contains(word) && text.contains(&format!("\"status\":{}", &status[..3])), "{text}");
        }
    }
}
