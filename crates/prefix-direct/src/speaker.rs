//! The speaker that the configuration folder names, and the state folder beside it.

use futures::TryStreamExt;
use prefix_config::speaker::SpeakerSettings;
use prefix_core::Announcer;
use prefix_core::announcer::RibPath;
use prefix_core::flowspec::RouteKey;
use prefix_core::name::Pop;
use prefix_gobgp::Gobgp;
use prefix_guard::files::StateDir;

use crate::error::DirectError;

/// Speaker and state folder of one site; connected with the first call.
pub struct Speaker {
    pub(crate) settings: SpeakerSettings,
    pub(crate) gobgp: Gobgp,
    pub(crate) state: StateDir,
}

/// The table of a speaker by who owns what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpeakerRoutes {
    /// Routes with a path that this site announced to this speaker, in the order of the table.
    pub own: Vec<RouteKey>,
    /// How many paths are of others, other sites included.
    pub foreign: usize,
}

impl Speaker {
    pub(crate) fn new(settings: SpeakerSettings) -> Self {
        let (gobgp, state) = (Gobgp::new(settings.gobgp()), StateDir::at(&settings.state_dir));
        Self { settings, gobgp, state }
    }

    /// The site that it speaks for.
    pub fn pop(&self) -> &Pop {
        &self.settings.pop
    }

    /// Whose routes are in the table now.
    pub async fn routes(&self) -> Result<SpeakerRoutes, DirectError> {
        let mut routes = SpeakerRoutes::default();
        for path in self.table().await? {
            if path.ownership.is_own() && path.local {
                routes.own.push(path.key);
            } else {
                routes.foreign += 1;
            }
        }
        Ok(routes)
    }

    pub(crate) async fn table(&self) -> Result<Vec<RibPath>, DirectError> {
        let table = async { self.gobgp.table().await?.try_collect().await };
        table.await.map_err(|error| self.unreachable(error))
    }

    pub(crate) fn unreachable(&self, error: prefix_core::announcer::AnnounceError) -> DirectError {
        DirectError::Speaker { address: self.settings.bgp.gobgp_grpc.clone(), error }
    }
}
