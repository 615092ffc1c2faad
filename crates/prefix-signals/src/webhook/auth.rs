//! Who may post to an adapter, and the signature over a body.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// How an adapter knows its detector.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By the normal authentication of the API.
    Bearer,
    /// By a signature over the body.
    Hmac(Signature),
    /// Not at all: for labs.
    None,
}

/// What a signature is made with, and where it is.
#[derive(Clone, Debug)]
pub struct Signature {
    pub(super) secret: Secret,
    pub(super) header: String,
    pub(super) timestamp: Option<Timestamp>,
}

/// The time that is signed with the body.
#[derive(Clone, Debug)]
pub(super) struct Timestamp {
    pub(super) header: String,
    pub(super) max_age_seconds: u64,
}

/// A secret, which never shows itself.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A signature does not hold. Texts are for whoever sets a detector up, and say nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SignatureError(String);

impl Signature {
    /// Checks a body. `header` gives the value of a header, if it is there exactly once and is text.
    pub fn verify<'a>(
        &self,
        body: &[u8],
        header: impl Fn(&str) -> Option<&'a str>,
        now: DateTime<Utc>,
    ) -> Result<(), SignatureError> {
        let refused = |text: String| Err(SignatureError(text));
        let Some(given) = header(&self.header) else {
            return refused(format!("the signature is missing; send it in the header {}", self.header));
        };
        let given = given.trim();
        let given = given.strip_prefix("sha256=").unwrap_or(given);
        let Ok(given) = hex::decode(given) else {
            return refused(format!(
                "the header {} must be a SHA-256 HMAC in hexadecimal digits",
                self.header
            ));
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.0.as_bytes()) else {
            return refused("the secret of this adapter cannot be used".to_owned());
        };
        if let Some(timestamp) = &self.timestamp {
            let Some(text) = header(&timestamp.header) else {
                return refused(format!("the time is missing; send it in the header {}", timestamp.header));
            };
            let text = text.trim();
            let Some(signed_at) = time(text) else {
                return refused(format!(
                    "the header {} must be Unix seconds or a time of RFC 3339",
                    timestamp.header
                ));
            };
            let apart = now.signed_duration_since(signed_at).num_seconds().unsigned_abs();
            if apart > timestamp.max_age_seconds {
                return refused(format!(
                    "the header {} is {apart} s from the time here, at most {} s are accepted",
                    timestamp.header, timestamp.max_age_seconds
                ));
            }
            mac.update(text.as_bytes());
            mac.update(b".");
        }
        mac.update(body);
        // compares in constant time
        mac.verify_slice(&given).map_err(|_| SignatureError("the signature does not fit the body".to_owned()))
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    match text.parse::<i64>() {
        Ok(seconds) => DateTime::from_timestamp(seconds, 0),
        Err(_) => crate::reading::time(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 4231, test case 2: key `Jefe`.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const HMAC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn signature(timestamp: Option<Timestamp>) -> Signature {
        Signature { secret: Secret("Jefe".into()), header: "X-Signature-SHA256".into(), timestamp }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    #[test]
    fn only_the_right_signature_over_the_whole_body_holds() {
        let check = |given: Option<&str>, body: &[u8]| signature(None).verify(body, |_| given, now());
        assert_eq!(check(Some(HMAC), BODY), Ok(()));
        assert_eq!(check(Some(&format!("sha256={}", HMAC.to_uppercase())), BODY), Ok(()));
        for wrong in [None, Some(""), Some("sha256="), Some(&HMAC[..62]), Some("zz"), Some(&"0".repeat(64))] {
            assert!(check(wrong, BODY).is_err(), "{wrong:?}");
        }
        assert!(check(Some(HMAC), b"what do ya want for nothing? ").is_err());
    }

    #[test]
    fn a_signed_time_must_be_near() {
        let timestamp = Timestamp { header: "X-Time".into(), max_age_seconds: 300 };
        let signed = signature(Some(timestamp));
        let check = |time: &'static str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
            mac.update(format!("{time}.body").as_bytes());
            let hex = hex::encode(mac.finalize().into_bytes());
            signed.verify(
                b"body",
                |name| Some(if name == "X-Time" { time } else { Box::leak(hex.clone().into_boxed_str()) }),
                now(),
            )
        };
        assert_eq!(check("1795000000"), Ok(()));
        assert_eq!(check("1794999700"), Ok(()));
        assert!(check("1794999699").unwrap_err().to_string().contains("301 s"));
        assert!(check("1795000301").is_err(), "a time to come is no better");
        assert!(check("soon").is_err());
        let other = signed.verify(b"body", |name| (name == "X-Time").then_some("1795000000"), now());
        assert!(other.unwrap_err().to_string().contains("signature is missing"));
    }

    #[test]
    fn a_secret_never_shows_itself() {
        assert!(!format!("{:?}", signature(None)).contains("Jefe"));
    }
}
