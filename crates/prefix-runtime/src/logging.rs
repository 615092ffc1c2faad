//! The log: structured, on stderr, for machines or for people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use prefix_config::Environment;
use prefix_config::settings::operation::{LogFormat, ObservabilityKeys};

use crate::log_flood::FloodFilter;

/// Starts the log. `RUST_LOG` wins over `observability.log_level`. What is returned knows what was left out.
pub fn start(keys: &ObservabilityKeys, environment: &Environment) -> Result<FloodFilter, TryInitError> {
    let flood = FloodFilter::default();
    let registry = tracing_subscriber::registry().with(filter(keys, environment));
    let writer = std::io::stderr;
    match keys.log_format {
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(writer)
                    .with_filter(flood.clone()),
            )
            .try_init()?,
        LogFormat::Pretty => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let layer = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(writer);
            registry.with(layer.with_filter(flood.clone())).try_init()?;
        }
    }
    Ok(flood)
}

/// Targets that speak of themselves rather than of prefixd; `RUST_LOG` can have them back. The HTTP library writes an
/// error for each request that is no HTTP and for each peer that goes away, which anybody can cause: the API counts them.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// An unreadable `RUST_LOG` must not silence the daemon.
fn filter(keys: &ObservabilityKeys, environment: &Environment) -> EnvFilter {
    let asked = environment.get("RUST_LOG").filter(|text| !text.is_empty());
    asked
        .and_then(|text| EnvFilter::try_new(text).ok())
        .or_else(|| EnvFilter::try_new(format!("{},{QUIET}", keys.log_level)).ok())
        .unwrap_or_else(|| EnvFilter::new("info"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_wins_unless_it_is_unreadable() {
        let keys = ObservabilityKeys { log_level: "warn".to_owned(), ..ObservabilityKeys::default() };
        let with = |value: &str| {
            filter(&keys, &Environment::from([("RUST_LOG".to_owned(), value.to_owned())])).to_string()
        };
        assert_eq!(with("prefix_engine=trace"), "prefix_engine=trace");
        for useless in ["", "a=b=c"] {
            let filter = with(useless);
            assert!(filter.contains("actix_server=warn") && filter.ends_with("warn"), "{filter}");
        }
    }
}
