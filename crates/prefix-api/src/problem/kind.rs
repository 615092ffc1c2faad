//! The kinds of problems: status, type and title belong together.

use actix_web::http::StatusCode;

/// Seconds that a client waits before it sends again, if nothing better is known.
const RETRY_SECONDS: u64 = 5;

macro_rules! kinds {
    ($($kind:ident = $status:literal $suffix:literal, $title:literal;)+) => {
        /// A kind of problem, by the suffix of its `type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the words of the contract, http-api.md §1.2")]
        pub(crate) enum Kind {
            $($kind,)+
        }

        impl Kind {
            /// Every kind.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)+];

            fn facts(self) -> (u16, &'static str, &'static str) {
                match self {
                    $(Self::$kind => ($status, $suffix, $title),)+
                }
            }
        }
    };
}

kinds! {
    BadRequest = 400 "bad-request", "Malformed request";
    Unauthenticated = 401 "unauthenticated", "Credentials missing or invalid";
    Forbidden = 403 "forbidden", "Not allowed";
    SourceNotAllowed = 403 "source-not-allowed", "Source not allowed";
    NotFound = 404 "not-found", "Not found";
    MethodNotAllowed = 405 "method-not-allowed", "Method not allowed";
    UsernameTaken = 409 "username-taken", "User name taken";
    TooLarge = 413 "too-large", "Body too large";
    UnsupportedMediaType = 415 "unsupported-media-type", "Not JSON";
    Guardrail = 422 "guardrail", "Refused by a guardrail";
    UnknownVector = 422 "unknown-vector", "Unknown vector";
    CorroboratingOnly = 422 "corroborating-only", "Source may not trigger";
    NotAllowed = 422 "not-allowed", "Not allowed in this state";
    ConfigInvalid = 422 "config-invalid", "Invalid configuration";
    MassWithdraw = 422 "mass-withdraw", "Too many rules withdrawn at once";
    IdempotencyMismatch = 422 "idempotency-mismatch", "Idempotency key used before";
    RateLimited = 429 "rate-limited", "Too many requests";
    Internal = 500 "internal", "Internal error";
    Busy = 503 "rate-limited", "Too many requests";
    StorageUnavailable = 503 "storage-unavailable", "Storage not available";
    ShuttingDown = 503 "shutting-down", "Shutting down";
}

impl Kind {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.facts().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What follows `urn:prefixd:problem:`.
    pub(crate) fn suffix(self) -> &'static str {
        self.facts().1
    }

    /// The same words for every problem of this kind.
    pub(crate) fn title(self) -> &'static str {
        self.facts().2
    }

    /// True if the answer has the header `Retry-After`.
    pub(crate) fn has_retry_header(self) -> bool {
        matches!(self, Self::RateLimited | Self::Busy | Self::StorageUnavailable | Self::ShuttingDown)
    }

    pub(super) fn default_retry(self) -> Option<u64> {
        self.has_retry_header().then_some(RETRY_SECONDS)
    }

    /// The kind of an answer that some lower layer gave with a bare status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            409 => Self::UsernameTaken,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            429 => Self::RateLimited,
            503 => Self::StorageUnavailable,
            400..=499 => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_and_a_type_of_its_own() {
        let mut suffixes: Vec<_> = Kind::ALL.iter().map(|kind| kind.suffix()).collect();
        suffixes.sort_unstable();
        suffixes.dedup();
        // `Busy` is `RateLimited` for senders that give up on 4xx
        assert_eq!(suffixes.len(), Kind::ALL.len() - 1);
        assert!(Kind::ALL.iter().all(|kind| kind.status().as_u16() >= 400));
    }
}
