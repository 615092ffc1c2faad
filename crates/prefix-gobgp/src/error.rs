//! Classifies a failed call by what is known about its effect: refused, never sent, or unknown.

use std::error::Error;

use prefix_core::announcer::AnnounceError;
use tonic::{Code, ConnectError, Status};

/// The error of the port. In doubt it is [`AnnounceError::Unknown`], which makes the caller read back.
pub(crate) fn classify(status: &Status) -> AnnounceError {
    let text = || describe(status);
    if is_from_transport(status) {
        return if chain(status).any(<dyn std::error::Error + 'static>::is::<ConnectError>) {
            AnnounceError::Unreachable(text())
        } else {
            AnnounceError::Unknown(text())
        };
    }
    match status.code() {
        // the speaker's own errors have the code Unknown; the call had no effect
        Code::Unknown if is_not_started(status) => AnnounceError::Unreachable(text()),
        Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => AnnounceError::Refused(text()),
        _ => AnnounceError::Unknown(text()),
    }
}

/// Whether the connection must not be used again.
pub(crate) fn breaks_connection(status: &Status) -> bool {
    is_from_transport(status)
        || matches!(
            status.code(),
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unimplemented
        )
}

/// Whether the call failed because the family is not configured at the speaker.
pub(crate) fn is_unknown_family(status: &Status) -> bool {
    status.message().contains("address family") && status.message().contains("not supported")
}

/// Whether the call failed because BGP does not run yet: the API listens before that.
fn is_not_started(status: &Status) -> bool {
    status.message().contains("hasn't started yet")
}

/// Whether the status was made by the transport instead of the speaker.
fn is_from_transport(status: &Status) -> bool {
    status.source().is_some()
}

fn chain(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |error| (*error).source())
}

/// The message of the speaker, or the innermost cause of a broken connection; what wraps it says "transport error".
fn describe(status: &Status) -> String {
    match chain(status).last() {
        Some(cause) => cause.to_string(),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_speaker_is_a_refusal() {
        let status = Status::unknown("nexthop not found");
        assert_eq!(classify(&status), AnnounceError::Refused("nexthop not found".into()));
    }

    #[test]
    fn a_speaker_that_is_still_starting_refuses_nothing() {
        let status = Status::unknown("bgp server hasn't started yet");
        assert!(matches!(classify(&status), AnnounceError::Unreachable(_)));
    }

    #[test]
    fn a_failed_connect_means_that_nothing_was_sent() {
        let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(ConnectError(Box::new(cause))));
        assert!(matches!(classify(&status), AnnounceError::Unreachable(_)));
    }

    #[test]
    fn a_deadline_or_a_broken_connection_leaves_the_effect_unknown() {
        let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for status in [
            Status::deadline_exceeded("late"),
            Status::cancelled("gone"),
            Status::unavailable("shutting down"),
            Status::from_error(Box::new(cause)),
        ] {
            assert!(matches!(classify(&status), AnnounceError::Unknown(_)), "{status:?}");
        }
    }
}
