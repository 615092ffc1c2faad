//! What clients send, as types of the domain: one module per body.

mod access;
mod bulk;
mod corroboration;
mod event;
mod manual;
mod packets;
mod panic;
mod safelist;
mod simulate;

use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};

pub(crate) use access::{login, operator, password, preferences, role, token};
pub(crate) use bulk::{acknowledge, withdraw, withdraw_many};
pub(crate) use corroboration::{CorroborationDraft, corroboration};
pub(crate) use event::{Draft, Item, batch, event};
pub(crate) use manual::{Manual, manual};
pub(crate) use panic::{panic, thaw};
pub(crate) use safelist::safelist;
pub(crate) use simulate::{SimulationBody, simulate};

/// Reads `{}`: a request that takes no body.
pub(crate) fn nothing(node: &Node) -> Result<(), Vec<Diagnostic>> {
    Members::open(node, KeyPath::root())?.finish(|| Some(()))
}
