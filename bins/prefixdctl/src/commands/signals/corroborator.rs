//! Sources that only corroborate: send for one, see which were heard, see what waits.

use crate::exit::{Exit, Failure};
use crate::files;
use crate::session::Session;
use crate::views::{CACHED_SIGNALS, CORROBORATED, SOURCE_ACTIVITY};
use clap::Args;
use prefix_client::{Mode, NewCorroboration};
use std::path::PathBuf;

/// A corroborating signal.
#[derive(Debug, Args)]
pub(crate) struct CorroborateArgs {
    /// Name of the source, of mode corroborating
    #[arg(long)]
    source: String,
    /// About attacks at this site
    #[arg(long)]
    pop: Option<String>,
    /// About attacks on this customer
    #[arg(long, value_name = "ID")]
    customer_id: Option<String>,
    /// About attacks on this service
    #[arg(long, value_name = "ID")]
    service_id: Option<String>,
    /// About attacks at this interface
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Only about attacks of this kind
    #[arg(long)]
    vector: Option<String>,
    /// How sure the source is, 0 to 1
    #[arg(long)]
    confidence: Option<f64>,
    /// JSON to keep with the signal
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
}

/// How far back.
#[derive(Debug, Args)]
pub(crate) struct ActivityArgs {
    /// Heard in the last minutes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
}

/// What waits.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// List only those of this source
    #[arg(long)]
    source: Option<String>,
    /// How many at most, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// `signals corroborate`.
pub(crate) async fn corroborate(session: &Session, arguments: CorroborateArgs) -> Result<Exit, Failure> {
    let signal = NewCorroboration {
        source: arguments.source,
        vector: arguments.vector,
        customer_id: arguments.customer_id,
        pop: arguments.pop,
        service_id: arguments.service_id,
        interface: arguments.interface,
        confidence: arguments.confidence,
        raw_details: arguments.raw.as_deref().map(files::json).transpose()?,
    };
    if session.mode() == Mode::DryRun {
        let body = serde_json::to_vec(&signal)
            .map_err(|error| Failure::General(format!("cannot write JSON: {error}")))?;
        return super::rehearse(session, "corroborator", &[], &[], &body);
    }
    let reply = session.client()?.corroborate(&signal).await?;
    session.show(&reply.body, || {
        let answer = &reply.value;
        session.print_row(CORROBORATED, answer)?;
        session.note(&match (answer.attached_group_ids.len(), answer.mitigation_ids.len()) {
            (0, _) => {
                "no attack that it is about is known: it waits for one until its window ends".to_owned()
            }
            (groups, 0) => format!("it counts in {groups} group(s); no mitigation was made by it"),
            (groups, made) => {
                format!("it counts in {groups} group(s), and completed the quorum of {made} mitigation(s)")
            }
        });
        Ok(())
    })
}

/// `signals activity`.
pub(crate) async fn activity(session: &Session, arguments: &ActivityArgs) -> Result<Exit, Failure> {
    let reply = session.client()?.corroborator_activity(Some(arguments.minutes)).await?;
    let what = format!("corroborating source was heard in the last {} minutes", arguments.minutes);
    session.print_list(&reply.body, SOURCE_ACTIVITY, &reply.value.sources, &what)
}

/// `signals cache`.
pub(crate) async fn cache(session: &Session, arguments: &CacheArgs) -> Result<Exit, Failure> {
    let reply =
        session.client()?.corroborator_cache(arguments.source.as_deref(), Some(arguments.limit)).await?;
    let cache = &reply.value;
    session.print_list(&reply.body, CACHED_SIGNALS, &cache.signals, "corroborating signal waits")?;
    if cache.total > u64::try_from(cache.signals.len()).unwrap_or(u64::MAX) {
        let each: Vec<_> =
            cache.by_source.iter().map(|one| format!("{} {}", one.source, one.count)).collect();
        session.note(&format!("{} wait in all: {}", cache.total, each.join(", ")));
    }
    Ok(Exit::Ok)
}
