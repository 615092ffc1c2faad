//! Why something is, or is not, mitigated: the stored decision in plain words.

mod address;
mod decision;
mod mitigation;
mod words;

pub(crate) use address::{Finding, address};
pub(crate) use decision::{decision, event};
pub(crate) use mitigation::mitigation;
pub(crate) use words::{guardrail, status};

#[cfg(test)]
mod tests;
