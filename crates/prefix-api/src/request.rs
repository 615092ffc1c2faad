//! What clients send, as types of the domain: one module per body.

mod bulk;
mod corroboration;
mod event;
mod manual;
mod panic;
mod safelist;
mod simulate;

pub(crate) use bulk::{acknowledge, withdraw, withdraw_many};
pub(crate) use corroboration::{CorroborationDraft, corroboration};
pub(crate) use event::{Draft, Item, batch, event};
pub(crate) use manual::{Manual, manual};
pub(crate) use panic::{panic, thaw};
pub(crate) use safelist::safelist;
pub(crate) use simulate::{SimulationBody, simulate};
