//! What only the running instance knows, and no row tells.

use prefix_core::address::VictimIp;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::name::{ExternalEventId, SourceName};
use prefix_core::speakers::{SpeakerId, Speakers};

/// What an instance has sent to the speaker, and what it knows of panics, besides what storage knows.
pub trait InstanceFacts {
    /// True if the last change that this speaker was sent for this rule was an announcement.
    fn was_sent(&self, speaker: SpeakerId, key: &RouteKey) -> bool;

    /// The speakers that every own rule goes to.
    fn speakers(&self) -> &Speakers {
        Speakers::one()
    }

    /// True if a panic takes the rule of this mitigation away, and its end is not written down yet.
    fn is_panic_pending(&self, id: MitigationId) -> bool;

    /// True if this panic is known to be over.
    fn is_thawed(&self, id: PanicId) -> bool;

    /// The victims for which a source claims an episode, as far as the instance knows; their rows are read.
    fn victims_of_episode(&self, _source: &SourceName, _id: &ExternalEventId) -> Vec<VictimIp> {
        Vec::new()
    }
}

/// An instance that has sent nothing and knows of no panic, as in a simulation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingSent;

impl InstanceFacts for NothingSent {
    fn was_sent(&self, _speaker: SpeakerId, _key: &RouteKey) -> bool {
        false
    }

    fn is_panic_pending(&self, _id: MitigationId) -> bool {
        false
    }

    fn is_thawed(&self, _id: PanicId) -> bool {
        false
    }
}
