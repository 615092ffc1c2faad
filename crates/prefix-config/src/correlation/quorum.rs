//! Whether there can be a quorum at all, here and by the terms that playbooks set for themselves.

use prefix_policy::PlaybooksDocument;
use prefix_policy::settings::SourceMode;

use super::{CorrelationKeys, words};
use crate::finding::Remark;
use crate::path::KeyPath;

/// Doubts about the terms of correlation.yaml.
pub(super) fn check(keys: &CorrelationKeys, remarks: &mut Vec<Remark>) {
    if !keys.enabled {
        return;
    }
    if let Some(doubt) = too_few(keys, keys.min_sources) {
        remarks.push(Remark::warning(KeyPath::dotted("min_sources"), doubt));
    }
    let named = keys.sources.len() + adapters(keys).count();
    if named > 0 && primaries(keys) == 0 {
        remarks.push(Remark::warning(
            KeyPath::dotted("sources"),
            "every source that is named is corroborating, and those never trigger: nothing is mitigated unless a \
             source without entry reports",
        ));
    }
    if keys.default_weight == 0.0 && !keys.sources.values().any(|source| source.weight > 0.0) {
        remarks.push(Remark::warning(
            KeyPath::dotted("default_weight"),
            "default_weight is 0 and no source has a weight above 0: confidence is always 0",
        ));
    }
}

/// What playbooks.yaml says against it: terms that playbooks set for themselves, and vectors that are missing. With paths
/// into playbooks.yaml.
pub(crate) fn check_playbooks(keys: &CorrelationKeys, document: &PlaybooksDocument) -> Vec<Remark> {
    let mut remarks = words::missing_in_playbooks(keys, document);
    for (index, playbook) in document.playbooks.iter().enumerate() {
        let Some(terms) = &playbook.correlation else { continue };
        let at = KeyPath::root().key("playbooks").index(index).key("correlation");
        let longest = keys.longest_half_life();
        if let Some(seconds) = terms.confidence_decay_half_life_seconds.filter(|seconds| *seconds > longest) {
            remarks.push(Remark::error(
                at.key("confidence_decay_half_life_seconds"),
                format!(
                    "confidence_decay_half_life_seconds must be at most {longest} (10 x window_seconds of \
                     correlation.yaml), not {seconds}"
                ),
            ));
        }
        if !keys.enabled {
            remarks.push(Remark::warning(
                at,
                format!(
                    "playbook \"{}\" has terms of correlation, but correlation is off: they have no effect",
                    playbook.name
                ),
            ));
        } else if let Some(doubt) = terms.min_sources.and_then(|min_sources| too_few(keys, min_sources)) {
            remarks.push(Remark::warning(at.key("min_sources"), doubt));
        }
    }
    remarks
}

/// Playbooks that run and that new terms of correlation.yaml do not allow, with paths into correlation.yaml.
pub(crate) fn contradicted(keys: &CorrelationKeys, running: &PlaybooksDocument) -> Vec<Remark> {
    let longest = keys.longest_half_life();
    let terms = running
        .playbooks
        .iter()
        .filter_map(|playbook| Some((&playbook.name, playbook.correlation.as_ref()?)));
    let half_lives =
        terms.filter_map(|(name, terms)| Some((name, terms.confidence_decay_half_life_seconds?)));
    let too_long = half_lives.filter(|(_, seconds)| *seconds > longest).map(|(name, seconds)| {
        Remark::error(
            KeyPath::dotted("window_seconds"),
            format!(
                "playbook \"{name}\" has confidence_decay_half_life_seconds {seconds}, with this window at most {longest} are allowed"
            ),
        )
    });
    too_long.chain(words::missing_for_adapters(keys, running)).collect()
}

/// Said if more must agree than are known. Sources without entry count too, so it is no error.
fn too_few(keys: &CorrelationKeys, min_sources: u32) -> Option<String> {
    let named = keys.sources.len() + adapters(keys).count();
    let missing = named > 0 && usize::try_from(min_sources).is_ok_and(|wanted| wanted > named);
    missing.then(|| {
        format!(
            "min_sources is {min_sources}, but only {named} {} named: without one that has no entry there is never a quorum",
            if named == 1 { "source is" } else { "sources are" }
        )
    })
}

fn primaries(keys: &CorrelationKeys) -> usize {
    let primary = keys.sources.values().filter(|source| source.mode == SourceMode::Primary);
    primary.count() + adapters(keys).count()
}

/// Adapters that are sources of their own, without an entry under `sources`.
fn adapters(keys: &CorrelationKeys) -> impl Iterator<Item = &str> {
    let enabled = keys.webhook_adapters.iter().filter(|adapter| adapter.enabled);
    let names = enabled.map(|adapter| adapter.name.as_str());
    names.filter(|name| !keys.sources.keys().any(|source| source.as_str() == *name))
}
