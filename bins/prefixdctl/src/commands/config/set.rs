//! `config set`: a document of the configuration, from a file of this host into the files of the server.

use crate::exit::{Exit, Failure};
use crate::output::printable;
use crate::session::{Session, read};
use crate::views::CHANGES;
use clap::{Args, ValueEnum};
use prefix_client::{ConfigEdited, DryRun, Outcome};
use std::io::Read;
use std::path::{Path, PathBuf};

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

impl Document {
    fn word(self) -> &'static str {
        match self {
            Self::Playbooks => "playbooks",
            Self::Correlation => "correlation",
        }
    }
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, arguments: &SetArgs) -> Result<Exit, Failure> {
    let name = name(&arguments.file);
    let document = prefix_config::edit::body::of_text(&name, &text(&arguments.file)?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Invalid(lines.join("\n"))
    })?;
    let client = session.client()?;
    let (force, mode) = (arguments.force, session.mode());
    let reply = match arguments.document {
        Document::Playbooks => client.set_playbooks(&document, force, mode).await?,
        Document::Correlation => client.set_correlation(&document, force, mode).await?,
    };
    if session.print_document(&reply.body)? {
        return Ok(Exit::Ok);
    }
    match &reply.value {
        Outcome::Rehearsed(rehearsal) => preview(session, &reply.body, rehearsal)?,
        Outcome::Done(_) => {
            session.print(&format!(
                "{} replaced by {}, in force now\n",
                arguments.document.word(),
                printable(&name)
            ))?;
        }
    }
    Ok(Exit::Ok)
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

fn name(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

fn text(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| Failure::Usage(format!("cannot read stdin: {error}")));
    }
    String::from_utf8(read(file)?).map_err(|_| Failure::Usage(format!("{} is no text", file.display())))
}
