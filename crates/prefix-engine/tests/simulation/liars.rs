//! Parts that lie: a simulation that does not notice them proves nothing.

use std::sync::Arc;

use prefix_core::{Announcer, Store};

use crate::temper::Temper;

/// One deliberate defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {}

impl Lie {
    /// What a schedule must be like for the lie to be told at all.
    pub(crate) fn needs(self, _temper: &mut Temper) {
        match self {}
    }

    /// Puts the liar between daemon and world.
    pub(crate) fn between(
        self,
        _honest: (Arc<dyn Store>, Arc<dyn Announcer>),
    ) -> (Arc<dyn Store>, Arc<dyn Announcer>) {
        match self {}
    }
}
