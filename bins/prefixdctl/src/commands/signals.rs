//! `signals`: a payload of a foreign detector is passed on as it is, to try an adapter or to stand in for a detector.

pub(crate) mod corroborator;

use crate::commands::events::show_answer;
use crate::exit::{Exit, Failure};
use crate::files::read_or_stdin;
use crate::output::printable_json;
use crate::session::Session;
use crate::views::SIGNALS;
use clap::{Args, Subcommand};
use hmac::{Hmac, KeyInit, Mac};
use prefix_client::{Mode, Reply, SignalsAnswer};
use sha2::Sha256;
use std::path::PathBuf;

/// What to pass on.
#[derive(Debug, Subcommand)]
pub(crate) enum SignalsCommand {
    /// The JSON of Alertmanager's webhook, version 4
    Alertmanager {
        /// The file, or - for stdin
        file: PathBuf,
        /// The source of the events; without it, alertmanager
        #[arg(long)]
        source: Option<String>,
    },
    /// The JSON of FastNetMon
    Fastnetmon(FastnetmonArgs),
    /// The JSON of a detector that a webhook adapter describes
    Webhook(WebhookArgs),
    /// Corroborate what others report, or will report within the window
    #[command(visible_alias = "send-corroborator")]
    Corroborate(Box<corroborator::CorroborateArgs>),
    /// Which corroborating sources were heard lately
    Activity(corroborator::ActivityArgs),
    /// Which corroborating signals wait for a group
    Cache(corroborator::CacheArgs),
}

/// A message of FastNetMon.
#[derive(Debug, Args)]
pub(crate) struct FastnetmonArgs {
    /// The file, or - for stdin
    file: PathBuf,
    /// What happened, if the message does not say: ban, `partial_block`, `attack_status`, alert, unban or `partial_unblock`
    #[arg(long)]
    action: Option<String>,
    /// The source of the event; without it, fastnetmon
    #[arg(long)]
    source: Option<String>,
    /// Show the decision, too
    #[arg(long)]
    explain: bool,
}

/// A payload for a webhook adapter.
#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    /// Name of the adapter
    name: String,
    /// The file, or - for stdin
    file: PathBuf,
    /// Environment variable with the secret of the signature
    #[arg(long, value_name = "VAR")]
    secret_env: Option<String>,
    /// Header of the signature
    #[arg(long, value_name = "HEADER", default_value = "X-Signature-SHA256", requires = "secret_env")]
    signature_header: String,
    /// Header of the time, for adapters that want it signed
    #[arg(long, value_name = "HEADER", requires = "secret_env")]
    timestamp_header: Option<String>,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: SignalsCommand) -> Result<Exit, Failure> {
    match command {
        SignalsCommand::Alertmanager { file, source } => {
            let payload = read_or_stdin(&file)?;
            if session.mode() == Mode::DryRun {
                let query = [("source", source.as_deref())];
                return rehearse(session, "alertmanager", &query, &[], &payload);
            }
            items(session, &session.client()?.send_alertmanager(payload, source.as_deref()).await?)
        }
        SignalsCommand::Fastnetmon(arguments) => fastnetmon(session, &arguments).await,
        SignalsCommand::Webhook(arguments) => {
            let payload = read_or_stdin(&arguments.file)?;
            let headers = signature(session, &arguments, &payload)?;
            let name = &arguments.name;
            if session.mode() == Mode::DryRun {
                return rehearse(session, &format!("webhook/{name}"), &[], &headers, &payload);
            }
            items(session, &session.client()?.send_webhook(name, payload, headers).await?)
        }
        SignalsCommand::Corroborate(arguments) => corroborator::corroborate(session, *arguments).await,
        SignalsCommand::Activity(arguments) => corroborator::activity(session, &arguments).await,
        SignalsCommand::Cache(arguments) => corroborator::cache(session, &arguments).await,
    }
}

async fn fastnetmon(session: &Session, arguments: &FastnetmonArgs) -> Result<Exit, Failure> {
    let payload = read_or_stdin(&arguments.file)?;
    let (source, action) = (arguments.source.as_deref(), arguments.action.as_deref());
    if session.mode() == Mode::DryRun {
        let explain = arguments.explain.then_some("true");
        let query = [("source", source), ("action", action), ("explain", explain)];
        return rehearse(session, "fastnetmon", &query, &[], &payload);
    }
    let reply = session.client()?.send_fastnetmon(payload, source, action, arguments.explain).await?;
    show_answer(session, &reply)
}

/// Shows what became of each item; one that failed is a refusal of the whole.
fn items(session: &Session, reply: &Reply<SignalsAnswer>) -> Result<Exit, Failure> {
    let answer = &reply.value;
    if !session.print_document(&reply.body)? {
        session.print_rows(SIGNALS, &answer.results)?;
        session.note(&format!("{} processed, {} failed", answer.processed, answer.failed));
    }
    Ok(if answer.failed > 0 { Exit::Refused } else { Exit::Ok })
}

/// The headers that sign a payload, if a secret is named.
fn signature(
    session: &Session,
    arguments: &WebhookArgs,
    payload: &[u8],
) -> Result<Vec<(String, String)>, Failure> {
    let Some(variable) = &arguments.secret_env else { return Ok(Vec::new()) };
    let secret = std::env::var(variable).ok().filter(|secret| !secret.is_empty()).ok_or_else(|| {
        Failure::Usage(format!(
            "the environment variable {variable}, which should hold the secret, is not set"
        ))
    })?;
    let mut headers = Vec::new();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|error| Failure::General(format!("the secret cannot be used: {error}")))?;
    if let Some(header) = &arguments.timestamp_header {
        let time = session.now.timestamp().to_string();
        mac.update(format!("{time}.").as_bytes());
        headers.push((header.clone(), time));
    }
    mac.update(payload);
    let digest = hex::encode(mac.finalize().into_bytes());
    headers.push((arguments.signature_header.clone(), format!("sha256={digest}")));
    Ok(headers)
}

/// Shows the request that would be sent.
fn rehearse(
    session: &Session,
    path: &str,
    query: &[(&str, Option<&str>)],
    headers: &[(String, String)],
    payload: &[u8],
) -> Result<Exit, Failure> {
    let query: Vec<String> =
        query.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut lines = vec![
        format!("POST {}/v1/signals/{path}{query}", session.client()?.base()),
        "Content-Type: application/json".to_owned(),
    ];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let body = String::from_utf8_lossy(payload);
    session.print(&format!("{}\n\n{}\n", lines.join("\n"), printable_json(body.trim_end())))?;
    session.note("nothing was sent");
    Ok(Exit::Ok)
}
