//! The policy that documents would make which somebody only tries: checked like the files, and nothing of it stays.

use prefix_api::{Candidate, ConfigFinding, EditError};
use prefix_policy::Policy;
use serde_json::{Value, json};

use super::Running;
use super::edit::passed;
use crate::compose;
use crate::config::edit;
use crate::config::policy::Limits;
use crate::config::settings::Settings;

impl Running {
    pub(super) fn candidate(&self, candidate: Candidate) -> Result<Policy, EditError> {
        let running = self.engine.policy();
        let parts = running.parts();
        let correlation = self.state().correlation.clone();
        compose_candidate(&self.settings, &parts.inventory, &parts.playbooks, &correlation, candidate)
    }
}

/// Puts documents in the place of what runs, or would run.
pub fn compose_candidate(
    settings: &Settings,
    inventory: &prefix_policy::Inventory,
    playbooks: &prefix_policy::Playbooks,
    correlation: &crate::config::correlation::CorrelationKeys,
    candidate: Candidate,
) -> Result<Policy, EditError> {
    let Candidate { playbooks: new_playbooks, correlation: new_correlation, guardrails } = candidate;
    let mut settings = settings.clone();
    let tries_guardrails = guardrails.is_some();
    if let Some(body) = guardrails {
        (settings.keys, _) = passed(edit::guardrails(body, &settings.keys))?;
    }
    let correlation = match new_correlation {
        // what it must not contradict are the playbooks beside it, which are checked against it below
        Some(body) => {
            let beside = playbooks.document().clone();
            let beside =
                if new_playbooks.is_some() { prefix_policy::PlaybooksDocument::default() } else { beside };
            within("/correlation", passed(edit::correlation(body, correlation, &beside)))?.0
        }
        None => correlation.clone(),
    };
    let bounds = Limits::from_keys(&settings.keys).guardrails;
    let read = |body: Value| edit::playbooks(body, playbooks.document(), &bounds, inventory, &correlation);
    let playbooks = match new_playbooks {
        Some(body) => within("/playbooks", passed(read(body)))?.0,
        // what runs must pass the guardrails too
        None if tries_guardrails => {
            let passed = passed(read(json!(playbooks.document())));
            at("/guardrails", "the playbooks that run would be refused", passed)?.0
        }
        None => playbooks.clone(),
    };
    Ok(compose::policy(&settings, inventory.clone(), playbooks, &correlation))
}

/// The places of a document become places of the request.
fn within<T>(member: &str, result: Result<T, EditError>) -> Result<T, EditError> {
    map(result, |finding| ConfigFinding { place: format!("{member}{}", finding.place), ..finding })
}

/// All mistakes are about one place, whatever they are found in.
fn at<T>(member: &str, why: &str, result: Result<T, EditError>) -> Result<T, EditError> {
    map(result, |ConfigFinding { place, detail }| ConfigFinding {
        place: member.to_owned(),
        detail: format!("{why}: {place} {detail}"),
    })
}

fn map<T>(
    result: Result<T, EditError>,
    place: impl Fn(ConfigFinding) -> ConfigFinding,
) -> Result<T, EditError> {
    result.map_err(|error| match error {
        EditError::Malformed(found) => EditError::Malformed(found.into_iter().map(place).collect()),
        EditError::Invalid(found) => EditError::Invalid(found.into_iter().map(place).collect()),
        other => other,
    })
}
