//! Times, durations and addresses as people write and read them.

mod age;
mod duration;
mod words;

pub(crate) use age::{age, span};
pub(crate) use duration::{Moment, Seconds};
pub(crate) use words::{host, prefix, protocol};
