//! The one place where refusals and failures of the engine become answers.

use prefix_engine::EngineError;

use super::{Kind, Problem};

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Guardrail { refusal, mitigation_id } => Self::new(Kind::Guardrail, detail)
                .with(|body| {
                    body.guardrail = Some(refusal.guardrail.into());
                    body.mitigation_id = Some(mitigation_id.map(Into::into));
                })
                // the engine audits what it stores
                .audited(mitigation_id.is_some())
                .retry_after(refusal.retry_after_seconds),
            EngineError::UnknownVector { defined, .. } => {
                let vectors = defined.iter().map(ToString::to_string).collect();
                Self::new(Kind::UnknownVector, detail).with(|body| body.vectors = Some(vectors))
            }
            EngineError::CorroboratingOnly(_) => Self::new(Kind::CorroboratingOnly, detail),
            EngineError::NotAllowed(_) => Self::new(Kind::NotAllowed, detail),
            EngineError::NotFound(_) => Self::new(Kind::NotFound, detail),
            EngineError::MassWithdraw { mitigations, .. } => {
                let affected = mitigations.into_iter().map(Into::into).collect();
                Self::new(Kind::MassWithdraw, detail).with(|body| body.affected_mitigations = Some(affected))
            }
            EngineError::Replayed(first) => Self::from(*first).replayed(true),
            EngineError::IdempotencyMismatch => Self::new(Kind::IdempotencyMismatch, detail),
            EngineError::StorageUnavailable(cause) => {
                tracing::warn!(%cause, "storage is not available");
                Self::new(
                    Kind::StorageUnavailable,
                    "storage is not available, nothing was stored; send the request again",
                )
            }
            EngineError::NotInMemory(cause) => {
                tracing::warn!(%cause, "storage is not available");
                Self::new(Kind::StorageUnavailable, detail)
            }
            EngineError::CredentialEnded | EngineError::WrongPassword => {
                Self::new(Kind::Unauthenticated, detail)
            }
            EngineError::CredentialsUnknown(cause) => {
                tracing::warn!(cause, "credentials cannot be checked");
                Self::new(
                    Kind::StorageUnavailable,
                    "storage is not available, so it cannot be checked who asks; nothing was done, send the request again",
                )
            }
            EngineError::UsernameTaken(_) => Self::new(Kind::UsernameTaken, detail),
            EngineError::TooManyLogins { seconds, .. } => {
                Self::new(Kind::RateLimited, detail).retry_after(Some(seconds))
            }
            EngineError::ShuttingDown => Self::new(Kind::ShuttingDown, detail),
            EngineError::Internal(cause) => {
                tracing::error!(%cause, "internal error");
                Self::internal()
            }
        }
    }
}

impl Problem {
    /// A fault of ours; what it was is for the log, not for the client.
    pub(crate) fn internal() -> Self {
        Self::new(
            Kind::Internal,
            "a fault of prefixd; the log says more under the id of this request (instance)",
        )
    }
}

#[cfg(test)]
mod tests {
    use prefix_core::guardrail::{Guardrail, Refusal};

    use super::*;

    #[test]
    fn causes_are_for_the_log_only() {
        for error in
            [EngineError::Internal("secret".into()), EngineError::StorageUnavailable("secret".into())]
        {
            assert!(!Problem::from(error).body("").to_string().contains("secret"));
        }
    }

    #[test]
    fn a_guardrail_says_which_and_whether_time_helps() {
        let refusal = Refusal::retry_after(Guardrail::MaxLifetime, "just ended", 12);
        let body = Problem::from(EngineError::Guardrail { refusal, mitigation_id: None }).body("");
        assert_eq!(body["guardrail"], "max_lifetime");
        assert_eq!(body["retry_after_seconds"], 12);
        assert_eq!(body["status"], 422);
        let refusal = Refusal::new(Guardrail::Safelisted, "no");
        let body = Problem::from(EngineError::Guardrail { refusal, mitigation_id: None }).body("");
        assert!(body.get("retry_after_seconds").is_none());
    }
}
