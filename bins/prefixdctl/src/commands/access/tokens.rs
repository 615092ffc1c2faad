//! `tokens`: for programs.

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::human::Seconds;
use crate::session::Session;
use crate::views::TOKENS;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use prefix_client::{AccessRole, Mode, NewApiToken, Outcome, Reply, Secret, TokenId};
use prefix_direct::{Role, TokenWish};

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Every token, the revoked ones included
    List,
    /// Make one; it is printed this once, alone on stdout
    Create(CreateArgs),
    /// Revoke one, at once and everywhere
    Revoke {
        /// `token_id`, as listed
        id: TokenId,
    },
}

/// A new token.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its identity; a second token of the same name replaces the first without a gap
    #[arg(long)]
    name: String,
    /// detector, viewer, operator or admin
    #[arg(long)]
    role: String,
    /// A source that its holder may report as; required for a detector, several times for several
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// A prefix that it is accepted from, several times for several
    #[arg(long, value_name = "PREFIX")]
    allow: Vec<IpNetwork>,
    /// For how long, such as 90d
    #[arg(long, value_name = "DURATION")]
    expires: Option<Seconds>,
    /// Write to the database that --config names, without the API
    #[arg(long)]
    direct: bool,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: TokensCommand) -> Result<Exit, Failure> {
    match command {
        TokensCommand::List => {
            let reply = session.client()?.tokens().await?;
            session.print_list(&reply.body, TOKENS, &reply.value.tokens, "tokens")
        }
        TokensCommand::Create(arguments) => create(session, arguments).await,
        TokensCommand::Revoke { id } => {
            if !confirm(session, &format!("revoke token {id}"))? {
                return Ok(Exit::General);
            }
            let reply = session.client()?.revoke_token(id, session.mode()).await?;
            ended(session, &reply, &format!("token {id}"), "revoked")
        }
    }
}

/// Says that something is done, or would be.
pub(super) fn ended(
    session: &Session,
    reply: &Reply<Outcome<()>>,
    what: &str,
    verb: &str,
) -> Result<Exit, Failure> {
    let is_rehearsal = reply.value.is_rehearsal();
    if is_rehearsal && session.print_document(&reply.body)? {
        return Ok(Exit::Ok);
    }
    let verb = if is_rehearsal { format!("would be {verb}") } else { verb.to_owned() };
    session.note(&format!("{what} {verb}"));
    Ok(Exit::Ok)
}

impl CreateArgs {
    fn expires_at(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Failure> {
        let end = |Seconds(seconds): Seconds| {
            let delta = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
            let end = delta.and_then(|delta| now.checked_add_signed(delta));
            end.ok_or_else(|| Failure::Usage("--expires reaches beyond the end of the calendar".to_owned()))
        };
        self.expires.map(end).transpose()
    }
}

async fn create(session: &Session, arguments: CreateArgs) -> Result<Exit, Failure> {
    let expires_at = arguments.expires_at(session.now)?;
    if arguments.direct {
        return create_direct(session, &arguments, expires_at).await;
    }
    let new = NewApiToken {
        name: arguments.name,
        role: AccessRole::from(arguments.role.as_str()),
        sources: arguments.source,
        allowed_cidrs: arguments.allow.iter().map(ToString::to_string).collect(),
        expires_at,
    };
    let reply = session.client()?.create_token(&new, session.mode()).await?;
    session.show(&reply.body, || match &reply.value {
        Outcome::Rehearsed(_) => {
            session.note("dry run: nothing was changed");
            Ok(())
        }
        Outcome::Done(made) => {
            let about = &made.about;
            session.note(&format!("token {} ({}): it is shown this once", about.name, about.token_prefix));
            session.print(made.token.as_ref().map_or("", Secret::expose))
        }
    })
}

async fn create_direct(
    session: &Session,
    arguments: &CreateArgs,
    expires_at: Option<DateTime<Utc>>,
) -> Result<Exit, Failure> {
    let invalid = |what: &str, error: &dyn std::fmt::Display| Failure::Invalid(format!("{what}: {error}"));
    let role = Role::of_word(&arguments.role)
        .ok_or_else(|| Failure::Invalid("--role must be detector, viewer, operator or admin".to_owned()))?;
    let sources = arguments.source.iter().map(|source| source.parse());
    let sources: Result<_, _> = sources.collect();
    let cidrs = arguments.allow.iter().map(|prefix| prefix.to_string().parse());
    let cidrs: Result<Vec<_>, _> = cidrs.collect();
    let wish = TokenWish {
        name: arguments.name.parse().map_err(|error| invalid("--name", &error))?,
        role,
        sources: sources.map_err(|error| invalid("--source", &error))?,
        allowed_cidrs: cidrs.map_err(|error| invalid("--allow", &error))?,
        expires_at,
    };
    if role == Role::Detector && wish.sources.is_empty() {
        return Err(Failure::Invalid("--source is required for a detector".to_owned()));
    }
    let database = session.config_folder().access()?;
    if session.mode() == Mode::DryRun {
        session.note("dry run: nothing was changed");
        return Ok(Exit::Ok);
    }
    let made = database.create_token(wish, session.timeout()).await?;
    session.note(&format!("token {} ({}): it is shown this once", made.token.name, made.token.prefix));
    session.print(made.text())?;
    Ok(Exit::Ok)
}
