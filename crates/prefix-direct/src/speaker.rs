//! The speakers that the configuration folder names, and the state folder beside them.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use futures::future::join_all;
use prefix_config::speaker::{NamedSpeaker, SpeakerSettings};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::name::{Pop, SpeakerName};
use prefix_gobgp::{Endpoint, Gobgp};
use prefix_guard::files::StateDir;

use crate::error::DirectError;

/// Speakers and state folder of one site; connected with the first call.
pub struct Speaker {
    pub(crate) settings: SpeakerSettings,
    /// Each of them, at least one.
    pub(crate) each: Vec<OneSpeaker>,
    pub(crate) state: StateDir,
}

/// One of the speakers.
pub(crate) struct OneSpeaker {
    /// Its name; `None` where there is only one.
    pub(crate) name: Option<SpeakerName>,
    pub(crate) gobgp: Gobgp,
    address: Endpoint,
}

/// The tables of the speakers by who owns what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpeakerRoutes {
    /// Routes with a path that this site announced to any of its speakers, each once, in the order of the tables.
    pub own: Vec<RouteKey>,
    /// How many paths are of others, other sites included.
    pub foreign: usize,
}

impl Speaker {
    pub(crate) fn new(settings: SpeakerSettings) -> Self {
        let speakers = settings.speakers();
        let are_several = speakers.len() > 1;
        let one = |speaker: NamedSpeaker| OneSpeaker {
            name: speaker.name.filter(|_| are_several),
            address: speaker.gobgp.endpoint.clone(),
            gobgp: Gobgp::new(speaker.gobgp),
        };
        let (each, state) = (speakers.into_iter().map(one).collect(), StateDir::at(&settings.state_dir));
        Self { settings, each, state }
    }

    /// The site that it speaks for.
    pub fn pop(&self) -> &Pop {
        &self.settings.pop
    }

    /// Whose routes are in the tables now; fails if one of them cannot be read.
    pub async fn routes(&self) -> Result<SpeakerRoutes, DirectError> {
        let mut routes = SpeakerRoutes::default();
        let mut known = BTreeSet::new();
        for table in join_all(self.each.iter().map(OneSpeaker::table)).await {
            for path in table? {
                if !path.ownership.is_own() || !path.local {
                    routes.foreign += 1;
                } else if known.insert(path.key.clone()) {
                    routes.own.push(path.key);
                }
            }
        }
        Ok(routes)
    }
}

impl OneSpeaker {
    pub(crate) async fn table(&self) -> Result<Vec<RibPath>, DirectError> {
        let table = async { self.gobgp.table().await?.try_collect().await };
        table.await.map_err(|error| self.unreachable(error))
    }

    pub(crate) fn unreachable(&self, error: AnnounceError) -> DirectError {
        DirectError::Speaker { address: self.address.clone(), error }
    }
}
