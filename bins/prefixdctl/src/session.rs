//! What every command needs: the server, the wanted format, what the terminal can do, and the time.

use crate::cli::Global;
use crate::exit::Failure;
use crate::files::read;
use crate::output::{Eyes, Format, Paint};
use chrono::{DateTime, Utc};
use prefix_client::{Attempt, Client, ClientOptions, Mode, Secret};
use prefix_direct::{Checked, ConfigFolder};
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;

/// One run of prefixdctl.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: Global,
    /// The time that ages count from.
    pub(crate) now: DateTime<Utc>,
    /// Colours, if stdout is a terminal.
    pub(crate) paint: Paint,
    stdout: std::io::Stdout,
    /// True if people look at stdout.
    pub(crate) stdout_is_terminal: bool,
}

impl Session {
    pub(crate) fn open(global: Global) -> Result<Self, Failure> {
        if global.token.is_some() && global.token_file.is_some() {
            return Err(Failure::Usage("--token and --token-file exclude each other".to_owned()));
        }
        if global.cert.is_some() != global.key.is_some() {
            return Err(Failure::Usage("--cert and --key belong together".to_owned()));
        }
        let stdout_is_terminal = std::io::stdout().is_terminal();
        let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = Paint { on: stdout_is_terminal && !no_color };
        Ok(Self { global, now: Utc::now(), paint, stdout: std::io::stdout(), stdout_is_terminal })
    }

    /// A client of the server that the options name.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let token = self.token()?;
        let cookie = if token.is_none() { crate::cookie_file::read(&self.global.api)? } else { None };
        self.client_with(token, cookie)
    }

    fn client_with(&self, token: Option<Secret>, cookie: Option<Secret>) -> Result<Client, Failure> {
        let mut options = ClientOptions::new(self.global.api.clone());
        (options.token, options.cookie) = (token, cookie);
        options.timeout = self.timeout();
        concat!("prefixdctl/", env!("CARGO_PKG_VERSION")).clone_into(&mut options.user_agent);
        options.ca = self.global.ca.as_deref().map(read).transpose()?;
        if let (Some(cert), Some(key)) = (&self.global.cert, &self.global.key) {
            let mut pem = read(cert)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            options.identity = Some(pem);
        }
        let client = Client::new(options)?;
        Ok(if self.global.verbose { client.observed(show_attempt) } else { client })
    }

    /// A client of the same server that shows nothing of who asks: for logging in.
    pub(crate) fn stranger(&self) -> Result<Client, Failure> {
        self.client_with(None, None)
    }

    /// A client that shows this login and nothing else.
    pub(crate) fn with_login(&self, cookie: Secret) -> Result<Client, Failure> {
        self.client_with(None, Some(cookie))
    }

    /// True if the command line names the server or the token: then the server is meant, and nothing on this host.
    pub(crate) fn means_the_server(&self) -> bool {
        self.global.token.is_some() || self.global.token_file.is_some()
    }

    fn token(&self) -> Result<Option<Secret>, Failure> {
        if let Some(token) = &self.global.token {
            return Ok(Some(token.clone().into()));
        }
        if let Some(file) = &self.global.token_file {
            let text = String::from_utf8(read(file)?)
                .map_err(|_| Failure::Usage(format!("{}: not UTF-8 text", file.display())))?;
            let token = text.trim().to_owned();
            if token.is_empty() {
                return Err(Failure::Usage(format!("{}: no token", file.display())));
            }
            return Ok(Some(token.into()));
        }
        Ok(std::env::var("PREFIXD_API_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::from))
    }

    pub(crate) fn format(&self) -> Format {
        self.global.output
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.global.dry_run { Mode::DryRun } else { Mode::Apply }
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.global.timeout)
    }

    /// The folder that --config names, for commands that work without the API.
    pub(crate) fn config_folder(&self) -> ConfigFolder {
        ConfigFolder::at(&self.global.config)
    }

    /// What was read of that folder, once its warnings are on stderr.
    pub(crate) fn warned<T>(&self, checked: Checked<T>) -> T {
        checked.warnings.iter().for_each(|warning| self.note(warning));
        checked.value
    }

    /// The time and the colours for what people read.
    pub(crate) fn eyes(&self) -> Eyes {
        Eyes { now: self.now, paint: self.paint }
    }

    /// True if a bar on stderr is seen by people and wanted by them.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.global.quiet && !self.global.verbose && std::io::stderr().is_terminal()
    }

    /// Writes data to stdout.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock();
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::BrokenPipe),
            Err(error) => Err(Failure::General(format!("cannot write the output: {error}"))),
        }
    }

    /// Writes what is not data: on stderr, and with -q not at all.
    pub(crate) fn note(&self, text: &str) {
        if !self.global.quiet {
            // A closed stderr is no reason to stop.
            let _ = writeln!(std::io::stderr().lock(), "{}", crate::output::printable(text));
        }
    }
}

fn show_attempt(attempt: &Attempt<'_>) {
    let outcome = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let id = attempt.request_id.map(|id| format!(" request {id}")).unwrap_or_default();
    let pause =
        attempt.pause.map(|pause| format!(", again in {} s", pause.as_secs_f64())).unwrap_or_default();
    let line = format!(
        "{} {} -> {outcome} in {} ms (attempt {}){id}{pause}",
        attempt.method,
        attempt.url,
        attempt.took.as_millis(),
        attempt.number
    );
    // A closed stderr is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{}", crate::output::printable(&line));
}
