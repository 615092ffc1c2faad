//! What the speaker has of a rule, and, where a pop has several, what each of them has.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Mitigation, Status, TransitionError};
use crate::flowspec::Action;
use crate::name::SpeakerName;
use crate::ownership::NotAfter;
use crate::speakers::{SpeakerId, Speakers};

/// The state of the rule at the speaker; at the speakers taken together, where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerView {
    /// Whether an announcement may have been sent: the rule is gone only once its withdrawal is confirmed.
    pub attempted: bool,
    /// Whether the rule is known to be in the table of the speaker, or of at least one of them.
    pub announced: bool,
    /// When the speaker last confirmed it, or the last of them.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// The not-after time of the announced path.
    pub not_after: Option<NotAfter>,
    /// The last error.
    pub error: Option<String>,
    /// What each of several speakers has confirmed; empty where there is one. A speaker that is missing has confirmed
    /// nothing, and one that the configuration does not name any more counts no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SpeakerPart>,
}

/// What one of several speakers has confirmed of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerPart {
    /// Which one.
    pub name: SpeakerName,
    /// Whether the rule is known to be in its table.
    pub announced: bool,
    /// When it last confirmed the rule.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// The step that it confirmed last, 0-based.
    #[serde(default)]
    pub step: Option<u16>,
    /// The action that it confirmed last.
    #[serde(default)]
    pub action: Option<Action>,
    /// Whether it has confirmed the removal of the rule, since its end was decided.
    #[serde(default)]
    pub gone: bool,
    /// Whether it has confirmed the removal of the rule of the step before.
    #[serde(default)]
    pub former_gone: bool,
    /// The last error. It is not stored: only the leader knows it.
    #[serde(skip)]
    pub error: Option<String>,
}

impl SpeakerPart {
    /// Nothing is confirmed.
    pub fn new(name: SpeakerName) -> Self {
        Self {
            name,
            announced: false,
            last_confirmed_at: None,
            step: None,
            action: None,
            gone: false,
            former_gone: false,
            error: None,
        }
    }
}

/// Which rule of a mitigation has left a speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// That of the running step.
    Rule,
    /// That of the step before, which had another match.
    Former,
}

impl SpeakerView {
    /// What one of several speakers has.
    pub fn part(&self, name: &SpeakerName) -> Option<&SpeakerPart> {
        self.parts.iter().find(|part| part.name == *name)
    }

    /// Whether the rule is known to be in the table of this speaker; `None` = the only one.
    pub fn is_announced_at(&self, name: Option<&SpeakerName>) -> bool {
        match name {
            Some(name) => self.part(name).is_some_and(|part| part.announced),
            None => self.announced,
        }
    }

    /// The same, to be changed; nothing is confirmed where it was missing.
    pub fn part_mut(&mut self, name: &SpeakerName) -> &mut SpeakerPart {
        let at = self.parts.iter().position(|part| part.name == *name).unwrap_or_else(|| {
            self.parts.push(SpeakerPart::new(name.clone()));
            self.parts.len() - 1
        });
        &mut self.parts[at]
    }

    /// The rule is another one from now on: nobody has it yet, and the former one may stand everywhere.
    pub fn route_changed(&mut self) {
        self.announced = false;
        for part in &mut self.parts {
            part.announced = false;
            part.former_gone = false;
        }
    }

    /// Whether one of several speakers has confirmed the removal.
    pub(super) fn is_gone_anywhere(&self) -> bool {
        self.parts.iter().any(|part| part.gone)
    }

    /// Whether this one of several speakers has confirmed that the rule is gone.
    pub fn is_gone_at(&self, name: &SpeakerName, removed: Removed) -> bool {
        self.part(name).is_some_and(|part| match removed {
            Removed::Rule => part.gone,
            Removed::Former => part.former_gone,
        })
    }

    /// Whether every configured speaker has confirmed that the rule is gone.
    pub fn is_gone_everywhere(&self, speakers: &Speakers, removed: Removed) -> bool {
        speakers.names().iter().all(|name| self.is_gone_at(name, removed))
    }

    /// A speaker has confirmed that the rule is gone. Returns true if it is gone at every configured one.
    pub fn note_gone(&mut self, speakers: &Speakers, by: SpeakerId, removed: Removed) -> bool {
        if let Some(name) = speakers.name(by) {
            let part = self.part_mut(name);
            match removed {
                Removed::Rule => (part.gone, part.announced) = (true, false),
                Removed::Former => part.former_gone = true,
            }
            self.announced = self.parts.iter().any(|part| part.announced);
        }
        self.is_gone_everywhere(speakers, removed)
    }
}

impl Mitigation {
    /// Whether this one of several speakers has confirmed the rule of the running step.
    pub fn is_confirmed_by(&self, name: &SpeakerName) -> bool {
        self.speaker.part(name).is_some_and(|part| {
            part.announced && part.step == Some(self.progress.step) && part.action == Some(self.action)
        })
    }

    /// Whether each of several speakers has confirmed the rule of the running step; true where there is one.
    pub fn is_confirmed_by_all(&self, speakers: &Speakers) -> bool {
        speakers.names().iter().all(|name| self.is_confirmed_by(name))
    }

    /// One of the speakers confirmed the rule of the running step, at `at`; it is written at `now`. The first one makes the
    /// mitigation active, because the attack is filtered from then on, and the time of its step begins; only the last one
    /// makes it escalated, because until then some routers still do what the step before said.
    pub fn confirm_by(
        &mut self,
        speakers: &Speakers,
        by: SpeakerId,
        not_after: Option<NotAfter>,
        (at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), TransitionError> {
        let (step, action) = (self.progress.step, self.action);
        self.speaker.parts.retain(|part| speakers.names().contains(&part.name));
        if let Some(name) = speakers.name(by) {
            let part = self.speaker.part_mut(name);
            (part.announced, part.last_confirmed_at) = (true, Some(at));
            (part.step, part.action, part.gone) = (Some(step), Some(action), false);
        }
        let by_all = self.is_confirmed_by_all(speakers);
        if by_all {
            self.progress.former = None;
        }
        self.progress.step_confirmed_at.get_or_insert(at);
        if by_all || step == 0 {
            return self.confirm(not_after, now);
        }
        if self.status == Status::Pending {
            self.step_to(Status::Active, now)?;
        }
        self.progress.from_step = None;
        self.updated_at = now;
        self.speaker.attempted = true;
        self.speaker.announced = true;
        self.speaker.last_confirmed_at = Some(at);
        if not_after.is_some() {
            self.speaker.not_after = not_after;
        }
        Ok(())
    }

    /// True if a speaker has the rule of the running step, and another one does not: its routers do what an earlier step
    /// said, or nothing.
    pub fn is_stale(&self, speakers: &Speakers) -> bool {
        let current = |name: &SpeakerName| self.is_confirmed_by(name);
        let lags = |name: &SpeakerName| {
            let has_another = self.speaker.part(name).is_some_and(|part| part.announced);
            !current(name) && (has_another || self.progress.step > 0)
        };
        self.lives() && speakers.names().iter().any(current) && speakers.names().iter().any(lags)
    }
}
