//! Passwords that are asked for, without showing them.

use crate::exit::Failure;
use crate::files;
use prefix_client::Secret;
use std::io::IsTerminal;
use std::path::Path;

fn ask(prompt: &str) -> Result<Secret, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{prompt}: without a terminal to ask on, --password-file is required"
        )));
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    typed.map(Secret::from).map_err(|error| Failure::General(format!("cannot ask for a password: {error}")))
}

/// The first line of a file, or of stdin for `-`.
fn of_file(file: &Path) -> Result<Secret, Failure> {
    let text = files::text(file)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::Usage(format!("{}: no password", files::name(file))));
    }
    Ok(line.to_owned().into())
}

/// One that exists: typed once.
pub(crate) fn existing(file: Option<&Path>, prompt: &str) -> Result<Secret, Failure> {
    file.map_or_else(|| ask(prompt), of_file)
}

/// A new one: typed twice.
pub(crate) fn new(given: Option<String>, file: Option<&Path>, prompt: &str) -> Result<Secret, Failure> {
    if let Some(given) = given {
        return Ok(given.into());
    }
    if let Some(file) = file {
        return of_file(file);
    }
    let (one, other) = (ask(prompt)?, ask(&format!("{prompt} again"))?);
    if one != other {
        return Err(Failure::Usage("the two passwords differ; nothing was changed".to_owned()));
    }
    Ok(one)
}
