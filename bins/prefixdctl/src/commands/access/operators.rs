//! `operators`: people who can log in.

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::password;
use crate::session::Session;
use crate::views::OPERATORS;
use clap::{Args, Subcommand, ValueEnum};
use prefix_client::{AccessRole, Mode, NewOperator, NewPassword, NewRole, OperatorId, Secret};
use prefix_direct::{AccessDatabase, Password, Role};
use std::path::PathBuf;

/// What to do about operators.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorsCommand {
    /// Every operator
    List,
    /// Create one; the first admin is written to the database itself, on the daemon's host
    Create(CreateArgs),
    /// Delete one, with the logins and the tokens of that operator
    Delete {
        /// `operator_id`, as listed
        id: OperatorId,
    },
    /// Change a password: your own, or as an admin anybody's
    Passwd(PasswdArgs),
    /// Give one another role
    Role {
        /// `operator_id`, as listed
        id: OperatorId,
        /// The new role
        role: PersonRole,
    },
}

/// The roles of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PersonRole {
    // Sees everything, changes nothing
    Viewer,
    // Works on mitigations
    Operator,
    // May do everything
    Admin,
}

impl PersonRole {
    fn of_api(self) -> AccessRole {
        match self {
            Self::Viewer => AccessRole::Viewer,
            Self::Operator => AccessRole::Operator,
            Self::Admin => AccessRole::Admin,
        }
    }

    fn of_storage(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Operator => Role::Operator,
            Self::Admin => Role::Admin,
        }
    }
}

/// A new operator.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Letters, digits, _ and -; names that differ in case only are the same
    #[arg(long, value_name = "NAME")]
    username: String,
    /// What the operator may do
    #[arg(long)]
    role: PersonRole,
    /// The password; other users see it in the process list
    #[arg(long, value_name = "PASSWORD", conflicts_with = "password_file")]
    password: Option<String>,
    /// File with the password, or - for stdin; asked for twice when not given
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Write to the database that --config names, without the API
    #[arg(long)]
    direct: bool,
}

/// A new password.
#[derive(Debug, Args)]
pub(crate) struct PasswdArgs {
    /// `operator_id`; your own when not given
    id: Option<OperatorId>,
    /// File with the new password, or - for stdin; asked for twice when not given
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the password of now, for your own; asked for when not given
    #[arg(long, value_name = "FILE")]
    current_password_file: Option<PathBuf>,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: OperatorsCommand) -> Result<Exit, Failure> {
    match command {
        OperatorsCommand::List => {
            let reply = session.client()?.operators().await?;
            session.print_list(&reply.body, OPERATORS, &reply.value.operators, "operators")
        }
        OperatorsCommand::Create(arguments) => create(session, arguments).await,
        OperatorsCommand::Delete { id } => {
            if !confirm(session, &format!("delete operator {id}, with all logins and tokens"))? {
                return Ok(Exit::General);
            }
            let reply = session.client()?.delete_operator(id, session.mode()).await?;
            super::tokens::ended(session, &reply, &format!("operator {id}"), "deleted")
        }
        OperatorsCommand::Passwd(arguments) => passwd(session, &arguments).await,
        OperatorsCommand::Role { id, role } => {
            let role = NewRole { role: role.of_api() };
            let reply = session.client()?.change_role(id, &role, session.mode()).await?;
            session.show(&reply.body, || match reply.value.result() {
                Some(operator) => session.print_row(OPERATORS, operator),
                None => Ok(()),
            })
        }
    }
}

/// The database, if this is the daemon's host and there is no admin yet.
async fn without_admin(session: &Session) -> Option<AccessDatabase> {
    let database = session.config_folder().access().ok()?;
    let has_admin = database.has_admin(session.timeout()).await;
    has_admin.is_ok_and(|has_admin| !has_admin).then_some(database)
}

async fn create(session: &Session, mut arguments: CreateArgs) -> Result<Exit, Failure> {
    let given = arguments.password.take();
    if arguments.direct {
        let database = session.config_folder().access()?;
        return create_direct(session, &arguments, given, &database, false).await;
    }
    if arguments.role == PersonRole::Admin
        && !session.means_the_server()
        && let Some(database) = without_admin(session).await
    {
        session.note("there is no admin yet: this one is written to the database itself");
        return create_direct(session, &arguments, given, &database, true).await;
    }
    let password = password::new(given, arguments.password_file.as_deref(), "Password")?;
    let new = NewOperator { username: arguments.username, password, role: arguments.role.of_api() };
    let reply = session.client()?.create_operator(&new, session.mode()).await?;
    session.show(&reply.body, || match reply.value.result() {
        Some(operator) => session.print_row(OPERATORS, operator),
        None => Ok(()),
    })
}

async fn create_direct(
    session: &Session,
    arguments: &CreateArgs,
    given: Option<String>,
    database: &AccessDatabase,
    first: bool,
) -> Result<Exit, Failure> {
    let username = arguments.username.parse();
    let username = username.map_err(|error| Failure::Invalid(format!("--username {error}")))?;
    let typed: Secret = password::new(given, arguments.password_file.as_deref(), "Password")?;
    let password = Password::new(typed.expose(), database.password_min_length)
        .map_err(|problem| Failure::Invalid(format!("the password {problem}")))?;
    if session.mode() == Mode::DryRun {
        session.note("dry run: nothing was changed");
        return Ok(Exit::Ok);
    }
    let role = arguments.role.of_storage();
    let made = database.create_operator((username, role), &password, first, session.timeout()).await;
    let operator = made?;
    let shown = prefix_client::Operator::from(&operator);
    if !session.print_own(&shown)? {
        session.print_row(OPERATORS, &shown)?;
    }
    Ok(Exit::Ok)
}

async fn passwd(session: &Session, arguments: &PasswdArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    let me = client.me().await?.value.operator_id;
    let id = arguments.id.or(me).ok_or_else(|| {
        Failure::Usage(
            "you are not logged in as an operator: name the operator whose password is meant".to_owned(),
        )
    })?;
    let current_password = (me == Some(id))
        .then(|| password::existing(arguments.current_password_file.as_deref(), "Password of now"))
        .transpose()?;
    let new_password = password::new(None, arguments.password_file.as_deref(), "New password")?;
    let new = NewPassword { new_password, current_password };
    let reply = client.change_password(id, &new, session.mode()).await?;
    super::tokens::ended(session, &reply, &format!("the password of operator {id}"), "changed")
}
