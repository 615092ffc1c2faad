//! Reports that are refused before anything is stored, by the configuration alone.

use prefix_core::event::{EventAction, Report};
use prefix_core::name::{SourceName, VectorName};
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// Why a well-formed report is not taken as an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inadmissible {
    /// Its vector is not defined.
    UnknownVector {
        /// What was named.
        vector: String,
        /// What is defined.
        defined: Vec<VectorName>,
    },
    /// It may not be reported like this, and why.
    NotAllowed(String),
    /// Its source may corroborate, but not trigger.
    CorroboratingOnly(SourceName),
}

impl Policy {
    /// Checks what needs configuration to be judged, but no storage.
    pub fn check_report(&self, report: &Report) -> Result<(), Inadmissible> {
        if report.source.is_operator() {
            let detail = format!(
                "source {:?} is reserved: names beginning with \"operator:\" belong to people",
                report.source.as_str()
            );
            return Err(Inadmissible::NotAllowed(detail));
        }
        if let Some(vector) = &report.vector {
            self.check_vector(vector)?;
        }
        // what such a source reported while it was primary it may still end
        if report.action == EventAction::Ban
            && self.parts().correlation.sources.is_corroborating(&report.source)
        {
            return Err(Inadmissible::CorroboratingOnly(report.source.clone()));
        }
        Ok(())
    }

    /// Checks that a vector is defined.
    pub fn check_vector(&self, vector: &VectorName) -> Result<(), Inadmissible> {
        if self.vector(vector).is_some() {
            return Ok(());
        }
        let defined = self.vector_names();
        Err(Inadmissible::UnknownVector { vector: vector.to_string(), defined })
    }
}
