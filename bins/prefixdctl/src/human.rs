//! Times and durations as people write and read them.

mod age;
mod duration;

pub(crate) use age::{age, span};
pub(crate) use duration::{Moment, Seconds};
