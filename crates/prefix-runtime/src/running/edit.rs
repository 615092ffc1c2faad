//! One document replaced over the API: checked against what runs, written to its file, and applied at once. If any of that
//! fails, file and policy are as before.

use std::sync::Arc;

use prefix_api::{ConfigChange, ConfigDocument, EditAnswer, EditError};
use prefix_core::audit::AuditAction;
use prefix_diagnostics::{Diagnostic, KeyPath};
use prefix_engine::{Caller, PolicyChange};
use prefix_policy::{Playbooks, Policy};
use prefix_signals::webhook::Adapters;
use serde_json::{Map, Value, json};

use super::difference::differences;
use super::{Running, State, blocking, correlation_document, playbooks_document};
use crate::compose;
use prefix_config::correlation::CorrelationKeys;
use prefix_config::edit::replace::{ReplaceError, Replaced, replace};
use prefix_config::edit::text::text_of;
use prefix_config::edit::{self, Document, hide_secrets};
use prefix_config::loaded::{Loaded, is_malformed};

/// More changes than these are counted in the audit, not listed.
const MOST_CHANGES: usize = 100;

/// A document that passed every check, with what takes its place once it is written.
struct Ready {
    document: Document,
    policy: Policy,
    correlation: CorrelationKeys,
    /// Where the document describes them.
    adapters: Option<Adapters>,
    text: String,
    changes: Vec<ConfigChange>,
    warnings: Vec<Diagnostic>,
}

impl Running {
    /// One change at a time, reloads included.
    pub(super) async fn edit(
        self: Arc<Self>,
        document: ConfigDocument,
        body: Value,
        force: bool,
        caller: Caller,
    ) -> Result<EditAnswer, EditError> {
        let _one_at_a_time = self.reload.lock().await;
        let running = Arc::clone(&self);
        let ready = blocking(move || running.prepare(known(document), body)).await??;
        let rehearsal = self.engine.rehearse(&ready.policy).await?;
        if caller.dry_run {
            let view = self.view_of(&ready);
            let Ready { changes, warnings, .. } = ready;
            return Ok(EditAnswer { view, withdrawn: rehearsal.failing, changes, warnings });
        }
        rehearsal.brake(force)?;
        let Ready { document, policy, correlation, adapters, text, changes, warnings } = ready;
        for warning in &warnings {
            tracing::warn!(file = document.file(), place = warning.pointer(), "{}", warning.text);
        }
        let running = Arc::clone(&self);
        let written =
            blocking(move || running.write(document, &text)).await?.map_err(|error| unwritten(&error))?;
        let change = PolicyChange {
            action: match document {
                Document::Playbooks => AuditAction::ConfigPlaybooksUpdate,
                Document::Correlation => AuditAction::ConfigCorrelationUpdate,
            },
            part: document.as_str(),
            force,
            details: details(&changes),
        };
        let report = match self.engine.replace_policy(policy, change, &caller).await {
            Ok(report) => report,
            Err(error) => {
                restore(written).await;
                return Err(error.into());
            }
        };
        if let Some(adapters) = adapters {
            self.adapters.store(Arc::new(adapters));
        }
        *self.state() = State { correlation, loaded_at: self.clock.now() };
        tracing::info!(
            file = document.file(),
            changes = changes.len(),
            withdrawn = report.withdrawn.len(),
            actor = caller.actor.name(),
            "configuration replaced"
        );
        let view = match document {
            Document::Playbooks => self.playbooks_view(),
            Document::Correlation => self.correlation_view(true),
        };
        Ok(EditAnswer { view, withdrawn: report.withdrawn, changes, warnings })
    }

    fn prepare(&self, document: Document, body: Value) -> Result<Ready, EditError> {
        self.check_obstacles(document)?;
        let running = self.engine.policy();
        let parts = running.parts();
        let (inventory, playbooks) = (&parts.inventory, &parts.playbooks);
        let correlation = self.state().correlation.clone();
        let (warnings, playbooks, correlation, adapters, text) = match document {
            Document::Playbooks => {
                let guardrails = self.settings.keys.guardrails_in_force();
                let edited =
                    edit::playbooks(body, playbooks.document(), &guardrails, inventory, &correlation);
                let (playbooks, warnings): (Playbooks, _) = passed(edited)?;
                let text = text_of(document, playbooks.document());
                (warnings, playbooks, correlation, None, text)
            }
            Document::Correlation => {
                let edited = edit::correlation(body, &correlation, playbooks.document());
                let (correlation, mut warnings) = passed(edited)?;
                let (adapters, more) = passed(edit::adapters(&correlation, &self.source))?;
                warnings.extend(more);
                let text = text_of(document, &correlation);
                (warnings, playbooks.clone(), correlation, Some(adapters), text)
            }
        };
        let text = text.map_err(|error| {
            EditError::Invalid(vec![Diagnostic::error(KeyPath::root(), error.to_string())])
        })?;
        let policy = compose::policy(&self.settings, inventory.clone(), playbooks, &correlation);
        let changes = match document {
            Document::Playbooks => (playbooks_document(&running), playbooks_document(&policy)),
            Document::Correlation => (json!(self.state().correlation), json!(correlation)),
        };
        let changes =
            differences(&changes.0, &changes.1).into_iter().map(|change| change.of(document.file()));
        Ok(Ready { document, policy, changes: changes.collect(), correlation, adapters, text, warnings })
    }

