//! `health`, `peers`, `pops`, `stats`: the state in single looks.

use crate::exit::{Exit, Failure};
use crate::output::Format;
use crate::session::Session;
use crate::views::{PEERS, POP_COUNTS, POPS, TIMESERIES, TOTALS};
use clap::Args;
use clap::builder::PossibleValuesParser;
use prefix_client::{ApiError, Series};

/// What health means here.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Ask only whether events can be taken: exit 0 if ready, 2 if not
    #[arg(long)]
    ready: bool,
}

/// What to count.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Counts over time instead of totals
    #[arg(long, value_parser = PossibleValuesParser::new(Series::WORDS))]
    series: Option<String>,
    /// How far back, up to 7d
    #[arg(long, requires = "series", default_value = "24h")]
    range: String,
    /// Width of one bucket, from 5m
    #[arg(long, requires = "series", default_value = "1h")]
    bucket: String,
}

/// Exits with the condition of the daemon.
pub(crate) async fn health(session: &Session, arguments: &HealthArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    if arguments.ready {
        let reply = client.ready().await?;
        if !session.print_document(&reply.body)? {
            session.print(if reply.value { "ready\n" } else { "not ready\n" })?;
        }
        return Ok(if reply.value { Exit::Ok } else { Exit::Connection });
    }
    let (body, healthy, word, problems) = match client.health_detail().await {
        Ok(reply) => {
            let healthy = reply.value.is_healthy();
            (reply.body, healthy, reply.value.status, reply.value.problems)
        }
        // Without credentials there is still the short answer.
        Err(ApiError::Problem(problem)) if matches!(problem.status, 401 | 403) => {
            session.note("no credentials for the details: this is the public answer");
            let reply = client.health().await?;
            let healthy = reply.value.status == "ok" && reply.value.ready != Some(false);
            let word = if healthy { "healthy" } else { "degraded" };
            (reply.body, healthy, word.to_owned(), Vec::new())
        }
        Err(error) => return Err(error.into()),
    };
    if !session.print_document(&body)? {
        session.print(&format!("{}\n", crate::output::printable(&word)))?;
        for problem in problems {
            session.print(&format!("  {}\n", crate::output::printable(&problem)))?;
        }
    }
    Ok(if healthy { Exit::Ok } else { Exit::General })
}

/// Shows the BGP neighbours.
pub(crate) async fn peers(session: &Session) -> Result<Exit, Failure> {
    let reply = session.client()?.peers().await?;
    session.print_list(&reply.body, PEERS, &reply.value, "peers")
}

/// Shows the sites.
pub(crate) async fn pops(session: &Session) -> Result<Exit, Failure> {
    let reply = session.client()?.pops().await?;
    session.print_list(&reply.body, POPS, &reply.value, "sites")
}

/// Shows totals, or a series.
pub(crate) async fn stats(session: &Session, arguments: &StatsArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    if let Some(series) = &arguments.series {
        let series = Series::from(series.as_str());
        let reply = client.timeseries(&series, Some(&arguments.range), Some(&arguments.bucket)).await?;
        let largest = reply.value.buckets.iter().map(|bucket| bucket.count).max().unwrap_or_default();
        let rows: Vec<_> = reply.value.buckets.into_iter().map(|bucket| (bucket, largest)).collect();
        return session.print_list(&reply.body, TIMESERIES, &rows, "buckets");
    }
    let reply = client.stats().await?;
    session.show(&reply.body, || {
        session.print_row(TOTALS, &reply.value)?;
        if session.format() == Format::Csv || reply.value.pops.is_empty() {
            return Ok(());
        }
        session.print("\n")?;
        session.print_rows(POP_COUNTS, &reply.value.pops)
    })
}
