//! The policy that documents would make which somebody only tries: checked like the files, and nothing of it stays.

use prefix_api::{Candidate, ConfigFinding, EditError};
use prefix_policy::Policy;

use super::Running;
use crate::config::candidate::{Base, Documents, Mistake, Refused, candidate};

impl Running {
    pub(super) fn candidate(&self, tried: Candidate) -> Result<Policy, EditError> {
        let running = self.engine.policy();
        let correlation = self.state().correlation.clone();
        let base = Base {
            settings: &self.settings,
            inventory: &running.parts().inventory,
            playbooks: &running.parts().playbooks,
            correlation: &correlation,
        };
        let Candidate { playbooks, correlation, guardrails } = tried;
        candidate(base, Documents { playbooks, correlation, guardrails }).map_err(
            |Refused { is_malformed, mistakes }| {
                let finding = |Mistake { pointer, detail }| ConfigFinding { place: pointer, detail };
                let findings = mistakes.into_iter().map(finding).collect();
                if is_malformed { EditError::Malformed(findings) } else { EditError::Invalid(findings) }
            },
        )
    }
}
