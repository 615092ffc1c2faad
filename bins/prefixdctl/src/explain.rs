//! Why something is, or is not, mitigated: the stored decision in plain words, for whoever is woken at night. The first
//! line is the answer, then come the facts and the steps, then what to do.

mod address;
mod decision;
mod event;
mod group;
mod mitigation;
mod next;
mod words;

pub(crate) use address::{Finding, Subject, address, subject};
pub(crate) use decision::decision;
pub(crate) use event::{Reported, event};
pub(crate) use group::group;
pub(crate) use mitigation::mitigation;
pub(crate) use words::{guardrail, status};

#[cfg(test)]
mod tests;
