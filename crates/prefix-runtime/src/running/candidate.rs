//! The policy that documents would make which somebody only tries: checked like the files, and nothing of it stays.

use prefix_api::{Candidate, EditError};
use prefix_policy::Policy;

use super::Running;
use super::edit::refused;
use prefix_config::candidate::{Base, Documents, candidate};

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
        candidate(base, Documents { playbooks, correlation, guardrails }).map_err(refused)
    }
}
