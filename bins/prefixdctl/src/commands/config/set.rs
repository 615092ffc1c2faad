//! `config set`: a document of the configuration, from a file of this host into the files of the server.

use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::printable;
use crate::session::Session;
use crate::views::CHANGES;
use clap::{Args, ValueEnum};
use prefix_client::{ConfigEdited, DryRun, Outcome};
use std::path::PathBuf;

/// Which document, and from where.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Which document
    document: Document,
    /// The file, YAML or JSON, or - for stdin; a member that it leaves out stays as it is
    file: PathBuf,
    /// Even if more than 10 living rules, or 10 % of them, would be withdrawn
    #[arg(long)]
    force: bool,
}

/// A document that can be replaced.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// Playbooks and vectors
    Playbooks,
    /// How sources are weighed together
    Correlation,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, arguments: &SetArgs) -> Result<Exit, Failure> {
    let document = files::document(&arguments.file)?;
    let client = session.client()?;
    let (force, mode) = (arguments.force, session.mode());
    let (word, reply) = match arguments.document {
        Document::Playbooks => ("playbooks", client.set_playbooks(&document, force, mode).await?),
        Document::Correlation => ("correlation", client.set_correlation(&document, force, mode).await?),
    };
    session.show(&reply.body, || match &reply.value {
        Outcome::Rehearsed(rehearsal) => preview(session, &reply.body, rehearsal),
        Outcome::Done(_) => {
            let name = printable(&files::name(&arguments.file));
            session.print(&format!("{word} replaced by {name}, in force now\n"))
        }
    })
}

/// What would be different, and whom that concerns.
fn preview(session: &Session, body: &[u8], rehearsal: &DryRun<ConfigEdited>) -> Result<(), Failure> {
    let nothing = ConfigEdited::default();
    let edited = rehearsal.result.as_ref().unwrap_or(&nothing);
    session.print_list(body, CHANGES, &edited.changes, "difference between the document and what runs")?;
    for doubt in &edited.warnings {
        session.note(&format!("warning: {}: {}", doubt.pointer, doubt.detail));
    }
    if !rehearsal.affected_mitigations.is_empty() {
        session.note(&format!(
            "this would withdraw {} living mitigation(s)",
            rehearsal.affected_mitigations.len()
        ));
    }
    session.note("dry run: nothing was changed");
    Ok(())
}
