//! Who may do what: `login`, `logout`, `whoami`, and what admins do about people and tokens.

pub(crate) mod operators;
pub(crate) mod preferences;
pub(crate) mod sessions;
pub(crate) mod tokens;

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::views::ME;
use crate::{cookie_file, password};
use clap::Args;
use prefix_client::NewLogin;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Who logs in.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The name; asked for when not given
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// File with the password, or - for stdin; asked for when not given
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Logs in, and keeps the login.
pub(super) async fn login(session: &Session, arguments: &LoginArgs) -> Result<Exit, Failure> {
    let username = match &arguments.username {
        Some(name) => name.clone(),
        None => ask_name()?,
    };
    let password = password::existing(arguments.password_file.as_deref(), "Password")?;
    let reply = session.stranger()?.login(&NewLogin { username, password }).await?;
    let Some(cookie) = reply.set_cookie else {
        return Err(Failure::General("the server has sent no login".to_owned()));
    };
    cookie_file::write(&session.global.api, Some(cookie))?;
    session.show(&reply.body, || {
        let role = reply.value.role.as_ref().map(ToString::to_string).unwrap_or_default();
        session.note(&format!("logged in as {} ({role})", reply.value.username));
        Ok(())
    })
}

fn ask_name() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("without a terminal to ask on, --username is required".to_owned()));
    }
    let asked = write!(std::io::stderr().lock(), "User name: ").and_then(|()| std::io::stderr().flush());
    let mut name = String::new();
    let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut name));
    read.map_err(|error| Failure::General(format!("cannot ask: {error}")))?;
    Ok(name.trim().to_owned())
}

/// Ends the login, here and at the server.
pub(super) async fn logout(session: &Session) -> Result<Exit, Failure> {
    let Some(cookie) = cookie_file::read(&session.global.api)? else {
        session.note("not logged in");
        return Ok(Exit::Ok);
    };
    let ended = session.with_login(cookie)?.logout().await;
    cookie_file::write(&session.global.api, None)?;
    match ended {
        // it was over already
        Err(error) if error.status() == Some(401) => {}
        ended => drop(ended?),
    }
    session.note("logged out");
    Ok(Exit::Ok)
}

/// Who the server takes us for.
pub(super) async fn whoami(session: &Session) -> Result<Exit, Failure> {
    let reply = session.client()?.me().await?;
    session.show(&reply.body, || session.print_row(ME, &reply.value))
}
