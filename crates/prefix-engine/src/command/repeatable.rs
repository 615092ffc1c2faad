//! Repeated requests: the answer that was given to an `Idempotency-Key` is given again.

use prefix_core::ports::{IdempotencyRecord, ReadSet, RequestKey};
use prefix_policy::use_cases::UnitOfWork;

use crate::answer::Answer;
use crate::caller::{Caller, IdempotencyKey};
use crate::commit_queue::{Command, CommandContext};
use crate::error::EngineError;

/// A command whose answer is stored, with what it changed, under the `Idempotency-Key` of its caller.
pub(crate) trait Repeatable: Command {
    /// The answer as it is stored; `None` for one that holds for a while only and is not to be repeated.
    fn encode(answer: &Self::Output) -> Option<serde_json::Result<String>>;

    /// Reads a stored answer.
    fn decode(stored: &str) -> serde_json::Result<Self::Output>;
}

/// Runs a command once per `Idempotency-Key`.
pub(crate) struct Once<C>(pub(crate) C);

fn reply_key(key: &IdempotencyKey) -> RequestKey {
    RequestKey { principal: key.principal.clone(), path: key.path.clone(), key: key.key.clone() }
}

impl<C: Repeatable> Command for Once<C> {
    type Output = Result<Answer<C::Output>, EngineError>;

    fn caller(&self) -> Option<&Caller> {
        self.0.caller()
    }

    fn reads(&self, context: &CommandContext<'_>, reads: &mut ReadSet) {
        self.0.reads(context, reads);
        let key = self.0.caller().and_then(|caller| caller.idempotency.as_ref());
        reads.replies.extend(key.map(reply_key));
    }

    fn run(&mut self, uow: &mut UnitOfWork<'_>) -> Self::Output {
        let Some(key) = self.0.caller().and_then(|caller| caller.idempotency.clone()) else {
            return Ok(Answer::first(self.0.run(uow)));
        };
        if let Some(stored) = uow.reply(&reply_key(&key)) {
            if stored.body_hash != key.body_hash {
                return Err(EngineError::IdempotencyMismatch);
            }
            let value = C::decode(&stored.reply)
                .map_err(|error| EngineError::Internal(format!("stored reply cannot be read: {error}")))?;
            return Ok(Answer { value, replayed: true });
        }
        let answer = self.0.run(uow);
        if let Some(Ok(reply)) = C::encode(&answer) {
            let stored = IdempotencyRecord { body_hash: key.body_hash, reply, created_at: uow.now };
            uow.put_reply(reply_key(&key), stored);
        }
        Ok(Answer::first(answer))
    }

    fn ends_with_caller(&self) -> bool {
        self.0.ends_with_caller()
    }

    fn is_dry_run(&self) -> bool {
        self.0.is_dry_run()
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }
}
