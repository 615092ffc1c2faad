//! `simulate --direct`: what is on record is read from the database itself, however much it is.

use super::SimulateArgs;
use super::writer::ResultWriter;
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::session::Session;
use prefix_direct::{Documents, HistoryQuery, RecordedSimulation};
use std::collections::BTreeSet;

/// Carries the command out.
pub(super) async fn run(
    session: &Session,
    arguments: &SimulateArgs,
    documents: Documents,
) -> Result<Exit, Failure> {
    let configuration = session.config_folder().configuration()?;
    let query = query(session, arguments)?;
    let begun = RecordedSimulation::begin(&configuration, documents, query, session.timeout());
    let mut simulation = begun.await?;
    let mut writer = ResultWriter::new(session, arguments.only_diff);
    let mut progress = Progress::new(session, "events", None);
    while let Some(events) = simulation.advance(&mut |result| writer.add(&result)).await? {
        progress.advance(events);
        writer.flush()?;
    }
    let summary = simulation.finish(&mut |result| writer.add(&result));
    drop(progress);
    let tally = writer.finish(&summary)?;
    Ok(arguments.exit(&tally))
}

fn query(session: &Session, arguments: &SimulateArgs) -> Result<HistoryQuery, Failure> {
    let (Some(start), Some(end)) = (arguments.start, arguments.end) else {
        return Err(Failure::Usage("--direct needs --start and --end".to_owned()));
    };
    let mut sources = BTreeSet::new();
    for name in &arguments.source {
        sources.insert(name.parse().map_err(|error| Failure::Usage(format!("--source: {error}")))?);
    }
    // what is still to come is not on record, neither events nor ends
    let (start, end) = (start.resolve(session.now), end.resolve(session.now).min(session.now));
    if start >= end {
        return Err(Failure::Usage("--end must be after --start, and --start in the past".to_owned()));
    }
    let victim_ip = arguments.victim.map(Into::into);
    Ok(HistoryQuery { start, end, sources, victim_ip, after: None, limit: u32::MAX })
}
