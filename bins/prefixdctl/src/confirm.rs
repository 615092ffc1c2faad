//! The question before something that cannot be taken back.

use crate::exit::Failure;
use crate::session::Session;
use prefix_client::Mode;
use std::io::{BufRead, IsTerminal, Write};

/// Asks, unless `--yes` or `--dry-run` answers for itself. Without a terminal, `--yes` is required.
///
/// Returns false if the person says no.
pub(crate) fn confirm(session: &Session, question: &str) -> Result<bool, Failure> {
    if session.global.yes || session.mode() == Mode::DryRun {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::Usage(format!("{question}: without a terminal to ask on, --yes is required")));
    }
    let asked =
        write!(std::io::stderr().lock(), "{question}? [y/N] ").and_then(|()| std::io::stderr().flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    read.map_err(|error| Failure::General(format!("cannot ask: {error}")))?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        session.note("nothing was changed");
    }
    Ok(yes)
}
