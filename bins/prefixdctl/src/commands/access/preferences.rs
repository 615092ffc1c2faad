//! `preferences`: what user interfaces leave out for you.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::views::PREFERENCES;
use clap::{Args, Subcommand};
use prefix_client::NewPreferences;
use std::str::FromStr;

/// What to do about preferences.
#[derive(Debug, Subcommand)]
pub(crate) enum PreferencesCommand {
    /// Show them
    Get,
    /// Set them; what is not named stays as it is
    Set(SetArgs),
}

/// New preferences.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// A type of alerts that is not shown, several times for several; `none` for none
    #[arg(long, value_name = "TYPE")]
    mute: Vec<String>,
    /// Hours (UTC) in which only the most urgent is shown, such as 22-6, or off
    #[arg(long = "quiet", value_name = "HOURS")]
    quiet_hours: Option<Quiet>,
}

/// Quiet hours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quiet(Option<(u8, u8)>);

impl FromStr for Quiet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let hour = |text: &str| text.parse::<u8>().ok().filter(|hour| *hour < 24);
        let hours = text.split_once('-').and_then(|(start, end)| hour(start).zip(hour(end)));
        hours.map(|hours| Self(Some(hours))).ok_or_else(|| "must be two hours like 22-6, or off".to_owned())
    }
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: PreferencesCommand) -> Result<Exit, Failure> {
    let client = session.client()?;
    let reply = client.preferences().await?;
    let PreferencesCommand::Set(arguments) = command else {
        return session.show(&reply.body, || session.print_row(PREFERENCES, &reply.value));
    };
    let now = reply.value;
    let muted_events = match arguments.mute.as_slice() {
        [] => now.muted_events,
        [none] if none == "none" => Vec::new(),
        types => types.to_vec(),
    };
    let quiet =
        arguments.quiet_hours.map_or(now.quiet_hours_start.zip(now.quiet_hours_end), |Quiet(hours)| hours);
    let new = NewPreferences {
        muted_events,
        quiet_hours_start: quiet.map(|(start, _)| start),
        quiet_hours_end: quiet.map(|(_, end)| end),
    };
    let reply = client.set_preferences(&new, session.mode()).await?;
    super::tokens::ended(session, &reply, "preferences", "set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_two_hours_or_off() {
        assert_eq!("22-6".parse(), Ok(Quiet(Some((22, 6)))));
        assert_eq!("off".parse(), Ok(Quiet(None)));
        for bad in ["22", "24-6", "a-b", "", "22-"] {
            assert!(bad.parse::<Quiet>().is_err(), "{bad}");
        }
    }
}
