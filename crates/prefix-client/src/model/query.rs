//! Query parameters: only what was asked for is sent.

use chrono::{DateTime, SecondsFormat, Utc};

/// A list of parameters in the making.
#[derive(Debug, Default)]
pub(crate) struct Pairs(pub(crate) Vec<(&'static str, String)>);

impl Pairs {
    pub(crate) fn with(mut self, name: &'static str, value: Option<&(impl ToString + ?Sized)>) -> Self {
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn with_time(mut self, name: &'static str, value: Option<DateTime<Utc>>) -> Self {
        self.0.extend(value.map(|time| (name, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
        self
    }
}
