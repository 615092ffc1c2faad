//! Whether there can be a quorum at all, here and by the terms that playbooks set for themselves.

use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};
use prefix_policy::PlaybooksDocument;
use prefix_policy::settings::SourceMode;

use super::{CorrelationKeys, longest_half_life, vectors};

/// Warnings about the terms of correlation.yaml.
pub(super) fn check(keys: &CorrelationKeys, found: &mut Diagnostics) {
    if !keys.enabled {
        return;
    }
    if let Some(text) = too_few(keys, keys.min_sources) {
        found.warning("min_sources", text);
    }
    if named(keys) > 0 && primaries(keys) == 0 {
        found.warning(
            "sources",
            "every source that is named is corroborating, and those never trigger: nothing is mitigated unless a \
             source without entry reports",
        );
    }
    if keys.default_weight == 0.0 && !keys.sources.iter().any(|(_, source)| source.weight > 0.0) {
        found.warning(
            "default_weight",
            "default_weight is 0 and no source has a weight above 0: confidence is always 0",
        );
    }
}

/// What playbooks.yaml says against it: terms that playbooks set for themselves. With paths into playbooks.yaml.
pub(crate) fn check_playbooks(keys: &CorrelationKeys, document: &PlaybooksDocument) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    for (index, playbook) in document.playbooks.iter().enumerate() {
        let Some(terms) = &playbook.correlation else { continue };
        let at = KeyPath::from("playbooks").index(index).key("correlation");
        let longest = longest_half_life(keys);
        if let Some(seconds) = terms.confidence_decay_half_life_seconds.filter(|seconds| *seconds > longest) {
            let key = "confidence_decay_half_life_seconds";
            let text = format!(
                "{key} must be at most {longest} (10 x window_seconds of correlation.yaml), not {seconds}"
            );
            found.error(at.key(key), text);
        }
        if !keys.enabled {
            let text = format!(
                "playbook \"{}\" has terms of correlation, but correlation is off: they have no effect",
                playbook.name
            );
            found.warning(at, text);
        } else if let Some(text) = terms.min_sources.and_then(|min_sources| too_few(keys, min_sources)) {
            found.warning(at.key("min_sources"), text);
        }
    }
    found.into_vec()
}

/// Playbooks that run and that new terms of correlation.yaml do not allow, with paths into correlation.yaml.
pub(crate) fn contradicted(keys: &CorrelationKeys, running: &PlaybooksDocument) -> Vec<Diagnostic> {
    let longest = longest_half_life(keys);
    let too_long = running.playbooks.iter().filter_map(|playbook| {
        let seconds = playbook.correlation.as_ref()?.confidence_decay_half_life_seconds?;
        (seconds > longest).then(|| {
            let text = format!(
                "playbook \"{}\" has confidence_decay_half_life_seconds {seconds}, with this window at most {longest} \
                 are allowed",
                playbook.name
            );
            Diagnostic::error("window_seconds", text)
        })
    });
    too_long.chain(vectors::missing_for_adapters(keys, running)).collect()
}

/// Said if more must agree than are known. Sources without entry count too, so it is no error.
fn too_few(keys: &CorrelationKeys, min_sources: u32) -> Option<String> {
    let named = named(keys);
    let missing = named > 0 && usize::try_from(min_sources).is_ok_and(|wanted| wanted > named);
    missing.then(|| {
        format!(
            "min_sources is {min_sources}, but only {named} {} named: without one that has no entry there is never a quorum",
            if named == 1 { "source is" } else { "sources are" }
        )
    })
}

fn named(keys: &CorrelationKeys) -> usize {
    keys.sources.iter().count() + adapters(keys).count()
}

fn primaries(keys: &CorrelationKeys) -> usize {
    let primary = keys.sources.iter().filter(|(_, source)| source.mode == SourceMode::Primary);
    primary.count() + adapters(keys).count()
}

/// Adapters that are sources of their own, without an entry under `sources`.
fn adapters(keys: &CorrelationKeys) -> impl Iterator<Item = &str> {
    let enabled = keys.webhook_adapters.iter().filter(|adapter| adapter.enabled);
    let names = enabled.map(|adapter| adapter.name.as_str());
    names.filter(|name| !keys.sources.iter().any(|(source, _)| source.as_str() == *name))
}
