//! What the guard of this host does, from its files, and what it would have to do, from the speaker's table.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use prefix_core::announcer::RibPath;
use prefix_core::name::SpeakerName;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};
use prefix_guard::files::log::Entry;
use prefix_guard::files::{GuardAlive, StateDir, log};
use prefix_guard::is_overdue;
use serde::Serialize;

use crate::error::DirectError;
use crate::panic::is_fresh;
use crate::speaker::{OneSpeaker, Speaker};

/// The guard as it is seen from outside.
#[derive(Debug, Serialize)]
pub struct GuardStatus {
    /// Whether its heartbeat is at most 10 s old.
    pub alive: bool,
    /// The age of its heartbeat; `None` if there never was one.
    pub heartbeat_age_seconds: Option<i64>,
    /// Its last heartbeat.
    pub guard: Option<GuardAlive>,
    /// Own paths in the speakers by the end of their time; `None` if none of them can be read.
    pub own_paths: Option<Vec<OwnPath>>,
    /// The newest entry of its log.
    pub last_action: Option<Entry>,
    /// Why the speaker, or one of several, cannot be read.
    #[serde(skip)]
    pub speaker_error: Option<DirectError>,
}

/// An own path as the speaker has it.
#[derive(Debug, Serialize)]
pub struct OwnPath {
    /// The rule in words.
    pub flow: String,
    /// Which of several speakers has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Until when it may stand; `None` if the path does not tell.
    pub not_after: Option<DateTime<Utc>>,
    /// Whether that time and the grace are over.
    pub overdue: bool,
    /// The first 32 bits of the mitigation's identifier, in hex.
    pub mitigation: Option<String>,
}

impl GuardStatus {
    /// How many own paths should be gone by now.
    pub fn overdue(&self) -> usize {
        self.own_paths.iter().flatten().filter(|path| path.overdue).count()
    }
}

/// Reads the guard's files and the speakers' tables.
pub async fn guard_status(speaker: &Speaker) -> Result<GuardStatus, DirectError> {
    let grace = Duration::from_secs(speaker.settings.bgp.guard.grace_seconds);
    let state = &speaker.state;
    let unread = |error: io::Error| DirectError::StateFolder { folder: state.folder().to_path_buf(), error };
    let guard: Option<GuardAlive> = state.read(StateDir::GUARD_ALIVE).map_err(unread)?;
    let last_action = log::last(state).map_err(unread)?;
    let tables = join_all(speaker.each.iter().map(OneSpeaker::table)).await;
    let now = Utc::now();
    let (mut own_paths, mut speaker_error): (Option<Vec<OwnPath>>, _) = (None, None);
    for (one, table) in speaker.each.iter().zip(tables) {
        match table {
            Ok(paths) => {
                let own = paths.iter().filter_map(|path| own_path(path, one.name.as_ref(), grace, now));
                own_paths.get_or_insert_default().extend(own);
            }
            Err(error) => speaker_error = Some(error),
        }
    }
    if let Some(own) = &mut own_paths {
        own.sort_by(|a, b| (a.not_after, &a.flow, &a.speaker).cmp(&(b.not_after, &b.flow, &b.speaker)));
    }
    Ok(GuardStatus {
        alive: guard.as_ref().is_some_and(|guard| is_fresh(guard.time, now)),
        heartbeat_age_seconds: guard.as_ref().map(|guard| (now - guard.time).num_seconds()),
        guard,
        own_paths,
        last_action,
        speaker_error,
    })
}

fn own_path(
    path: &RibPath,
    speaker: Option<&SpeakerName>,
    grace: Duration,
    now: DateTime<Utc>,
) -> Option<OwnPath> {
    let Ownership::Own { not_after, mitigation } = path.ownership else { return None };
    Some(OwnPath {
        flow: path.key.flow(),
        speaker: speaker.map(ToString::to_string),
        not_after: not_after.map(NotAfter::time),
        overdue: not_after.is_some_and(|not_after| is_overdue(not_after, grace, now)),
        mitigation: mitigation.map(|MitigationTag(tag)| format!("{tag:08x}")),
    })
}
