//! Series whose labels the policy names: they exist, at 0, before anything happened. An alert on a rate never misses the
//! first event of its kind.

use metrics::{counter, gauge};
use prefix_core::signal::GroupStatus;
use prefix_policy::Policy;

use super::sources;

/// Puts every series of these vectors and sources to 0 unless it is there already.
pub(crate) fn initial_series(policy: &Policy) {
    for vector in policy.vector_names() {
        let vector = || vector.to_string();
        for status in GroupStatus::ALL.map(GroupStatus::as_str) {
            counter!("prefixd_signal_groups_total", "status" => status, "vector" => vector()).increment(0);
        }
        counter!("prefixd_corroboration_met_total", "vector" => vector()).increment(0);
        counter!("prefixd_corroboration_timeout_total", "vector" => vector()).increment(0);
    }
    let parts = policy.parts();
    let corroborating = parts
        .correlation
        .sources
        .iter()
        .filter(|(source, _)| parts.correlation.sources.is_corroborating(source));
    for (source, _) in corroborating {
        let source = || sources::label(source.as_str());
        counter!("prefixd_corroborator_ingested_total", "source" => source()).increment(0);
        counter!("prefixd_corroborator_attached_total", "source" => source()).increment(0);
        counter!("prefixd_corroborator_expired_total", "source" => source()).increment(0);
        gauge!("prefixd_corroborator_cache_size", "source" => source()).increment(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use prefix_policy::PolicyParts;
    use prefix_policy::settings::{CorrelationSettings, SourceMode, SourcePolicy, Sources};

    use super::*;

    /// The series that were asked for.
    #[derive(Default)]
    struct Asked(Mutex<BTreeSet<String>>);

    impl Asked {
        fn note(&self, key: &Key) {
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            self.0.lock().unwrap().insert(format!("{} {}", key.name(), labels.join(" ")));
        }
    }

    impl Recorder for Asked {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.note(key);
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.note(key);
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn vectors_and_corroborating_sources_begin_at_zero() {
        let corroborating = SourcePolicy { mode: SourceMode::Corroborating, ..SourcePolicy::default() };
        let sources = Sources::new(
            [("netflow", corroborating), ("fnm", SourcePolicy::default())]
                .map(|(name, entry)| (name.parse().unwrap(), entry))
                .into(),
        );
        let policy = Policy::new(PolicyParts {
            correlation: CorrelationSettings { sources, ..CorrelationSettings::default() },
            ..PolicyParts::default()
        });
        let asked = Asked::default();
        metrics::with_local_recorder(&asked, || initial_series(&policy));
        let asked = asked.0.into_inner().unwrap();
        for series in [
            "prefixd_signal_groups_total status=expired vector=udp_flood",
            "prefixd_corroboration_met_total vector=dns_amplification",
            "prefixd_corroboration_timeout_total vector=unknown",
            "prefixd_corroborator_attached_total source=netflow",
            "prefixd_corroborator_cache_size source=netflow",
        ] {
            assert!(asked.contains(series), "{series} is not in {asked:?}");
        }
        assert!(!asked.iter().any(|series| series.contains("fnm")), "{asked:?}");
    }
}