    fn check_obstacles(&self, document: Document) -> Result<(), EditError> {
        let file = document.file();
        if self.source.of_folder().is_none() {
            let detail = format!(
                "the built-in development configuration runs, which has no {file}: start with --config DIR"
            );
            return Err(EditError::NotAllowed(detail, Vec::new()));
        }
        let obstacles = self.source.obstacles(document);
        match obstacles.first() {
            None => Ok(()),
            Some(first) => {
                let detail = format!("{file} cannot be replaced: {}: {}", first.pointer(), first.text);
                Err(EditError::NotAllowed(detail, obstacles))
            }
        }
    }

    /// Writes the file; `None` if it has this text already, so that a repeated request does not overwrite the backup.
    fn write(&self, document: Document, text: &str) -> Result<Option<Replaced>, ReplaceError> {
        let (folder, file) = (self.source.folder(), document.file());
        let path = folder.join(file);
        if !path.is_symlink() && std::fs::read_to_string(&path).is_ok_and(|stands| stands == text) {
            return Ok(None);
        }
        if document == Document::Correlation && !path.exists() {
            tracing::warn!("{file} is new, and wins over the key \"correlation\" of prefixd.yaml");
        }
        replace(folder, file, "prefixd.yaml", text).map(Some)
    }

    fn view_of(&self, ready: &Ready) -> Value {
        let view = match ready.document {
            Document::Playbooks => super::playbooks_shown(&ready.policy),
            Document::Correlation => correlation_document(&ready.correlation, true),
        };
        self.with_loaded_at(view)
    }
}

fn known(document: ConfigDocument) -> Document {
    match document {
        ConfigDocument::Playbooks => Document::Playbooks,
        ConfigDocument::Correlation => Document::Correlation,
    }
}

/// What was read with the warnings about it, or its errors.
fn passed<T>(loaded: Loaded<T>) -> Result<(T, Vec<Diagnostic>), EditError> {
    loaded.checked().map(|checked| (checked.value, checked.warnings)).map_err(refused)
}

/// Why a document with these errors is refused.
pub(super) fn refused(errors: Vec<Diagnostic>) -> EditError {
    if is_malformed(&errors) { EditError::Malformed(errors) } else { EditError::Invalid(errors) }
}

fn unwritten(error: &ReplaceError) -> EditError {
    tracing::error!(%error, "the configuration was not replaced");
    let detail = format!("{error}; nothing was changed");
    if error.is_forbidden() {
        EditError::NotAllowed(detail, Vec::new())
    } else {
        EditError::Unwritten(detail)
    }
}

async fn restore(written: Option<Replaced>) {
    let Some(written) = written else { return };
    let undone = blocking(move || written.undo().map_err(|error| error.to_string())).await;
    match undone.map_err(|error| error.to_string()).flatten() {
        Ok(()) => tracing::warn!("the new configuration could not be applied, the previous file is restored"),
        Err(error) => tracing::error!(error, "the previous file could not be restored: it is kept as .bak"),
    }
}

/// The difference for the audit, without secrets.
fn details(changes: &[ConfigChange]) -> Map<String, Value> {
    let (mut before, mut after) = (Map::new(), Map::new());
    for change in changes.iter().take(MOST_CHANGES) {
        let mut values = json!([change.old, change.new]);
        hide_secrets(&mut values);
        if change.path.ends_with("secret_env") {
            values = json!([edit::HIDDEN, edit::HIDDEN]);
        }
        before.insert(change.path.clone(), values[0].take());
        after.insert(change.path.clone(), values[1].take());
    }
    let mut details =
        Map::from_iter([("before".to_owned(), before.into()), ("after".to_owned(), after.into())]);
    if changes.len() > MOST_CHANGES {
        details.insert("changes_not_listed".to_owned(), json!(changes.len() - MOST_CHANGES));
    }
    details
}
